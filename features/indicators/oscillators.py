"""Oscillators: RSI, Stochastic, CCI, MFI, Ultimate Oscillator, Aroon."""

import numpy as np
import talib

from features.indicators.declared import SMOOTHING, Arrays, Floats, Indicator, Lookback, Outputs, closes, ranges
from features.indicators.series import (
    ago,
    highest,
    lowest,
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

TIES = ("latest", "earliest")


def _rsi(a: Arrays, *, period: int, smoothing: str) -> Outputs:
    moved = a["close"] - ago(a["close"], 1)
    average = wilder if smoothing == "wilder" else mean
    gains = average(np.where(np.isnan(moved), np.nan, np.maximum(moved, 0.0)), period)
    losses = average(np.where(np.isnan(moved), np.nan, np.maximum(-moved, 0.0)), period)
    out = 100 * ratio(gains, gains + losses)
    if smoothing == "sma":
        out[still(a["close"], period + 1)] = np.nan
    return (out,)


def _rsi_lookback(*, period: int, smoothing: str) -> Lookback:
    return recursion(period, 1 / period) if smoothing == "wilder" else window(period)


def _stochastic(a: Arrays, *, period: int, smooth: int, signal: int) -> Outputs:
    low = lowest(a["low"], period)
    fast = mean(100 * ratio(a["close"] - low, highest(a["high"], period) - low), smooth)
    return fast, mean(fast, signal)


def _cci(a: Arrays, *, period: int) -> Outputs:
    out = talib.CCI(a["high"], a["low"], a["close"], period)
    typical = a["high"] + a["low"] + a["close"]
    return (np.where(still(typical, period), np.nan, out),)


def _mfi(a: Arrays, *, period: int) -> Outputs:
    typical = (a["high"] + a["low"] + a["close"]) / 3
    flow, moved = typical * a["volume"], typical - ago(typical, 1)
    gained = np.where(np.isnan(moved), np.nan, np.where(moved > 0, flow, 0.0))
    lost = np.where(np.isnan(moved), np.nan, np.where(moved < 0, flow, 0.0))
    rising = total(gained, period)
    out = 100 * ratio(rising, rising + total(lost, period))
    # Running sums leave a rest behind: whether anything flowed at all, and which way, the extremes say exactly.
    up, down = highest(gained, period) > 0, highest(lost, period) > 0
    out[up & ~down] = 100.0
    out[down & ~up] = 0.0
    out[~up & ~down] = np.nan
    return (out,)


def _ultimate(a: Arrays, *, short: int, middle: int, long: int) -> Outputs:
    out = talib.ULTOSC(a["high"], a["low"], a["close"], short, middle, long)
    before = ago(a["close"], 1)
    reach = np.where(np.isnan(before), np.nan, np.fmax(a["high"], before) - np.fmin(a["low"], before))
    # TA-Lib counts a window without any range as 0; nothing can be said of it.
    return (np.where(highest(reach, min(short, middle, long)) == 0, np.nan, out),)


def _aroon(a: Arrays, *, period: int, ties: str) -> Outputs:
    up = _since(a["high"], period, ties)
    down = _since(-a["low"], period, ties)
    return up, down, up - down


def _since(values: Floats, period: int, ties: str) -> Floats:
    """Return how recently the highest of period + 1 rows was: 100 now, 0 `period` rows ago."""
    out = nothing(len(values))
    for read, written in windows(len(values), period + 1):
        laid = np.lib.stride_tricks.sliding_window_view(values[read], period + 1)
        place = period - laid[:, ::-1].argmax(axis=1) if ties == "latest" else laid.argmax(axis=1)
        out[written] = 100 * place / period
    return out


OSCILLATORS = (
    Indicator(
        "rsi",
        "Relative strength index",
        "100 x gains / (gains + losses), averages of the closes' moves by Wilder, or plain (Cutler) by smoothing=sma; "
        "null where no close moved at all",
        "polars",
        _rsi,
        closes,
        lambda period, **_: (period,),
        _rsi_lookback,
        {"period": 14, "smoothing": "wilder"},
        choices={"smoothing": SMOOTHING},
        units=("ratio",),
    ),
    Indicator(
        "stochastic",
        "Stochastic oscillator, slow",
        "K = SMA(smooth) of 100 x (close - lowest low) / (highest high - lowest low), D = SMA(signal) of K; "
        "smooth=1 is the fast one; null where the range is 0",
        "polars",
        _stochastic,
        ranges,
        lambda period, smooth, signal: (period + smooth - 2, period + smooth + signal - 3),
        lambda period, smooth, signal: window(period + smooth + signal - 3),
        {"period": 14, "smooth": 3, "signal": 3},
        suffixes=("k", "d"),
        units=("ratio", "ratio"),
    ),
    Indicator(
        "cci",
        "Commodity channel index",
        "(typical - SMA) / (0.015 x mean absolute deviation), typical = (high + low + close) / 3; null where it stands",
        "TA-Lib",
        _cci,
        ranges,
        lambda period: (period - 1,),
        lambda period: window(period - 1),
        {"period": 20},
        least={"period": 2},
        units=("ratio",),
    ),
    Indicator(
        "mfi",
        "Money flow index",
        "100 x rising / (rising + falling) of typical x volume; null where nothing flowed",
        "polars",
        _mfi,
        lambda **_: ("high", "low", "close", "volume"),
        lambda period: (period,),
        lambda period: window(period),
        {"period": 14},
        units=("ratio",),
    ),
    Indicator(
        "ultosc",
        "Ultimate oscillator",
        "100 x (4 short + 2 middle + long) / 7 of buying pressure over true range; null where one has none",
        "TA-Lib",
        _ultimate,
        ranges,
        lambda short, middle, long: (max(short, middle, long),),
        lambda short, middle, long: window(max(short, middle, long)),
        {"short": 7, "middle": 14, "long": 28},
        units=("ratio",),
    ),
    Indicator(
        "aroon",
        "Aroon",
        "100 x (period - rows since the highest high, the lowest low) / period over period + 1 rows; of equal "
        "ones the latest, or by ties=earliest the earliest",
        "numpy",
        _aroon,
        lambda **_: ("high", "low"),
        lambda period, **_: (period,) * 3,
        lambda period, **_: window(period),
        {"period": 25, "ties": "latest"},
        choices={"ties": TIES},
        suffixes=("up", "down", "oscillator"),
        units=("ratio", "ratio", "ratio"),
    ),
)
