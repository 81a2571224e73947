"""Rows of other widths among bars: off the grid, at a coarser step, or sums of their neighbours."""

from collections.abc import Iterator
from datetime import time

import polars as pl

from quality.history.finding import Finding, found
from quality.history.view import DAY_S, FEWEST, View

# Steps of the same coarser width in a row: by chance a market that trades nine bars in ten skips this often never.
COARSE_RUN = 9
COARSE_DAYS_RUN = 4
# In markets that skip every third bar any stretch may skip alike.
OFTEN = 0.7
# Widths that bars are summed to, in bars; over ten bars and fewer a busy one holds the next ones by chance.
SUMS = (15, 30, 60, 240, 390, 1440)
SUMS_OF_DAYS = (21,)
# What such a bar has beyond the sum of the others is its own first bar's volume: a few times their mean, and in a burst
# of trading as much as a quarter of all of them.
OWN_VOLUME, OWN_SHARE = 5, 0.25
# With a step of summer time daily bars stand at two hours of the day.
SUMMER_TIME_SHARE, HOUR_US, HALF_A_YEAR = 0.2, 3_600_000_000, 180


def off_grid(view: View) -> Iterator[Finding]:
    """Bars that don't begin where bars of this width begin; for days, at another time of day than the others."""
    width = view.width_s
    if not width or width > DAY_S or len(view.times) < FEWEST:
        return
    frame = view.frame.with_columns(_off=pl.col("time").dt.epoch("us") % (width * 1_000_000))
    counts = frame["_off"].value_counts(sort=True)
    usual = [counts["_off"][0]]
    if width == DAY_S and counts.height > 1 and _summer_time(frame, counts):
        usual.append(counts["_off"][1])
    rows = frame.filter(~pl.col("_off").is_in(usual))
    if not rows.height:
        return
    if rows.height == 1 and rows["time"][0] == view.times[-1]:
        told = "the last bar begins off the others' grid: it was still running"
        yield found(view.recorded, "unfinished_bar", "warn", told, rows, width_s=width)
        return
    told = "rows of another width or clock: they don't begin where bars of this width begin"
    yield found(view.recorded, "mixed_granularity", "error", told, rows, width_s=width)


def _summer_time(frame: pl.DataFrame, counts: pl.DataFrame) -> bool:
    """Tell whether days stand at two hours, one apart, that take turns with the seasons."""
    hour = abs(counts["_off"][1] - counts["_off"][0]) in (HOUR_US, (DAY_S * 1_000_000) - HOUR_US)
    often = counts["count"][1] >= SUMMER_TIME_SHARE * frame.height
    turns = int((frame.sort("time")["_off"].diff() != 0).sum())
    return hour and often and (turns >= 2 or frame.height < HALF_A_YEAR)


def coarser_stretch(view: View) -> Iterator[Finding]:
    """Stretches in which bars come at a constant multiple of the width."""
    width = view.width_s
    if not width or width > DAY_S or len(view.times) < 2 * FEWEST:
        return
    steps = pl.DataFrame({"time": view.times, "step": view.times.diff().dt.total_seconds()}).drop_nulls()
    if view.american:
        steps = steps.filter(view.in_session())
    steps = steps.with_columns(run=pl.col("step").rle_id())
    stretches = steps.group_by("run", maintain_order=True).agg(
        pl.col("step").first(), pl.col("time").min().alias("since"), pl.col("time").max().alias("until"), pl.len()
    )
    least = COARSE_DAYS_RUN if width == DAY_S else COARSE_RUN
    common = stretches.filter(pl.col("step") == width)["len"].sum()
    wide = stretches.filter((pl.col("step") > width) & (pl.col("step") % width == 0) & (pl.col("len") >= least))
    if width == DAY_S:
        wide = wide.filter(pl.col("step") > 3 * DAY_S)
    if not wide.height:
        return
    if common < OFTEN * steps.height and width != DAY_S:
        return
    for row in wide.to_dicts():
        rows = view.frame.filter(pl.col("time").is_between(row["since"], row["until"]))
        told = f"here bars come every {row['step']} s, elsewhere every {width} s"
        yield found(view.recorded, "mixed_granularity", "error", told, rows, step_s=row["step"], width_s=width)


def sums_of_neighbours(view: View) -> Iterator[Finding]:
    """A bar that holds the prices and at least the volume of the bars that follow it: one of a greater width."""
    need = {"open", "high", "low", "close", "volume"}
    if view.kind != "bars" or not need <= set(view.frame.columns) or view.recorded.market == "option":
        return
    if view.width_s < 60:
        return
    frame = view.once
    for size in SUMS_OF_DAYS if view.daily else SUMS:
        if frame.height < size + 2:
            break
        rest = size - 1
        ahead = frame.with_columns(
            _max=pl.col("high").rolling_max(rest).shift(-rest),
            _min=pl.col("low").rolling_min(rest).shift(-rest),
            _sum=pl.col("volume").rolling_sum(rest).shift(-rest),
            _traded=(pl.col("volume") > 0).cast(pl.Int32).rolling_sum(rest).shift(-rest),
            _close=pl.col("close").shift(-rest),
        )
        rows = ahead.filter(
            (pl.col("high") >= pl.col("_max"))
            & (pl.col("low") <= pl.col("_min"))
            & (pl.col("volume") - pl.col("_sum")).is_between(0, max(OWN_VOLUME / rest, OWN_SHARE) * pl.col("_sum"))
            & ((pl.col("high") == pl.col("_max")) | (pl.col("low") == pl.col("_min")))
            & (pl.col("close") == pl.col("_close"))
            & (pl.col("_traded") > rest / 2)
            & (pl.col("high") > pl.col("low"))
        )
        if rows.height:
            told = f"bars that hold the {rest} bars after them: of a greater width, so that these count twice"
            yield found(view.recorded, "mixed_granularity", "error", told, rows, bars=size)


def time_of_day(view: View) -> Iterator[Finding]:
    """Daily bars that all stand at an hour other than midnight: the days of another clock."""
    if not view.daily or view.frame.height < FEWEST:
        return
    rows = view.frame.filter(pl.col("time").dt.time() != time())
    if rows.height > view.frame.height / 2:
        hours = sorted({str(one) for one in rows["time"].dt.time().unique()})
        told = (
            "days that don't begin at midnight UTC: the clock of another zone, by which a row's date may be off by one"
        )
        yield found(view.recorded, "clock_shift", "warn", told, rows, times_of_day=hours[:5])
