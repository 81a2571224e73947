"""What a single row may not say: high below low, prices of nothing, volume below nothing."""

from collections.abc import Iterator

import polars as pl

from quality.history.finding import Finding, found
from quality.history.view import View

# Prices adjusted in binary floats are off in their last digits: a millionth, where prices have five decimals and more.
ROUNDING, FLOAT_DECIMALS = 1e-6, 5
# A venue's vwap is rounded to its tick: a millionth of a price is less than any tick seen.
VWAP_SLACK = 1e-6
SIDES = ("bid", "ask")


def ohlc_bounds(view: View) -> Iterator[Finding]:
    """The high is the highest and the low the lowest of the four, of bars and of each side of quote bars."""
    columns = view.frame.columns
    bad = pl.lit(False)
    edge = _edge(view)
    for front in ("", "bid_", "ask_"):
        one = {name: f"{front}{name}" for name in ("open", "high", "low", "close")}
        if one["high"] not in columns or one["low"] not in columns:
            continue
        high, low = pl.col(one["high"]), pl.col(one["low"])
        if edge:
            high, low = high * (1 + edge), low * (1 - edge)
        for name in ("open", "close"):
            if one[name] in columns:
                bad = bad | (high < pl.col(one[name])) | (low > pl.col(one[name]))
        bad = bad | (high < low)
    # Without a room for rounding decimals are compared as they are.
    lines = (view.floats if edge else view.frame).filter(bad)["line"]
    rows = view.frame.filter(pl.col("line").is_in(lines.implode()))
    if rows.height:
        told = "high is not the highest or low not the lowest price of the bar"
        yield found(view.recorded, "ohlc_bounds", "error", told, rows)


def _edge(view: View) -> float:
    """Return the share of a price by which binary floats may be off in this file."""
    if view.recorded.market or not view.prices:
        return 0.0
    text = view.frame[view.prices[0]].head(100).cast(pl.String).str.strip_chars_end("0")
    decimals = text.str.split(".").list.get(1, null_on_oob=True).str.len_chars().max()
    return ROUNDING if isinstance(decimals, int) and decimals >= FLOAT_DECIMALS else 0.0


def price_signs(view: View) -> Iterator[Finding]:
    """Prices are above zero; in quotes 0 stands for a side that nobody takes."""
    frame = view.frame
    if not view.prices or not frame.height:
        return
    quoted = view.kind in ("quotes", "quote_bars", "universe")
    zero = frame.select(pl.all_horizontal(pl.col(view.prices).fill_null(0) == 0)).to_series()
    if (
        zero.all()
        and view.kind != "universe"
        and not frame.select(pl.all_horizontal(pl.col(view.prices).is_null())).to_series().all()
    ):
        told = "every price is 0: the columns hold no prices"
        yield found(view.recorded, "zeros_throughout", "error", told, frame)
        return
    edge = pl.col(view.prices) < 0 if quoted else pl.col(view.prices) <= 0
    rows = frame.filter(pl.any_horizontal(edge))
    if rows.height:
        negative = int(frame.select(pl.any_horizontal(pl.col(view.prices) < 0).sum()).item())
        told = "prices below zero" if negative == rows.height else "prices of zero or below: nothing trades there"
        yield found(view.recorded, "non_positive_price", "error", told, rows, below_zero=negative)


def volumes(view: View) -> Iterator[Finding]:
    """Volumes and quantities are not below zero; without volume nothing moves."""
    frame = view.frame
    held = [name for name in ("volume", "quantity", "bid_quantity", "ask_quantity") if name in frame.columns]
    if not held or not frame.height:
        return
    rows = frame.filter(pl.any_horizontal(pl.col(held) < 0))
    if rows.height:
        yield found(view.recorded, "negative_volume", "error", "a volume below zero", rows)
    if view.kind == "bars" and "volume" in frame.columns:
        empty = frame.filter(pl.col("volume") == 0)
        if empty.height == frame.height:
            yield found(view.recorded, "zero_volume", "warn", "no row has volume", empty)
        elif empty.height:
            yield found(view.recorded, "zero_volume", "info", "bars of minutes or days without a trade", empty)
        if "high" in frame.columns and "low" in frame.columns:
            moved = empty.filter(pl.col("high") > pl.col("low"))
            if moved.height and empty.height < frame.height:
                yield found(view.recorded, "moves_without_volume", "warn", "prices moved though nothing traded", moved)
    if view.kind == "trades" and "quantity" in frame.columns:
        empty = frame.filter(pl.col("quantity") == 0)
        if empty.height:
            yield found(view.recorded, "zero_quantity", "warn", "trades of nothing", empty)


def vwaps(view: View) -> Iterator[Finding]:
    """A bar's vwap lies between its low and its high; 0 where nothing traded."""
    if view.kind != "bars" or not {"vwap", "low", "high", "volume"} <= set(view.frame.columns):
        return
    rows, vwap = view.frame, pl.col("vwap").cast(pl.Float64)
    outside = rows.filter(
        (pl.col("volume") > 0)
        & (
            (vwap < pl.col("low").cast(pl.Float64) * (1 - VWAP_SLACK))
            | (vwap > pl.col("high").cast(pl.Float64) * (1 + VWAP_SLACK))
        )
    )
    if outside.height:
        yield found(view.recorded, "vwap_outside_bar", "error", "vwap outside low and high", outside)
    stand_in = rows.filter((pl.col("volume") == 0) & (pl.col("vwap") == 0) & (pl.col("low") > 0))
    if stand_in.height:
        told = "bars without trades carry vwap 0, which is no price: leave them out of averages"
        yield found(view.recorded, "vwap_zero", "warn", told, stand_in)
