"""A series' habit: which silence is ordinary at which hour of the week, and when one has become too long.

A silence that begins in a quiet hour and goes on in a busy one is held against both: each hour takes its share of what
is ordinary at that hour. What is known of an hour is drawn towards its neighbours by how little it is.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.freshness import UNKNOWN
from quality.closures import Closures
from quality.freshness import FEWEST_GAPS, MILLI, ORDINARY_TIMES, Known, Series

HOUR = 3_600_000_000
DAY_HOURS, WEEK_HOURS = 24, 168
# The epoch was a Thursday; weeks begin on Monday.
_EPOCH_HOUR = 3 * DAY_HOURS
# So many silences are worth as much as all that the neighbours know.
NEIGHBOURS_WEIGH = 20
# What is silent for longer than this is looked at no further.
LONGEST = 14 * DAY_HOURS * HOUR


@dataclass(frozen=True)
class Hour:
    """What is known of an hour of the week: how many silences touched it, and the ordinary one of a usual week."""

    count: int
    ordinary_ms: int


Habit = Mapping[int, Hour]
Interval = tuple[int, int]


def hour_of_week(time: int) -> int:
    """Return the hour of the week, from Monday midnight UTC."""
    return (time // HOUR + _EPOCH_HOUR) % WEEK_HOURS


def neighbours(hour: int) -> tuple[int, ...]:
    """Return the hours that are like this one: two before and after it, and the same of the other days of its kind."""
    beside = [(hour + n) % WEEK_HOURS for n in (-2, -1, 1, 2)]
    weekend = hour >= 5 * DAY_HOURS
    days = (5, 6) if weekend else range(5)
    return (*beside, *(day * DAY_HOURS + hour % DAY_HOURS for day in days if day != hour // DAY_HOURS))


def _median(hours: Iterable[Hour]) -> tuple[float, int]:
    """Return the middle of the hours' logarithms, one vote an hour, and how many silences they know."""
    known = sorted((math.log(max(one.ordinary_ms, 1)), one.count) for one in hours if one.count)
    if not known:
        return 0.0, 0
    middle = len(known) // 2
    value = known[middle][0] if len(known) % 2 else (known[middle - 1][0] + known[middle][0]) / 2
    return value, sum(count for _, count in known)


def ordinary_ms(habit: Habit, hour: int) -> int | None:
    """Return the longest silence that is ordinary at an hour of the week; None while too little is known of any."""
    overall, total = _median(habit.values())
    if total < FEWEST_GAPS:
        return None
    like, count = _median(habit[one] for one in neighbours(hour) if one in habit)
    prior = like if count else overall
    own = habit.get(hour, Hour(0, 0))
    weight = own.count / (own.count + NEIGHBOURS_WEIGH)
    value = math.log(max(own.ordinary_ms, 1)) * weight + prior * (1 - weight)
    return round(math.exp(value) * ORDINARY_TIMES)


def overdue_ms(habit: Habit, last: int, now: int, closed: Sequence[Interval] = ()) -> int | None:
    """Return for how long a silence since `last` has been longer than is ordinary, 0 while it is not.

    In `closed`, intervals in order that do not overlap, silence is no silence. None while the habit is unknown.
    """
    if ordinary_ms(habit, hour_of_week(last)) is None:
        return None
    left, overdue = 1.0, 0.0
    for start, end in _hours(last, min(now, last + LONGEST), closed):
        allowance = (ordinary_ms(habit, hour_of_week(start)) or 1) * 1000
        share = (end - start) / allowance
        overdue += max(share - left, 0.0) * allowance
        left = max(left - share, 0.0)
    return round(overdue / 1000)


def _hours(last: int, now: int, closed: Sequence[Interval]) -> Iterable[Interval]:
    """Cut what is open into pieces that lie in one hour each."""
    for start, end in _open(last, now, closed):
        at = start
        while at < end:
            upto = min((at // HOUR + 1) * HOUR, end)
            yield at, upto
            at = upto


def _open(start: int, end: int, closed: Sequence[Interval]) -> Iterable[Interval]:
    at = start
    for begins, ends in closed:
        if begins >= end:
            break
        if begins > at:
            yield at, begins
        at = max(at, ends)
    if at < end:
        yield at, end


def doubtful(known: Mapping[Series, Known], now: int, *, watching_since: int, stale_after_ms: int) -> set[Series]:
    """Return the series whose habit has to be looked at: the silent ones, and those that the last day tells nothing of.

    All others are fresh, whatever their habit.
    """
    return {
        series
        for series, one in known.items()
        if one.cadence_ms == UNKNOWN or now - max(one.last_received, watching_since) > stale_after_ms * MILLI
    }


def expect(
    known: Mapping[Series, Known],
    habits: Mapping[Series, Habit],
    doubted: Iterable[Series],
    now: int,
    *,
    watching_since: int,
    closures: Closures,
) -> dict[Series, Known]:
    """Return what is known with the silence that is ordinary for each doubted series since it was heard last.

    Where no habit is known the last day's cadence holds; when the venue is closed, no silence counts.
    """
    expected = dict(known)
    for series in doubted:
        one = known[series]
        start = max(one.last_received, watching_since)
        closed = closures.closed(series.venue, start, now)
        overdue = overdue_ms(habits.get(series, {}), start, now, closed)
        if overdue is not None:
            expected[series] = replace(one, cadence_ms=max((now - start) // MILLI - overdue, 0))
        elif one.cadence_ms != UNKNOWN:
            away = sum(min(end, now) - max(begin, start) for begin, end in closed if begin < now and end > start)
            expected[series] = replace(one, cadence_ms=one.cadence_ms + away // MILLI)
    return expected
