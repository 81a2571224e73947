"""Bars to compute over: walks that hypothesis or a seed chooses."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def walk(
    size: int, seed: int = 7, instrument: str = "BTCUSDT", every: timedelta = timedelta(minutes=1)
) -> pl.DataFrame:
    """Return one series of bars as the warehouse returns them: exact decimals, known five seconds after their end."""
    draw = np.random.default_rng(seed)
    close = 100 + np.cumsum(draw.normal(0, 0.2, size)).round(2)
    open_ = np.r_[100.0, close[:-1]] if size else close
    high = np.maximum(open_, close) + draw.integers(1, 30, size) / 100
    low = np.minimum(open_, close) - draw.integers(1, 30, size) / 100
    volume = draw.integers(1, 5000, size) / 1000
    times = [START + place * every for place in range(size)]

    def exact(values: np.ndarray) -> list[Decimal]:
        return [Decimal(f"{value:.6f}") for value in values]

    return pl.DataFrame(
        {
            "venue": ["binance"] * size,
            "instrument": [instrument] * size,
            "id_space": ["trades"] * size,
            "bar_time": times,
            "open": exact(open_),
            "high": exact(high),
            "low": exact(low),
            "close": exact(close),
            "volume": exact(volume),
            "notional": exact(volume * close),
            "trade_count": draw.integers(1, 50, size).tolist(),
            "known_time": [time + every + timedelta(seconds=5) for time in times],
        },
        schema_overrides={
            "bar_time": pl.Datetime("us", "UTC"),
            "known_time": pl.Datetime("us", "UTC"),
            **{name: pl.Decimal(24, 12) for name in ("open", "high", "low", "close")},
            "volume": pl.Decimal(38, 12),
            "notional": pl.Decimal(38, 24),
        },
    )


def largest(values: pl.Series) -> float:
    """Return the largest absolute value, 0 where there is none."""
    known = values.drop_nulls().to_numpy()
    return float(np.abs(known).max()) if len(known) else 0.0
