"""Averages of prices and what is made of their differences: SMA, EMA, WMA, KAMA, TEMA, MACD, TRIX, ROC."""

import talib

from features.indicators.declared import Arrays, Indicator, Outputs, closes
from features.indicators.series import ago, exponential, mean, ratio, recursion, window


def _sma(a: Arrays, *, period: int) -> Outputs:
    return (mean(a["close"], period),)


def _ema(a: Arrays, *, period: int) -> Outputs:
    return (exponential(a["close"], period),)


def _wma(a: Arrays, *, period: int) -> Outputs:
    # TA-Lib takes no period below 2; one bar weighs itself.
    return (a["close"].copy() if period == 1 else talib.WMA(a["close"], period),)


def _kama(a: Arrays, *, period: int) -> Outputs:
    return (talib.KAMA(a["close"], period),)


def _tema(a: Arrays, *, period: int) -> Outputs:
    one = exponential(a["close"], period)
    two = exponential(one, period)
    return (3 * one - 3 * two + exponential(two, period),)


def _trix(a: Arrays, *, period: int) -> Outputs:
    three = exponential(exponential(exponential(a["close"], period), period), period)
    before = ago(three, 1)
    return (100 * ratio(three - before, before),)


def _macd(a: Arrays, *, fast: int, slow: int, signal: int) -> Outputs:
    line = exponential(a["close"], fast) - exponential(a["close"], slow)
    slower = exponential(line, signal)
    return line, slower, line - slower


def _roc(a: Arrays, *, period: int) -> Outputs:
    before = ago(a["close"], period)
    return 100 * ratio(a["close"] - before, before), a["close"] - before


AVERAGES = (
    Indicator(
        "sma",
        "Simple moving average",
        "mean of the last `period` closes",
        "polars",
        _sma,
        closes,
        lambda period: (period - 1,),
        lambda period: window(period - 1),
        {"period": 20},
    ),
    Indicator(
        "ema",
        "Exponential moving average",
        "s + 2 / (period + 1) x (close - s), begun with the SMA of the first `period` closes",
        "polars",
        _ema,
        closes,
        lambda period: (period - 1,),
        lambda period: recursion(period - 1, 2 / (period + 1)),
        {"period": 20},
    ),
    Indicator(
        "wma",
        "Weighted moving average",
        "weights `period` for the newest close down to 1",
        "TA-Lib",
        _wma,
        closes,
        lambda period: (period - 1,),
        lambda period: window(period - 1),
        {"period": 20},
    ),
    Indicator(
        "kama",
        "Kaufman's adaptive moving average",
        "smoothed between 2 / 3 and 2 / 31, squared, by how straight the last `period` closes went",
        "TA-Lib",
        _kama,
        closes,
        lambda period: (period,),
        # However crooked the road, each bar takes at least the slow share.
        lambda period: recursion(period, (2 / 31) ** 2),
        {"period": 10},
        least={"period": 2},
    ),
    Indicator(
        "tema",
        "Triple exponential moving average",
        "3 e - 3 e(e) + e(e(e)) of exponential averages e",
        "polars",
        _tema,
        closes,
        lambda period: (3 * (period - 1),),
        lambda period: recursion(3 * (period - 1), *[2 / (period + 1)] * 3, rest=1e-9 / 7),
        {"period": 20},
        least={"period": 2},
    ),
    Indicator(
        "trix",
        "Rate of change of the triple exponential average",
        "change of e(e(e)) to the row before, percent",
        "polars",
        _trix,
        closes,
        lambda period: (3 * (period - 1) + 1,),
        lambda period: recursion(3 * (period - 1) + 1, *[2 / (period + 1)] * 3, rest=1e-9 / 2),
        {"period": 15},
        least={"period": 2},
        units=("ratio",),
    ),
    Indicator(
        "macd",
        "Moving average convergence divergence",
        "EMA(fast) - EMA(slow), each begun with its own SMA; signal = EMA of that; histogram = their difference",
        "polars",
        _macd,
        closes,
        lambda fast, slow, signal: (
            max(fast, slow) - 1,
            max(fast, slow) + signal - 2,
            max(fast, slow) + signal - 2,
        ),
        lambda fast, slow, signal: recursion(
            max(fast, slow) + signal - 2, 2 / (max(fast, slow) + 1), 2 / (signal + 1), rest=1e-9 / 4
        ),
        {"fast": 12, "slow": 26, "signal": 9},
        suffixes=("", "signal", "histogram"),
        units=("price", "price", "price"),
    ),
    Indicator(
        "roc",
        "Rate of change",
        "close against the close `period` rows before, percent; momentum is the difference itself",
        "numpy",
        _roc,
        closes,
        lambda period: (period, period),
        lambda period: window(period),
        {"period": 10},
        suffixes=("", "momentum"),
        units=("ratio", "price"),
    ),
)
