"""Volumes and spreads against what is usual at that time of day."""

from collections.abc import Iterator

import polars as pl

from quality.history.finding import Finding, found
from quality.history.robust import sigma
from quality.history.view import View

# Ten robust sigmas of a log-volume that scatters by a factor of three are beyond any auction or news.
VOLUME_SIGMAS = 10.0
LEAST_FACTOR = 50.0
# A spread so many times the usual, and above half a percent of the price, is no market.
SPREAD_TIMES, SPREAD_LEAST = 50.0, 0.005
ENOUGH = 60


def volume_outliers(view: View) -> Iterator[Finding]:
    """Bars whose volume is far above what is usual at their minute of the day, or around their day."""
    if view.kind != "bars" or "volume" not in view.frame.columns or view.recorded.market == "option":
        return
    frame = view.once.filter(pl.col("volume") > 0).with_columns(_log=pl.col("volume").log())
    if frame.height < ENOUGH:
        return
    days = frame["time"].dt.date().n_unique()
    if not view.daily and days >= 5:
        local = pl.col("time").dt.convert_time_zone(view.zone)
        usual = pl.col("_log").median().over(local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute())
    else:
        usual = pl.col("_log").rolling_median(61, center=True, min_samples=10)
    frame = frame.with_columns(_off=pl.col("_log") - usual)
    wide = max(VOLUME_SIGMAS * sigma(frame["_off"]), float(pl.Series([LEAST_FACTOR]).log()[0]))
    rows = frame.filter(pl.col("_off").abs() > wide)
    high = rows.filter(pl.col("_off") > 0)
    if high.height:
        told = "volumes far above what is usual at that time: an event, a block, or another unit"
        yield found(view.recorded, "volume_outlier", "warn", told, high, more_than_times=2.718281828**wide)


def spread_outliers(view: View) -> Iterator[Finding]:
    """Quotes whose spread is many times the usual."""
    names = ("bid_close", "ask_close") if view.kind == "quote_bars" else ("bid_price", "ask_price")
    if view.kind not in ("quotes", "quote_bars") or view.recorded.market == "option":
        return
    both = view.floats.filter((pl.col(names[0]) > 0) & (pl.col(names[1]) > pl.col(names[0])))
    if both.height < ENOUGH:
        return
    both = both.with_columns(_spread=(pl.col(names[1]) - pl.col(names[0])) / pl.col(names[1]))
    usual = float(both["_spread"].median() or 0.0)  # type: ignore[arg-type]
    rows = both.filter(pl.col("_spread") > max(SPREAD_TIMES * usual, SPREAD_LEAST))
    if rows.height:
        told = "spreads far above the usual: nobody makes a market at that moment"
        yield found(view.recorded, "spread_outlier", "warn", told, rows.drop("_spread"), usual_spread=usual)
