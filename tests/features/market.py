"""Frames of two venues to make features from: bars, trades, quotes, books and scores, seeded."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl

from tests.features.series import START, walk

US = pl.Datetime("us", "UTC")
PAIRS = pl.DataFrame({"venue": ["binance", "kraken"], "instrument": ["BTCUSDT", "XBT/USD"], "pair": ["BTC/USD"] * 2})


def _exact(values: np.ndarray) -> pl.Series:
    return pl.Series([Decimal(f"{value:.6f}") for value in values], dtype=pl.Decimal(24, 12))


def frames(minutes: int, seed: int = 3, holes: bool = True) -> dict[str, pl.DataFrame]:
    """Return what the features are made from; every seventh minute or so of the second venue has nothing."""
    parts: dict[str, list[pl.DataFrame]] = {"bars": [], "trades": [], "quotes": [], "books": [], "scores": []}
    for place, (venue, instrument, _) in enumerate(PAIRS.rows()):
        draw = np.random.default_rng(seed + place)
        bars = walk(minutes, seed + place, instrument).with_columns(venue=pl.lit(venue))
        if holes and place:
            bars = bars.filter(pl.Series(draw.random(minutes) > 0.15))
        parts["bars"].append(bars)
        parts["scores"].append(
            bars.select(
                "venue",
                "instrument",
                "bar_time",
                score=_exact(0.9 + 0.1 * draw.random(bars.height)),
                completeness=_exact(0.95 + 0.05 * draw.random(bars.height)),
                known_time=pl.col("known_time") + timedelta(minutes=2),
            )
        )
        for kind in ("trades", "quotes", "books"):
            parts[kind].append(_ticks(kind, venue, instrument, minutes, draw))
    return {name: pl.concat(several) for name, several in parts.items()} | {"pairs": PAIRS}


def _ticks(kind: str, venue: str, instrument: str, minutes: int, draw: np.random.Generator) -> pl.DataFrame:
    count = minutes * 3
    offsets = np.sort(draw.integers(0, minutes * 60_000_000, count))
    times = pl.Series([START + timedelta(microseconds=int(offset)) for offset in offsets], dtype=US)
    mid = 100 + np.cumsum(draw.normal(0, 0.02, count))
    keys = {
        "venue": [venue] * count,
        "instrument": [instrument] * count,
        "venue_sequence": range(count),
        "event_time": times,
        "ingested_time": times + timedelta(seconds=1),
    }
    if kind == "trades":
        sides = draw.choice(["buy", "sell"], count)
        return pl.DataFrame(
            {**keys, "price": _exact(mid), "quantity": _exact(draw.random(count) + 0.01), "side": sides}
        )
    if kind == "quotes":
        sizes = [_exact(draw.integers(1, 100, count) / 10) for _ in range(2)]
        return pl.DataFrame(
            {
                **keys,
                "bid_price": _exact(mid - draw.integers(1, 4, count) / 100),
                "bid_quantity": sizes[0],
                "ask_price": _exact(mid + draw.integers(1, 4, count) / 100),
                "ask_quantity": sizes[1],
            }
        )
    steps = np.arange(1, 26) / 100
    bids, asks = draw.integers(1, 100, (2, count, 25)) / 10
    lists = {
        "bid_prices": [list(price - steps) for price in mid],
        "bid_quantities": bids.tolist(),
        "ask_prices": [list(price + steps) for price in mid],
        "ask_quantities": asks.tolist(),
    }
    made = pl.DataFrame({**keys, **lists}).rename({"event_time": "snapshot_time", "ingested_time": "known_time"})
    return made.cast({name: pl.List(pl.Decimal(24, 12)) for name in lists}).drop("venue_sequence")
