"""How far prices spread: true range, ATR, ADX, Bollinger bands, deviation, regression, realised volatility."""

import numpy as np

from features.indicators.declared import SMOOTHING, Arrays, Floats, Indicator, Lookback, Outputs, closes, ranges
from features.indicators.series import (
    ago,
    deviation,
    mean,
    nothing,
    ratio,
    recursion,
    still,
    total,
    wilder,
    window,
    windows,
)

FIRST = ("skip", "range")


def _true_range(a: Arrays) -> Floats:
    before = ago(a["close"], 1)
    # The first bar has no close before it: NaN, and np.maximum keeps it.
    return np.maximum(a["high"], before) - np.minimum(a["low"], before)


def _tr(a: Arrays) -> Outputs:
    return (_true_range(a),)


def _atr(a: Arrays, *, period: int, smoothing: str, first: str) -> Outputs:
    reach = _true_range(a)
    if first == "range" and len(reach):
        reach[0] = a["high"][0] - a["low"][0]
    out = wilder(reach, period) if smoothing == "wilder" else mean(reach, period)
    return out, 100 * ratio(out, a["close"])


def _atr_lookback(*, period: int, smoothing: str, first: str) -> Lookback:  # noqa: ARG001
    return recursion(period, 1 / period) if smoothing == "wilder" else window(period)


def _adx(a: Arrays, *, period: int, rating: int) -> Outputs:
    rose, fell = a["high"] - ago(a["high"], 1), ago(a["low"], 1) - a["low"]
    reach = wilder(_true_range(a), period)
    up = np.where(np.isnan(rose), np.nan, np.where((rose > fell) & (rose > 0), rose, 0.0))
    down = np.where(np.isnan(fell), np.nan, np.where((fell > rose) & (fell > 0), fell, 0.0))
    plus, minus = 100 * ratio(wilder(up, period), reach), 100 * ratio(wilder(down, period), reach)
    index = 100 * ratio(np.abs(plus - minus), plus + minus)
    # Where nothing moves either way there is no direction: that is none, not an unknown one that ends the average.
    index[period:] = np.nan_to_num(index[period:])
    average = wilder(index, period)
    return average, plus, minus, index, (average + ago(average, rating)) / 2


def _bollinger(a: Arrays, *, period: int, width: float) -> Outputs:
    middle, spread = mean(a["close"], period), deviation(a["close"], period)
    upper, lower = middle + width * spread, middle - width * spread
    return (
        middle,
        upper,
        lower,
        ratio(a["close"] - lower, upper - lower),
        ratio(upper - lower, middle),
    )


def _deviation(a: Arrays, *, period: int) -> Outputs:
    spread = deviation(a["close"], period)
    return spread, ratio(a["close"] - mean(a["close"], period), spread)


def _slope(a: Arrays, *, period: int) -> Outputs:
    # Least squares against 0 .. period - 1: weights sum to 0, so a constant part of the prices falls away.
    places = np.arange(period) - (period - 1) / 2
    out = nothing(len(a["close"]))
    for read, written in windows(len(out), period):
        laid = np.lib.stride_tricks.sliding_window_view(a["close"][read], period)
        out[written] = (laid - laid[:, :1]) @ places / (places @ places)
    return (out,)


def _realised(a: Arrays, *, period: int, year: float) -> Outputs:
    before = ago(a["close"], 1)
    moves = np.log(ratio(a["close"], before))
    out = np.sqrt(np.maximum(total(moves * moves, period), 0.0))
    out[still(a["close"], period + 1)] = 0.0
    return (out * np.sqrt(year / period) if year else out,)


SPREAD = (
    Indicator(
        "tr",
        "True range",
        "largest of high - low, |high - close before|, |low - close before|; null on the first bar",
        "numpy",
        _tr,
        ranges,
        lambda: (1,),
        lambda: window(1),
    ),
    Indicator(
        "atr",
        "Average true range",
        "Wilder's average of the true range, or the plain mean by smoothing=sma; the first bar's range counts only by "
        "first=range; percent is of the close",
        "polars",
        _atr,
        ranges,
        lambda period, first, **_: (period if first == "skip" else period - 1,) * 2,
        _atr_lookback,
        {"period": 14, "smoothing": "wilder", "first": "skip"},
        choices={"smoothing": SMOOTHING, "first": FIRST},
        suffixes=("", "percent"),
        units=("price", "ratio"),
    ),
    Indicator(
        "adx",
        "Average directional index",
        "Wilder's averages of the directional moves over that of the true range, each begun with the mean of the first "
        "`period` moves; rating (ADXR) = mean of ADX now and `rating` rows before",
        "polars",
        _adx,
        ranges,
        lambda period, rating: (2 * period - 1, period, period, period, 2 * period - 1 + rating),
        lambda period, rating: Lookback(
            bars=(recursion(2 * period - 1, 1 / period, 1 / period).bars or 0) + rating, rest=1e-9
        ),
        {"period": 14, "rating": 13},
        suffixes=("", "plus", "minus", "dx", "rating"),
        units=("ratio",) * 5,
    ),
    Indicator(
        "bollinger",
        "Bollinger bands",
        "SMA and `width` population deviations to either side; position = (close - lower) / (upper - lower), "
        "bandwidth = (upper - lower) / middle",
        "polars",
        _bollinger,
        closes,
        lambda period, width: (period - 1,) * 5,  # noqa: ARG005
        lambda period, width: window(period - 1),  # noqa: ARG005
        {"period": 20, "width": 2.0},
        least={"period": 2, "width": 0},
        suffixes=("middle", "upper", "lower", "position", "bandwidth"),
        units=("price", "price", "price", "ratio", "ratio"),
    ),
    Indicator(
        "stdev",
        "Standard deviation",
        "of the last `period` closes, as a population; z = (close - mean) / deviation, null where it is 0",
        "polars",
        _deviation,
        closes,
        lambda period: (period - 1,) * 2,
        lambda period: window(period - 1),
        {"period": 20},
        least={"period": 2},
        suffixes=("", "z"),
        units=("price", "ratio"),
    ),
    Indicator(
        "slope",
        "Slope of the regression line",
        "least squares through the last `period` closes, price per bar",
        "numpy",
        _slope,
        closes,
        lambda period: (period - 1,),
        lambda period: window(period - 1),
        {"period": 14},
        least={"period": 2},
    ),
    Indicator(
        "realised_volatility",
        "Realised volatility",
        "root of the sum of the last `period` squared log returns; times root(year / period) with `year` bars a year",
        "polars",
        _realised,
        closes,
        lambda period, year: (period,),  # noqa: ARG005
        lambda period, year: window(period),  # noqa: ARG005
        {"period": 60, "year": 0.0},
        least={"year": 0},
        units=("ratio",),
    ),
)
