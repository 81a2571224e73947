"""Rollups against an oracle in plain Python, on the real warehouse."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assets.rollup_day import replace_day
from contracts.errors import TerminalError
from contracts.rollups import ROLLUPS

DAY = date(2021, 7, 22)
MIDNIGHT = datetime.combine(DAY, time(), UTC)
EXACT = Context(prec=100)
SUFFIXES = {300: "5m", 3600: "1h", 86400: "1d"}


def roll_up(stored: Any, day: date = DAY) -> None:
    for rollup in ROLLUPS:
        replace_day(stored.warehouse, stored.store.query("rollup"), rollup, day)


def total(numbers: Iterable[Decimal]) -> Decimal:
    """Add exactly: Python's own context would round at 28 digits."""
    result = Decimal()
    for number in numbers:
        result = EXACT.add(result, number)
    return result


def current(bars: Iterable[Any]) -> list[Any]:
    newest: dict[tuple[Any, ...], Any] = {}
    for bar in sorted(bars, key=lambda b: b.revision):
        newest[(*bar.series, bar.bar_time)] = bar
    return [bar for bar in newest.values() if bar.state != "withdrawn"]


def oracle(bars: Iterable[Any], width_s: int) -> list[tuple[Any, ...]]:
    """Group minutes by hand."""
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for bar in current(bars):
        if bar.bar_time.date() == DAY:
            seconds = int((bar.bar_time - MIDNIGHT).total_seconds()) // width_s * width_s
            groups.setdefault((*bar.series, MIDNIGHT + timedelta(seconds=seconds)), []).append(bar)
    rows = []
    for key, group in sorted(groups.items()):
        group.sort(key=lambda b: b.bar_time)
        rows.append(
            (
                *key,
                group[0].open,
                max(b.high for b in group),
                min(b.low for b in group),
                group[-1].close,
                total(b.volume for b in group),
                total(b.notional for b in group),
                sum(b.trade_count for b in group),
                len(group),
                "final" if all(b.state == "final" for b in group) else "provisional",
                max(b.known_time for b in group),
            )
        )
    return rows


def in_utc(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(v.replace(tzinfo=UTC) if isinstance(v, datetime) else v for v in row) for row in rows]


def decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(1, 10**digits - 1).map(lambda n: Decimal(n).scaleb(-places))


minutes = st.tuples(
    st.integers(-3, 24 * 60 + 2),  # minutes of the day, and some of its neighbours
    st.sampled_from(
        [("binance", "BTCUSDT", "spot.trade"), ("binance", "BTCUSDT", "usdm.trade"), ("kraken", "X", "v2")]
    ),
    st.lists(decimals(24, 12), min_size=4, max_size=4),
    decimals(30, 12),
    decimals(34, 24),
    st.integers(1, 10**9),
    st.lists(st.sampled_from(["provisional", "final", "withdrawn"]), min_size=1, max_size=3),
    st.integers(0, 10**6),
)


# Not shrunk: each try asks the warehouse some thirty times, so a smaller example would take minutes to find.
@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=st.lists(minutes, max_size=40, unique_by=lambda m: (m[0], m[1])))
def test_every_rollup_equals_its_minutes_grouped_by_hand(stored: Any, make_bar: Any, drawn: list[Any]) -> None:
    stored.empty()
    bars = []
    for minute, (venue, instrument, space), prices, volume, notional, count, states, known in drawn:
        for revision, state in enumerate(states, 1):
            bars.append(
                make_bar(
                    bar_time=MIDNIGHT + timedelta(minutes=minute),
                    open=prices[0],
                    high=max(prices),
                    low=min(prices),
                    close=prices[1],
                    volume=EXACT.add(volume, Decimal(revision)),
                    notional=notional,
                    trade_count=count,
                    state=state,
                    revision=revision,
                    known_time=MIDNIGHT + timedelta(microseconds=known + revision),
                    venue=venue,
                    instrument=instrument,
                    id_space=space,
                )
            )
    stored.insert_bars(bars)
    roll_up(stored)
    for rollup in ROLLUPS:
        assert in_utc(stored.rollup(SUFFIXES[rollup.width_s])) == oracle(bars, rollup.width_s), rollup.dataset.name


def test_running_a_day_again_changes_nothing(stored: Any, make_bar: Any) -> None:
    stored.insert_bars([make_bar(MIDNIGHT + timedelta(minutes=m)) for m in (0, 1, 7, 600)])
    roll_up(stored)
    first = [stored.rollup(suffix) for suffix in SUFFIXES.values()]
    roll_up(stored)
    assert [stored.rollup(suffix) for suffix in SUFFIXES.values()] == first
    assert [len(rows) for rows in first] == [3, 2, 1]


def test_a_corrected_bar_corrects_its_day_and_leaves_the_others(stored: Any, make_bar: Any, corrected: Any) -> None:
    bar, other = make_bar(MIDNIGHT), make_bar(MIDNIGHT + timedelta(days=1))
    stored.insert_bars([bar, other])
    roll_up(stored)
    roll_up(stored, DAY + timedelta(days=1))
    stored.insert_bars([corrected(bar, close=Decimal(99), high=Decimal(99), trade_count=4)])
    roll_up(stored)
    closes = [(row[3].date(), row[7], row[10]) for row in stored.rollup("1d")]
    assert closes == [(DAY, Decimal(99), 4), (DAY + timedelta(days=1), Decimal(11), 3)]


def test_a_day_whose_bars_were_withdrawn_ends_up_empty(stored: Any, make_bar: Any, corrected: Any) -> None:
    bar = make_bar(MIDNIGHT)
    stored.insert_bars([bar])
    roll_up(stored)
    stored.insert_bars([corrected(bar, state="withdrawn")])
    roll_up(stored)
    assert [stored.rollup(suffix) for suffix in SUFFIXES.values()] == [[], [], []]


def test_a_sum_that_does_not_fit_fails_and_leaves_the_day_as_it_was(stored: Any, make_bar: Any) -> None:
    stored.insert_bars([make_bar(MIDNIGHT)])
    roll_up(stored)
    before = stored.rollup("5m")
    most = Decimal(10) ** 14 - 1
    stored.insert_bars([make_bar(MIDNIGHT + timedelta(minutes=m), notional=most) for m in (1, 2)])
    with pytest.raises(TerminalError):
        roll_up(stored)
    assert stored.rollup("5m") == before


def test_no_attempt_leaves_a_table_behind(stored: Any, make_bar: Any) -> None:
    stored.insert_bars([make_bar(MIDNIGHT)])
    roll_up(stored)
    broken = stored.store.query("rollup").replace("GROUP BY", "GROUPED BY")
    with pytest.raises(TerminalError):
        replace_day(stored.warehouse, broken, ROLLUPS[0], DAY)
    assert stored.warehouse.rows("SELECT name FROM system.tables WHERE name LIKE '%_staged_%'") == []
