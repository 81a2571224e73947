"""Bars by session: the exchange's hours through clock changes, half days and holidays, sums exact."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from contracts.errors import TerminalError
from features.indicators.catalog import use
from features.indicators.frames import compute
from features.sessions import by_session, schedule, with_sessions
from tests.features.series import walk


def bars_from(start: datetime, minutes: int) -> pl.DataFrame:
    """Return a bar a minute from a start."""
    moved = pl.lit(start) + pl.int_range(pl.len()) * timedelta(minutes=1)
    return walk(minutes).with_columns(bar_time=moved.cast(pl.Datetime("us", "UTC")), instrument=pl.lit("AAPL"))


def test_hours_follow_the_exchange_through_clock_changes_half_days_and_holidays() -> None:
    hours = {
        row[0]: (row[1].hour, row[2].hour) for row in schedule("XNYS", date(2025, 11, 24), date(2026, 3, 9)).rows()
    }
    assert hours[date(2026, 3, 6)] == (14, 21)
    assert hours[date(2026, 3, 9)] == (13, 20)
    assert hours[date(2025, 11, 28)] == (14, 18)
    assert date(2025, 12, 25) not in hours
    assert date(2026, 3, 7) not in hours


def test_a_bar_belongs_to_its_session_by_its_start() -> None:
    bars = bars_from(datetime(2026, 3, 9, 0, tzinfo=UTC), 1440)
    made = with_sessions(bars, "XNYS").filter(pl.col("session") == date(2026, 3, 9))
    spans = {
        phase: (frame["bar_time"].min(), frame.height)
        for (phase,), frame in made.group_by("phase", maintain_order=True)
    }
    assert spans == {
        "pre": (datetime(2026, 3, 9, 4, tzinfo=UTC), 570),
        "regular": (datetime(2026, 3, 9, 13, 30, tzinfo=UTC), 390),
        "post": (datetime(2026, 3, 9, 20, tzinfo=UTC), 240),
    }
    # Sunday evening in New York belongs to no session.
    assert with_sessions(bars, "XNYS")["session"].null_count() == 240


def test_a_session_that_opens_the_evening_before_keeps_its_date() -> None:
    made = with_sessions(bars_from(datetime(2026, 3, 9, 23, tzinfo=UTC), 60), "CMES")
    assert made["session"].unique().to_list() == [date(2026, 3, 10)]
    assert made["phase"].unique().to_list() == ["regular"]


def test_a_sessions_bar_is_exactly_the_bars_of_its_minutes() -> None:
    bars = bars_from(datetime(2026, 3, 5, tzinfo=UTC), 3 * 1440).sample(fraction=1, shuffle=True, seed=1)
    made = by_session(bars, "XNYS")
    assert made["session"].to_list() == [date(2026, 3, 5), date(2026, 3, 6)]
    for row in made.iter_rows(named=True):
        opens = row["bar_time"]
        inside = bars.filter(pl.col("bar_time").is_between(opens, opens + timedelta(minutes=389))).sort("bar_time")
        assert (opens.hour, opens.minute, row["minute_count"]) == (14, 30, 390)
        assert (row["open"], row["close"]) == (inside["open"][0], inside["close"][-1])
        assert (row["high"], row["low"]) == (max(inside["high"]), min(inside["low"]))
        assert (row["volume"], row["notional"]) == (sum(inside["volume"]), sum(inside["notional"]))
        assert row["known_time"] == inside["known_time"].max()
    whole = by_session(bars, "XNYS", phases=("pre", "regular", "post"))
    assert whole["session"].to_list() == [date(2026, 3, 4), *made["session"]]
    assert whole["minute_count"].to_list() == [5 * 60, 1440, 1440]


def test_vwap_of_a_session_begins_at_its_open() -> None:
    bars = with_sessions(bars_from(datetime(2026, 3, 5, 14, 30, tzinfo=UTC), 2 * 1440), "XNYS")
    bars = bars.filter(pl.col("phase") == "regular")
    vwap = compute(bars, [use("vwap", anchor="session")])["vwap_60_session"]
    assert vwap[389] == pytest.approx(float(sum(bars["notional"][:390]) / sum(bars["volume"][:390])))
    assert vwap[390] == pytest.approx(float(bars["notional"][390] / bars["volume"][390]))


def test_no_bars_and_unknown_names_are_answered_plainly() -> None:
    assert by_session(walk(0), "XNYS").height == 0
    with pytest.raises(TerminalError, match="no trading calendar 'NOPE'"):
        schedule("NOPE", date(2026, 1, 1), date(2026, 1, 2))
    with pytest.raises(TerminalError, match="no phase 'lunch'"):
        by_session(walk(1), "XNYS", phases=("lunch",))
