"""Which bars a market's clock lets expect, and which of them are missing."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple

import polars as pl

from quality.history.sessions import sessions
from quality.history.view import View

# In markets that trade most of the time a silent bar is missing; in thinner ones it is a quiet moment.
DENSE = 0.7
# Days of a table have usual hours when half of them and more begin and end alike.
USUAL, FEWEST_DAYS = 0.5, 3


class Window(NamedTuple):
    """A stretch in which every bar is expected, its end excluded; `told` when a calendar or a name says so."""

    begin: datetime
    end: datetime
    told: bool


class Run(NamedTuple):
    """Missing bars in a row: the first, the last, how many, and whether rows stand before and after it."""

    since: datetime
    until: datetime
    bars: int
    inside: bool


def windows(view: View, width_s: int) -> list[Window]:
    """Return the stretches in which bars of this width are expected, in order."""
    width = timedelta(seconds=width_s)
    day = view.recorded.day
    first, last = view.times[0], view.times[-1]
    if view.calendar == "always":
        if day is None:
            return [Window(first, last + width, False)]
        begin = datetime.combine(day, time(), UTC)
        return [Window(begin, begin + timedelta(days=1), True)]
    if view.american:
        open_days = sessions(day, day) if day else view.sessions
        present = set(view.days)
        return [Window(one[1], one[2], True) for one in open_days.iter_rows() if one[0] in present or day]
    return _usual_windows(view, width)


def _usual_windows(view: View, width: timedelta) -> list[Window]:
    """Return each day's stretch between the times of day at which most days begin and end; as it is where none do."""
    rows = pl.DataFrame({"time": view.times}).group_by(pl.col("time").dt.date().alias("day"), maintain_order=True)
    spans = rows.agg(pl.col("time").min().alias("begin"), pl.col("time").max().alias("end"))
    begins, ends = spans["begin"].dt.time(), spans["end"].dt.time()
    begin, end = View.most(begins), View.most(ends)
    usual = min(float((begins == begin).mean() or 0), float((ends == end).mean() or 0)) >= USUAL
    if not usual or begin >= end or spans.height < FEWEST_DAYS:
        return [Window(one, other + width, False) for _, one, other in spans.iter_rows()]
    early: dict[date, timedelta] = {}
    if view.calendar == "XNYS":
        lengths = view.sessions.with_columns(length=pl.col("close") - pl.col("open"))
        longest = lengths["length"].max()
        early = {day: longest - length for day, _, _, length in lengths.iter_rows() if length < longest}
    found = []
    for day in spans["day"]:
        until = datetime.combine(day, end, UTC) + width - early.get(day, timedelta(0))
        found.append(Window(datetime.combine(day, begin, UTC), until, True))
    return found


def present_in(times: pl.Series, window: Window, width_s: int) -> pl.Series:
    """Return which bars of the window, numbered from its begin, are there."""
    inside = times.filter((times >= window.begin) & (times < window.end))
    return ((inside - window.begin).dt.total_microseconds() // (width_s * 1_000_000)).unique().sort()


def runs(window: Window, present: pl.Series, width_s: int) -> list[Run]:
    """Return the window's bars that are not there, joined where they follow each other."""
    size = max(1, int((window.end - window.begin).total_seconds()) // width_s)
    there = [-1, *present.to_list(), size]
    found = []
    for before, after in pairwise(there):
        if after - before > 1:
            since = window.begin + timedelta(seconds=width_s * (before + 1))
            until = window.begin + timedelta(seconds=width_s * (after - 1))
            found.append(Run(since, until, after - before - 1, before >= 0 and after < size))
    return found


def density(view: View, width_s: int, within: list[Window]) -> float:
    """Return the median window's share of bars that are there, between its first and its last."""
    shares = []
    for window in within:
        there = present_in(view.times, window, width_s)
        if len(there) > 1:
            shares.append(len(there) / (int(there[-1]) - int(there[0]) + 1))
    return sorted(shares)[len(shares) // 2] if shares else 0.0


def missing_days(view: View) -> list[Run]:
    """Return the days of a daily file that are not there, joined where the market's days follow each other."""
    first, last = view.span
    if view.calendar == "XNYS":
        wanted = view.sessions["day"]
    else:
        wanted = pl.date_range(first, last, "1d", eager=True)
        if view.calendar == "weekdays":
            wanted = wanted.filter(wanted.dt.weekday() <= 5)
    there = set(view.days)
    found: list[Run] = []
    row: list[datetime] = []
    for day in [*wanted, None]:
        if day is not None and day not in there:
            row.append(datetime.combine(day, time(), UTC))
        elif row:
            found.append(Run(row[0], row[-1], len(row), True))
            row = []
    return found


def closed_days(view: View, at_least: int) -> list[tuple[datetime, datetime]]:
    """Return the stretches of so many days without rows that the calendar explains: the market was closed."""
    days = view.days
    gaps = pl.DataFrame({"day": days, "before": days.shift(1)}).drop_nulls()
    wide = gaps.filter((pl.col("day") - pl.col("before")).dt.total_days() > at_least)
    open_days = set(view.sessions["day"])
    told = []
    for day, before in wide.iter_rows():
        between = [before + timedelta(days=n) for n in range(1, (day - before).days)]
        if not any(one in open_days for one in between):
            told.append((datetime.combine(before, time(), UTC), datetime.combine(day, time(), UTC)))
    return told
