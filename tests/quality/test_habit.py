"""A series' habit by hour of the week: worked examples, then the arithmetic on any habit."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from contracts.freshness import UNKNOWN
from quality.closures import Closures, parse_window
from quality.freshness import ORDINARY_TIMES, Known, Series
from quality.habit import (
    HOUR,
    LONGEST,
    NEIGHBOURS_WEIGH,
    WEEK_HOURS,
    Hour,
    doubtful,
    expect,
    hour_of_week,
    neighbours,
    ordinary_ms,
    overdue_ms,
)

SECOND, MINUTE = 1_000_000, 60_000_000
MONDAY = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * SECOND
SERIES = Series("kraken", "XBT/USD", "market.trades")
STEADY = dict.fromkeys(range(WEEK_HOURS), Hour(1000, 1_000))


def at(day: int, hour: int, minute: int = 0) -> int:
    return MONDAY + (day * 24 + hour) * HOUR + minute * MINUTE


def test_weeks_begin_on_monday() -> None:
    assert [hour_of_week(one) for one in (MONDAY, at(6, 23), at(7, 0))] == [0, 167, 0]


def test_a_liquid_series_that_stops_is_overdue_within_seconds() -> None:
    assert overdue_ms(STEADY, at(0, 9), at(0, 9) + 3 * SECOND) == 0
    assert overdue_ms(STEADY, at(0, 9), at(0, 10)) == 3_600_000 - 3_000


def test_an_illiquid_series_may_be_quiet_for_hours() -> None:
    quiet = dict.fromkeys(range(WEEK_HOURS), Hour(40, 3_600_000))
    assert overdue_ms(quiet, at(0, 9), at(0, 12)) == 0
    assert overdue_ms(quiet, at(0, 9), at(0, 13)) == 3_600_000


def test_a_silence_of_the_night_uses_up_little_of_what_the_morning_allows() -> None:
    # Ten hours are ordinary until eight, a second after it.
    habit = {h: Hour(1000, 36_000_000 if h % 24 < 8 else 1_000) for h in range(WEEK_HOURS)}
    assert overdue_ms(habit, at(0, 3), at(0, 8)) == 0
    overdue = overdue_ms(habit, at(0, 3), at(0, 8, 5))
    assert overdue is not None
    assert 290_000 < overdue < 300_000, "from the third second on"


def test_an_hour_of_which_little_is_known_is_like_its_neighbours() -> None:
    habit = STEADY | {9: Hour(1, 3_600_000)}
    known = ordinary_ms(habit, 9)
    assert known is not None
    assert 3_000 < known < 3 * 1_500, "one outage of an hour says little"
    assert ordinary_ms(STEADY | {9: Hour(100_000, 60_000)}, 9) == pytest.approx(180_000, rel=0.01)
    assert ordinary_ms({h: STEADY[h] for h in STEADY if h != 9}, 9) == 3_000


def test_too_little_history_is_unknown() -> None:
    assert ordinary_ms({}, 5) is None
    assert overdue_ms({3: Hour(4, 1_000)}, at(0, 1), at(3, 1)) is None


def test_while_a_venue_is_closed_silence_is_none() -> None:
    closed = [(at(0, 21), at(1, 14))]
    assert overdue_ms(STEADY, at(0, 21) - SECOND, at(1, 14) + SECOND, closed) == 0
    assert overdue_ms(STEADY, at(0, 21) - SECOND, at(1, 14) + 10 * SECOND, closed) == 8_000


def test_sessions_and_maintenance_windows_are_closures() -> None:
    closures = Closures({"nyse": "XNYS"}, (parse_window("kraken tue 02:00 60"), parse_window("kraken day 02:30 60")))
    # New York: 14:30 to 21:00 UTC; over the weekend its clocks are put forward.
    (night,) = closures.closed("nyse", at(0, 20), at(1, 15))
    assert night == (at(0, 21), at(1, 14, 30))
    (weekend,) = closures.closed("nyse", at(4, 21), at(7, 12))
    assert weekend == (at(4, 21), at(7, 13, 30))
    assert closures.closed("kraken", at(1, 0), at(2, 0)) == [
        (at(0, 2, 30), at(0, 3, 30)), (at(1, 2), at(1, 3, 30)),
    ]  # fmt: skip
    assert closures.closed("binance", at(0, 0), at(7, 0)) == []


@pytest.mark.parametrize("text", ["", "kraken tue", "kraken someday 02:00 60", "kraken tue 24:00 60", "k tue 02:00 0"])
def test_a_window_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(TerminalError, match='valid: "VENUE DAY HH:MM MINUTES"'):
        parse_window(text)


def test_a_calendar_that_does_not_exist_is_named() -> None:
    with pytest.raises(TerminalError, match="there is no trading calendar 'MOON'"):
        Closures({"v": "MOON"}).closed("v", at(0, 0), at(1, 0))


def judged(last: int, now: int, cadence_ms: int, habits: Any, closures: Closures | None = None) -> int:
    known = {SERIES: Known(0, last, cadence_ms)}
    doubted = doubtful(known, now, watching_since=0, stale_after_ms=300_000)
    expected = expect(known, habits, doubted, now, watching_since=0, closures=closures or Closures())
    return expected[SERIES].cadence_ms


def test_only_silent_series_are_held_against_their_habit() -> None:
    now = at(2, 12)
    assert judged(now - MINUTE, now, 7_000, {SERIES: STEADY}) == 7_000
    assert judged(now - 10 * MINUTE, now, 7_000, {SERIES: STEADY}) == 3_000
    assert judged(now - 10 * MINUTE, now, 7_000, {}) == 7_000, "without a habit the last day's cadence holds"
    assert judged(now - 10 * MINUTE, now, UNKNOWN, {}) == UNKNOWN
    closed = Closures({}, (parse_window("kraken day 11:55 20"),))
    assert judged(now - 10 * MINUTE, now, 7_000, {}, closed) == 7_000 + 300_000


def test_a_market_with_nights_has_all_but_no_false_alarm_and_a_real_stop_is_seen() -> None:
    # Trades come at random, 2 s apart by day and 10 min apart by night, for eight weeks; then a ninth is watched.
    draw = random.Random(5)

    def mean(time: int) -> float:
        return 2 if 8 <= hour_of_week(time) % 24 < 20 else 600

    def receipts(start: int, hours: int, quickest: float) -> list[int]:
        time, found = start, []
        while time < start + hours * HOUR:
            following = time + round(max(draw.expovariate(1 / max(mean(time), quickest)), 1) * SECOND)
            hour = (time // HOUR + 1) * HOUR
            # What is random has no memory: in another hour it begins anew.
            time = min(following, hour)
            if following < hour:
                found.append(time)
        return found

    habit: dict[int, Hour] = {}
    for hour in range(WEEK_HOURS):
        beat = mean(MONDAY + hour * HOUR)
        gaps = sorted(draw.expovariate(1 / beat) for _ in range(round(8 * 3600 / beat)))
        habit[hour] = Hour(len(gaps), round(gaps[len(gaps) * 95 // 100] * 1000))
    watched = receipts(at(0, 0), 72, 30)
    alarms = sum((overdue_ms(habit, a, b) or 0) > 300_000 for a, b in pairwise(watched))
    assert alarms <= 1
    assert (overdue_ms(habit, at(1, 12), at(1, 12, 6)) or 0) > 300_000


habits = st.dictionaries(
    st.integers(0, WEEK_HOURS - 1), st.builds(Hour, st.integers(1, 5_000), st.integers(1_000, 10**8)), max_size=40
)
moments = st.integers(MONDAY, MONDAY + 21 * 24 * HOUR)


@given(habit=habits, hour=st.integers(0, WEEK_HOURS - 1))
def test_what_is_ordinary_lies_between_what_is_known(habit: dict[int, Hour], hour: int) -> None:
    found = ordinary_ms(habit, hour)
    if sum(one.count for one in habit.values()) < 5:
        assert found is None
        return
    known = [one.ordinary_ms * ORDINARY_TIMES for one in habit.values()]
    assert found is not None
    assert min(known) * 0.999 - 1 <= found <= max(known) * 1.001 + 1


@given(habit=habits, hour=st.integers(0, WEEK_HOURS - 1), ordinary=st.integers(1_000, 10**8))
def test_the_more_is_known_of_an_hour_the_nearer_it_is_to_its_own(
    habit: dict[int, Hour], hour: int, ordinary: int
) -> None:
    told = [
        abs((ordinary_ms(habit | {hour: Hour(count, ordinary)}, hour) or 0) - ordinary * ORDINARY_TIMES)
        for count in (NEIGHBOURS_WEIGH, 100 * NEIGHBOURS_WEIGH)
    ]
    assert told[1] <= told[0] + 1


@given(hour=st.integers(0, WEEK_HOURS - 1))
def test_neighbours_are_of_the_same_kind_of_day_or_hours_away(hour: int) -> None:
    around = neighbours(hour)
    assert hour not in around
    assert len(set(around)) == len(around)
    for one in around:
        near = min((one - hour) % WEEK_HOURS, (hour - one) % WEEK_HOURS) <= 2
        assert near or (one % 24 == hour % 24 and (one >= 120) == (hour >= 120))


@given(habit=habits, last=moments, first=st.integers(0, LONGEST), more=st.integers(0, LONGEST))
def test_a_silence_is_never_less_overdue_later_and_never_more_than_it_is_long(
    habit: dict[int, Hour], last: int, first: int, more: int
) -> None:
    before, after = (overdue_ms(habit, last, last + first), overdue_ms(habit, last, last + first + more))
    if before is None or after is None:
        assert before == after
        return
    assert 0 <= before <= after + 1
    assert after <= min(first + more, LONGEST) // 1000 + 1


@given(habit=habits, last=moments, length=st.integers(0, 72), start=st.integers(0, 60), hours=st.integers(1, 30))
def test_closing_never_makes_a_silence_longer(
    habit: dict[int, Hour], last: int, length: int, start: int, hours: int
) -> None:
    now = last + length * HOUR
    closed = [(last + start * HOUR, last + (start + hours) * HOUR)]
    open_all, partly = overdue_ms(habit, last, now), overdue_ms(habit, last, now, closed)
    assert (open_all is None) == (partly is None)
    shut = sum(max(min(b, now) - max(a, last), 0) for a, b in closed) // 1000
    assert (partly or 0) <= max(length * HOUR // 1000 - shut, 0) + 1


@given(
    windows=st.lists(
        st.tuples(st.sampled_from(["mon", "sat", "day"]), st.integers(0, 23), st.integers(1, 1440)), max_size=4
    ),
    start=moments,
    hours=st.integers(1, 200),
)
def test_closures_are_in_order_and_do_not_overlap(windows: list[tuple[str, int, int]], start: int, hours: int) -> None:
    closures = Closures({}, tuple(parse_window(f"v {d} {h:02}:00 {m}") for d, h, m in windows))
    found = closures.closed("v", start, start + hours * HOUR)
    assert all(a < b for a, b in found)
    assert all(one[1] < other[0] for one, other in pairwise(found))
    for minute in range(0, hours * 60, 37):
        time = start + minute * MINUTE
        moment = datetime.fromtimestamp(time / SECOND, UTC)
        shut = any(
            0
            <= (
                moment - (moment - timedelta(days=back)).replace(hour=h, minute=0, second=0, microsecond=0)
            ).total_seconds()
            < m * 60
            for d, h, m in windows
            for back in (0, 1)
            if d in ("day", f"{moment - timedelta(days=back):%a}".lower())
        )
        assert any(a <= time < b for a, b in found) == shut
