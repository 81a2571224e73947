"""Whether all bars are there: holes, days that end early, days when the market was closed."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from quality.history.expected import DENSE, Run, Window, closed_days, density, missing_days, present_in, runs, windows
from quality.history.finding import Finding, found
from quality.history.view import DAY_S, FEWEST, View

RANGES_SHOWN = 20
# From so many bars in a row on it is an outage, not a quiet moment: half an hour of minutes.
LONG_RUN = 30
# A week that a market without holidays is away; five sessions of one with holidays.
LONG_DAYS = {"always": 7, "XNYS": 5, "weekdays": 6}
# The last minutes of a day may be quiet; a quarter of an hour of a market that trades each minute is not.
EDGE = 15
# Half a year of sessions: no outage lasts so long, a ticker is away as long as that when it changes hands.
AWAY_DAYS = 126
# Over so many days without a row people look at the calendar (a long weekend has three).
LONG_WEEKEND = 4
# In thin markets a silence counts when it is this many times the longest of a hundred pauses.
SILENCE = 10
MINUTE_S = 60
# Ticks come so densely that a whole minute without any is a hole.
TICKS_DENSE = 0.95
MONTH_S = (28 * DAY_S, 31 * DAY_S)


def missing_bars(view: View) -> Iterator[Finding]:
    """Bars that the market's clock lets expect and that are not there."""
    if view.kind not in ("bars", "quote_bars", "returns", "trades", "quotes") or len(view.times) < FEWEST:
        return
    if view.recorded.market == "option":  # a contract may go without a trade for days
        return
    if view.daily:
        if view.calendar:
            yield from _days(view)
        return
    if view.width_s > DAY_S:
        yield from _months(view)
        return
    ticks = not view.width_s
    if ticks and (view.recorded.day is None or view.recorded.notes.get("feed")):
        if not view.recorded.notes.get("feed") and len(view.times) >= FEWEST * 10:
            yield from _silences(view)
        return
    width = view.width_s or MINUTE_S
    expected = windows(view, width)
    if not expected:
        return
    share = density(view, width, expected)
    dense = share >= (TICKS_DENSE if ticks else DENSE)
    if not view.recorded.market and view.calendar:
        yield from _told(view, missing_days(view), LONG_DAYS[view.calendar], "hole", "whole days are missing")
    if dense:
        yield from _runs(view, width, expected, share)
    elif len(view.times) >= FEWEST * 10:
        yield from _silences(view)
    yield from _cut_days(view, width, expected, dense)


def _runs(view: View, width: int, expected: Sequence[Window], share: float) -> Iterator[Finding]:
    holes = [run for one in expected for run in runs(one, present_in(view.times, one, width), width)]
    inside = [run for run in holes if run.inside or (run.bars <= EDGE and expected[0].told)]
    told = "bars are missing in a market that trades all the time"
    yield from _told(view, inside, LONG_RUN, "hole", told, share=share, width_s=width)


def _told(view: View, holes: Sequence[Run], long: int, name: str, told: str, **evidence: Any) -> Iterator[Finding]:
    for check, severity, part in (
        ("missing_bars", "warn", [run for run in holes if run.bars < long]),
        (name, "error" if view.calendar else "warn", [run for run in holes if run.bars >= long]),
    ):
        if part:
            shown = [{"from": run.since, "to": run.until, "bars": run.bars} for run in part[:RANGES_SHOWN]]
            yield found(
                view.recorded, check, severity, told, count=sum(run.bars for run in part),
                since=part[0].since, until=part[-1].until, ranges=shown, range_count=len(part), **evidence,
            )  # fmt: skip


def _cut_days(view: View, width: int, expected: Sequence[Window], dense: bool) -> Iterator[Finding]:
    """Days that begin late or end early, by the calendar, the file's day, or the other days of the file."""
    step = timedelta(seconds=width)
    steps = view.times.diff().drop_nulls().dt.total_microseconds() / 1_000_000
    usual = float(steps.quantile(0.99) or 0.0)
    room = timedelta(seconds=max(EDGE * width, 0 if dense else SILENCE * usual))
    if not expected[0].told or not (dense or view.recorded.day):
        return
    for window in expected:
        there = present_in(view.times, window, width)
        if not len(there):
            if view.recorded.day:
                told = "no row lies in the session of the day that the file is named for"
                yield found(view.recorded, "truncated_day", "error", told, view.frame, count=0, session=window[:2])
            continue
        begin, end = window.begin + int(there[0]) * step, window.begin + (int(there[-1]) + 1) * step
        if window.end - end > room:
            yield _cut(view, width, end, window.end, "ends before the day does")
        if begin - window.begin > room:
            yield _cut(view, width, window.begin, begin, "begins after the day does")


def _cut(view: View, width: int, since: datetime, until: datetime, why: str) -> Finding:
    missing = int((until - since).total_seconds()) // width
    return found(
        view.recorded, "truncated_day", "error", f"the recording {why}", count=missing, since=since, until=until,
        bars_missing=missing, rows_there=view.frame.height,
    )  # fmt: skip


def _silences(view: View) -> Iterator[Finding]:
    """Pauses of a thin market that are far longer than its own."""
    frame = pl.DataFrame({"until": view.times, "since": view.times.shift(1)}).drop_nulls()
    frame = frame.with_columns(pause=(pl.col("until") - pl.col("since")).dt.total_microseconds() / 1e6)
    if view.calendar == "XNYS":
        return
    usual = float(frame["pause"].quantile(0.99) or 0.0)
    for until, since, pause in frame.filter(pl.col("pause") > SILENCE * usual).iter_rows():
        told = "a silence far longer than this market's own pauses"
        yield found(
            view.recorded, "silence", "warn", told, count=0, since=since, until=until, seconds=pause, usual_s=usual
        )


def _days(view: View) -> Iterator[Finding]:
    told = "days on which this market was open are missing"
    holes = missing_days(view)
    if view.calendar == "weekdays":  # of another country's exchange: its holidays are not known here
        holes = [run for run in holes if run.bars > 2]
    away = [run for run in holes if run.bars >= AWAY_DAYS]
    yield from _told(view, [run for run in holes if run.bars < AWAY_DAYS], LONG_DAYS[view.calendar], "hole", told)
    for run in away:
        why = "no row for half a year: renamed, listed anew, or a ticker that another company used before"
        yield found(view.recorded, "reused_ticker", "warn", why, count=run.bars, since=run.since, until=run.until)
    if view.calendar == "XNYS":
        for since, until in closed_days(view, LONG_WEEKEND):
            told = "more than a long weekend without rows, and the exchange was closed all that time"
            yield found(view.recorded, "market_closed", "info", told, count=0, since=since, until=until)
        rows = view.frame.filter(~pl.col("time").dt.date().is_in(view.sessions["day"].implode()))
        if rows.height:
            told = "rows of days on which the exchange was closed: a wrong date, another market or a clock that is off"
            yield found(view.recorded, "non_trading_day", "error", told, rows, calendar="XNYS")
    if view.calendar == "weekdays":
        rows = view.frame.filter(pl.col("time").dt.weekday() > 5)
        if rows.height:
            told = "rows of Saturdays and Sundays in a file of weekdays"
            yield found(view.recorded, "non_trading_day", "warn", told, rows, calendar="weekdays")


def _months(view: View) -> Iterator[Finding]:
    if not MONTH_S[0] <= view.width_s <= MONTH_S[1]:
        return
    months = view.times.dt.year().cast(pl.Int64) * 12 + view.times.dt.month()
    frame = pl.DataFrame({"time": view.times, "before": view.times.shift(1), "step": months.diff()})
    gaps = frame.filter(pl.col("step") > 1)
    holes = [Run(row["before"], row["time"], row["step"] - 1, True) for row in gaps.to_dicts()]
    yield from _told(view, holes, 6, "hole", "months are missing")


def unfinished_bar(view: View) -> Iterator[Finding]:
    """A last bar that was not over when the file was made."""
    last = view.recorded.notes.get("last")
    if view.kind != "bars" or last is None or "volume" not in view.frame.columns:
        return
    rows = view.frame.filter(pl.col("time") > pl.lit(last))
    if rows.height:
        told = "the venue calls an earlier bar the last finished one: this one was still running"
        yield found(view.recorded, "unfinished_bar", "warn", told, rows, last_finished=last)
