"""Holes between bars: count what is there, hold the last price through them, or begin anew after them.

Indicators count bars: a minute without a trade has none and takes no part, as a weekend takes none in a table of days.
Where windows are to be of the clock, hand in what `held` returns; where they must not span a hole, name the column
of `runs` among the series.
"""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from contracts.errors import TerminalError
from features.indicators.frames import KNOWN, SERIES, TIME, US

RUN = "run"
_PRICES = ("open", "high", "low")
_AMOUNTS = ("volume", "notional", "trade_count", "minute_count")


def held(
    bars: pl.DataFrame,
    every: timedelta,
    *,
    at_most: timedelta | None = None,
    series: Sequence[str] = SERIES,
    time: str = TIME,
) -> pl.DataFrame:
    """Return the bars with one for every `every` between a series' first and last.

    A bar put in has the last close as its prices and no volume; it becomes known when it ends, or with the bar that it
    is held from. `at_most` is how long a price is held: a longer hole stays open behind that.
    """
    _aligned(bars, every, time)
    frame = bars.with_columns(pl.col(time).cast(US)).sort(*series, time)
    # How long each bar is held: up to the next one, not longer than asked.
    until = pl.col(time).shift(-1).over(series).fill_null(pl.col(time) + every)
    longest = pl.col(time) + (every if at_most is None else max(every, at_most + every))
    reach = until if at_most is None else pl.min_horizontal(until, longest)
    columns = set(frame.columns)
    filled = frame.with_columns(pl.datetime_ranges(time, reach, every, closed="left").alias("_times")).explode("_times")
    put_in = pl.col("_times") != pl.col(time)
    flat = [pl.when(put_in).then(pl.col("close")).otherwise(pl.col(n)).alias(n) for n in _PRICES if n in columns]
    empty = [
        pl.when(put_in).then(0).otherwise(pl.col(n)).cast(frame.schema[n]).alias(n) for n in _AMOUNTS if n in columns
    ]
    known = (
        [
            pl.when(put_in)
            .then(pl.max_horizontal(pl.col(KNOWN), (pl.col("_times") + every).cast(frame.schema[KNOWN])))
            .otherwise(pl.col(KNOWN))
            .alias(KNOWN)
        ]
        if KNOWN in columns
        else []
    )
    return filled.with_columns(*flat, *empty, *known).with_columns(pl.col("_times").alias(time)).drop("_times")


def runs(bars: pl.DataFrame, every: timedelta, *, series: Sequence[str] = SERIES, time: str = TIME) -> pl.DataFrame:
    """Return the bars with the number of the unbroken run that each belongs to, as column `run`."""
    after_hole = pl.col(time).diff().over(series) != every
    return bars.sort(*series, time).with_columns(after_hole.fill_null(False).cum_sum().over(series).alias(RUN))


def _aligned(bars: pl.DataFrame, every: timedelta, time: str) -> None:
    step = every // timedelta(microseconds=1)
    if step <= 0:
        raise TerminalError(f"bars of {every} can't be held; the width must be longer than nothing")
    off = bars.filter(pl.col(time).dt.timestamp("us") % step != 0)
    if off.height:
        raise TerminalError(f"a bar at {off.get_column(time)[0]} does not begin on a multiple of {every}")
