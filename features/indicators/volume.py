"""Where the volume was: OBV, VWAP, TWAP."""

import numpy as np

from features.indicators.declared import Arrays, Floats, Indicator, Lookback, Outputs
from features.indicators.series import ago, highest, mean, nothing, ratio, total, window

ANCHORS = ("day", "session", "start", "window")  # the last is none: a window of `period` bars
PRICES = ("notional", "typical")
STARTS = ("zero", "volume")
DAY_US = 86_400_000_000


def _obv(a: Arrays, *, anchor: str, start: str) -> Outputs:
    group = groups(a, anchor)
    signed = np.sign(a["close"] - ago(a["close"], 1)) * a["volume"]
    if len(signed):
        # What the first bar of all, or of a day, adds is a matter of convention: no bar is before it.
        first = np.r_[True, group[1:] != group[:-1]]
        signed[first] = 0.0 if start == "zero" else a["volume"][first]
    return (_since(signed, group),)


def groups(a: Arrays, anchor: str) -> Floats:
    """Return a number that rises with each new day, or session; it is 0 all along where the start is the anchor."""
    if anchor == "day":
        return np.floor_divide(a["time"], DAY_US)
    return a["session"] if anchor == "session" else np.zeros(len(a["time"]))


def _since(values: Floats, group: Floats) -> Floats:
    """Return sums that begin anew with each group."""
    out = nothing(len(values))
    if not len(values):
        return out
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
        out[start:stop] = np.cumsum(values[start:stop])
    return out


def _vwap(a: Arrays, *, period: int, anchor: str, price: str) -> Outputs:
    spent = a["notional"] if price == "notional" else (a["high"] + a["low"] + a["close"]) / 3 * a["volume"]
    if anchor == "window":
        out = ratio(total(spent, period), total(a["volume"], period))
        out[~(highest(a["volume"], period) > 0)] = np.nan
        return (out,)
    group = groups(a, anchor)
    return (ratio(_since(spent, group), _since(a["volume"], group)),)


def _twap(a: Arrays, *, period: int, anchor: str) -> Outputs:
    price = (a["open"] + a["high"] + a["low"] + a["close"]) / 4
    if anchor == "window":
        return (mean(price, period),)
    group = groups(a, anchor)
    return (ratio(_since(price, group), _since(np.ones(len(price)), group)),)


def _vwap_inputs(*, anchor: str, price: str, **_: object) -> tuple[str, ...]:
    prices = ("notional",) if price == "notional" else ("high", "low", "close")
    return (*prices, "volume", *_anchored(anchor))


def _twap_inputs(*, anchor: str, **_: object) -> tuple[str, ...]:
    return ("open", "high", "low", "close", *_anchored(anchor))


def _anchored(anchor: str) -> tuple[str, ...]:
    return ("session",) if anchor == "session" else ()


def _lookback(*, period: int, anchor: str, **_: object) -> Lookback:
    if anchor == "window":
        return window(period - 1)
    return Lookback(None, anchor="" if anchor == "start" else anchor)


def _warm_up(*, period: int, anchor: str, **_: object) -> tuple[int, ...]:
    return (period - 1 if anchor == "window" else 0,)


VOLUME = (
    Indicator(
        "obv",
        "On-balance volume",
        "sum of volumes since the start, the day (UTC) or the session began, added where the close rose, taken off "
        "where it fell; begins at 0, or by start=volume with the first bar's",
        "numpy",
        _obv,
        lambda anchor, **_: ("close", "volume", *_anchored(anchor)),
        lambda **_: (0,),
        lambda anchor, **_: _lookback(period=0, anchor=anchor),
        {"anchor": "start", "start": "zero"},
        choices={"anchor": ANCHORS[:-1], "start": STARTS},
        units=("volume",),
    ),
    Indicator(
        "vwap",
        "Volume-weighted average price",
        "notional / volume of the last `period` bars, or since the day (UTC), the session or the start began; "
        "price=typical takes (high + low + close) / 3 x volume where bars have no notional; null without volume",
        "polars",
        _vwap,
        _vwap_inputs,
        _warm_up,
        _lookback,
        {"period": 60, "anchor": "window", "price": "notional"},
        choices={"anchor": ANCHORS, "price": PRICES},
    ),
    Indicator(
        "twap",
        "Time-weighted average price",
        "mean of (open + high + low + close) / 4 over the last `period` bars, or since the day, the session or the "
        "start began; every bar weighs the same",
        "polars",
        _twap,
        _twap_inputs,
        _warm_up,
        _lookback,
        {"period": 60, "anchor": "window"},
        choices={"anchor": ANCHORS},
    ),
)
