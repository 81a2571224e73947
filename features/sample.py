"""Made-up frames of two venues that trade one pair, to try features without a warehouse: seeded, always the same."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from features.declared import US, Frames

START = datetime(2024, 3, 4, tzinfo=UTC)
# Longer than the longest window, with room for cuts behind it.
MINUTES = 1_700
PAIRS = pl.DataFrame({"venue": ["here", "there"], "instrument": ["BTC-USD", "BTCUSDT"], "pair": ["BTC/USD"] * 2})
_TICKS_A_MINUTE = 3
_LEVELS = 25
_ENTITY = ("venue", "instrument")


def sample(minutes: int = MINUTES, seed: int = 1) -> Frames:
    """Return every frame that a source asks for; a seventh of the second venue's minutes has no trades."""
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in ("bars", "trades", "quotes", "books", "scores")}
    for place, (venue, instrument, _) in enumerate(PAIRS.rows()):
        draw = np.random.default_rng(seed + place)
        made = _of_one(minutes, draw, holes=bool(place))
        for name, frame in made.items():
            keys = [pl.lit(value).alias(key) for key, value in zip(_ENTITY, (venue, instrument), strict=True)]
            parts[name].append(frame.with_columns(keys))
    return {name: pl.concat(several) for name, several in parts.items()} | {"pairs": PAIRS}


def _of_one(minutes: int, draw: np.random.Generator, *, holes: bool) -> dict[str, pl.DataFrame]:
    count = minutes * _TICKS_A_MINUTE
    offsets = np.sort(draw.integers(0, minutes * 60_000_000, count))
    mid = (100 + np.cumsum(draw.normal(0, 0.02, count))).round(4)
    start = int(START.timestamp()) * 1_000_000
    ticks = pl.DataFrame(
        {
            "venue_sequence": np.arange(count),
            "event_time": pl.Series(start + offsets).cast(US),
            "known_time": pl.Series(start + offsets + 1_000_000).cast(US),
        }
    )
    sizes = draw.integers(1, 100, (4, count)) / 10
    gap = draw.integers(1, 4, (2, count)) / 100
    trades = ticks.with_columns(price=mid, quantity=sizes[0], side=pl.Series(draw.choice(["buy", "sell"], count)))
    if holes:
        quiet = draw.random(minutes) < 1 / 7
        trades = trades.filter(pl.Series(~quiet[offsets // 60_000_000]))
    quotes = ticks.with_columns(
        bid_price=(mid - gap[0]).round(4),
        bid_quantity=sizes[1],
        ask_price=(mid + gap[1]).round(4),
        ask_quantity=sizes[2],
    )
    steps = np.arange(1, _LEVELS + 1) / 100
    depth = draw.integers(1, 100, (2, count, _LEVELS)) / 10
    books = ticks.select(
        pl.col("event_time").alias("snapshot_time"),
        "known_time",
        bid_prices=pl.Series((mid[:, None] - steps).round(4).tolist()),
        bid_quantities=pl.Series(depth[0].tolist()),
        ask_prices=pl.Series((mid[:, None] + steps).round(4).tolist()),
        ask_quantities=pl.Series(depth[1].tolist()),
    )
    bars = _bars(trades)
    scores = bars.select(
        "bar_time",
        known_time=pl.col("known_time") + timedelta(minutes=2),
        score=pl.Series((0.9 + 0.1 * draw.random(bars.height)).round(6)),
        completeness=pl.Series((0.95 + 0.05 * draw.random(bars.height)).round(6)),
    )
    return {"bars": bars, "trades": trades, "quotes": quotes, "books": books, "scores": scores}


def _bars(trades: pl.DataFrame) -> pl.DataFrame:
    price, quantity = pl.col("price"), pl.col("quantity")
    return trades.group_by(pl.col("event_time").dt.truncate("1m").alias("bar_time"), maintain_order=True).agg(
        open=price.first(),
        high=price.max(),
        low=price.min(),
        close=price.last(),
        volume=quantity.sum(),
        notional=(price * quantity).sum(),
        trade_count=pl.len().cast(pl.Int64),
        known_time=pl.col("known_time").max(),
    )
