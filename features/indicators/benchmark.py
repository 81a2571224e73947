"""How an instrument moves with a benchmark: beta and correlation."""

import numpy as np
import polars as pl

from features.indicators.declared import Arrays, Floats, Indicator, Outputs
from features.indicators.series import ago, nothing, ratio, still, window, windows

OF = ("returns", "prices")


def _inputs(**_: object) -> tuple[str, ...]:
    return "close", "benchmark"


def _moves(values: Floats, of: str) -> Floats:
    return values if of == "prices" else ratio(values, ago(values, 1)) - 1


def _beta(a: Arrays, *, period: int) -> Outputs:
    own, other = _moves(a["close"], "returns"), _moves(a["benchmark"], "returns")
    together, _, alone = _moments(own, other, period)
    return (np.where(still(other, period), np.nan, ratio(together, alone)),)


def _correlation(a: Arrays, *, period: int, of: str) -> Outputs:
    own, other = _moves(a["close"], of), _moves(a["benchmark"], of)
    together, first, second = _moments(own, other, period)
    out = np.clip(ratio(together, np.sqrt(first * second)), -1.0, 1.0)
    return (np.where(still(own, period) | still(other, period), np.nan, out),)


def _moments(first: Floats, second: Floats, period: int) -> tuple[Floats, Floats, Floats]:
    """Return covariance and both variances of each window, about its own means: nothing cancels."""
    together, one, two = nothing(len(first)), nothing(len(first)), nothing(len(first))
    for read, written in windows(len(first), period):
        a = np.lib.stride_tricks.sliding_window_view(first[read], period)
        b = np.lib.stride_tricks.sliding_window_view(second[read], period)
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        together[written] = np.einsum("ij,ij->i", a, b) / period
        one[written] = np.einsum("ij,ij->i", a, a) / period
        two[written] = np.einsum("ij,ij->i", b, b) / period
    return together, one, two


def with_benchmark(bars: pl.DataFrame, benchmark: pl.DataFrame, time: str = "bar_time") -> pl.DataFrame:
    """Return the bars with the benchmark's close of the same time beside, null where it has none.

    `benchmark` holds one bar a time; a bar without one is a hole to beta and correlation.
    """
    return bars.join(benchmark.select(time, pl.col("close").alias("benchmark")), on=time, how="left", validate="m:1")


BENCHMARK = (
    Indicator(
        "beta",
        "Beta to a benchmark",
        "covariance / variance of the benchmark over the last `period` simple returns, as populations",
        "numpy",
        _beta,
        _inputs,
        lambda period: (period,),
        lambda period: window(period),
        {"period": 60},
        least={"period": 2},
        units=("ratio",),
    ),
    Indicator(
        "correlation",
        "Correlation to a benchmark",
        "Pearson's, over the last `period` simple returns, or closes by of=prices",
        "numpy",
        _correlation,
        _inputs,
        lambda period, of: (period if of == "returns" else period - 1,),
        lambda period, of: window(period if of == "returns" else period - 1),
        {"period": 60, "of": "returns"},
        choices={"of": OF},
        least={"period": 2},
        units=("ratio",),
    ),
)
