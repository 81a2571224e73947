"""Rolling and recursive averages over one series, the building blocks of the indicators."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from features.indicators.declared import SETTLED, Floats, Lookback

# Windows are laid out side by side in pieces of about this many numbers, so that long ones don't fill the memory.
PIECE = 1 << 21


def nothing(size: int) -> Floats:
    """Return a series that says nothing."""
    return np.full(size, np.nan)


def ago(values: Floats, bars: int) -> Floats:
    """Return each row's value of `bars` rows before."""
    out = nothing(len(values))
    # A series that is shorter has no row of before.
    out[bars:] = values[: max(len(values) - bars, 0)]
    return out


def mean(values: Floats, period: int) -> Floats:
    """Return the mean of each row and the rows before it, `period` in all; NaN until there are as many."""
    return _rolling(pl.Series(values).fill_nan(None).rolling_mean(period))


def total(values: Floats, period: int) -> Floats:
    """Return the sum of each row and the rows before it, `period` in all."""
    return _rolling(pl.Series(values).fill_nan(None).rolling_sum(period))


def highest(values: Floats, period: int) -> Floats:
    """Return the largest of each row and the rows before it, `period` in all."""
    return _rolling(pl.Series(values).fill_nan(None).rolling_max(period))


def lowest(values: Floats, period: int) -> Floats:
    """Return the smallest of each row and the rows before it, `period` in all."""
    return _rolling(pl.Series(values).fill_nan(None).rolling_min(period))


def deviation(values: Floats, period: int) -> Floats:
    """Return the population standard deviation of each row and the rows before it; exactly 0 where nothing moves."""
    out = _rolling(pl.Series(values).fill_nan(None).rolling_std(period, ddof=0))
    return np.where(still(values, period), 0.0, out)


def still(values: Floats, period: int) -> npt.NDArray[np.bool_]:
    """Return where nothing moved for `period` rows: running sums can't tell that from rounding, extremes can."""
    return np.equal(highest(values, period), lowest(values, period))


def smoothed(values: Floats, alpha: float, seed: int) -> Floats:
    """Return s = s + alpha (x - s), begun with the mean of the first `seed` values that are not NaN."""
    out = nothing(len(values))
    known = np.flatnonzero(~np.isnan(values))
    if len(known) < seed:
        return out
    first = int(known[0]) + seed - 1
    tail = values[first:].copy()
    tail[0] = values[known[0] : first + 1].mean()
    out[first:] = pl.Series(tail).ewm_mean(alpha=alpha, adjust=False, min_samples=1).to_numpy()
    return out


def wilder(values: Floats, period: int) -> Floats:
    """Return Wilder's average: smoothed by 1 / period, begun with the mean of the first `period` values."""
    return smoothed(values, 1 / period, period)


def exponential(values: Floats, period: int) -> Floats:
    """Return the exponential average: smoothed by 2 / (period + 1), begun with the mean of the first `period`."""
    return smoothed(values, 2 / (period + 1), period)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where whole is 0: what is not defined is not told."""
    out = nothing(len(part))
    np.divide(part, whole, out=out, where=whole != 0)
    return out


def windows(size: int, period: int) -> Iterator[tuple[slice, slice]]:
    """Return, in pieces, the rows of input and the rows of output of all windows of `period` rows."""
    step = max(1, PIECE // period)
    for start in range(0, size - period + 1, step):
        stop = min(start + step, size - period + 1)
        yield slice(start, stop + period - 1), slice(start + period - 1, stop + period - 1)


def window(bars: int) -> Lookback:
    """Return the lookback of a window: `bars` rows before the row itself."""
    return Lookback(bars)


def recursion(warm_up: int, *alphas: float, rest: float = SETTLED) -> Lookback:
    """Return the lookback of averages of averages: so far that what is older weighs at most `rest`.

    `warm_up` rows begin the averages, `alphas` smooth one after the other.
    """
    weights = [1.0] * len(alphas)
    bars = 0
    while weights[-1] > rest:
        below = 0.0
        for place, alpha in enumerate(alphas):
            below = weights[place] = weights[place] + alpha * (below - weights[place])
        bars += 1
    return Lookback(warm_up + bars, rest)


def _rolling(series: pl.Series) -> Floats:
    return series.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64, copy=False)
