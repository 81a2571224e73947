"""How features are: what is missing, how fresh they are, how they are spread."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from features.declared import ENTITY, EVENT, KEYS, KNOWN, US

_PLACES = {"lowest": 0.0, "p01": 0.01, "p25": 0.25, "median": 0.5, "p75": 0.75, "p99": 0.99, "highest": 1.0}


def latest(table: pl.DataFrame) -> pl.DataFrame:
    """Return the last revision of every entity and moment, in their order."""
    keys = [*ENTITY, EVENT]
    return table.sort(*keys, KNOWN, maintain_order=True).group_by(keys, maintain_order=True).last()


def summary(table: pl.DataFrame, now: datetime, *, by: Sequence[str] = ()) -> pl.DataFrame:
    """Return one row a feature (and value of `by`, as venue and instrument): how much there is, and how it is spread.

    table: one revision of each moment. missing_share is of its rows, null without any. fresh_time is the newest moment
    with a value, age_s how many seconds before `now` that was: null where there never was one.
    """
    names = [name for name in table.columns if name not in KEYS]
    parts = []
    for name in names:
        value = pl.col(name)
        newest = pl.col(EVENT).filter(value.is_not_null()).max()
        parts.append(
            _grouped(
                table,
                by,
                [
                    pl.lit(name).alias("feature"),
                    pl.len().cast(pl.Int64).alias("rows"),
                    (value.null_count() / pl.when(pl.len() > 0).then(pl.len())).alias("missing_share"),
                    newest.alias("fresh_time"),
                    ((pl.lit(now, US) - newest).dt.total_microseconds() / 1e6).alias("age_s"),
                    value.mean().alias("mean"),
                    value.std().alias("deviation"),
                    *(value.quantile(place, "nearest").alias(label) for label, place in _PLACES.items()),
                ],
            )
        )
    return pl.concat(parts) if parts else pl.DataFrame()


def _grouped(table: pl.DataFrame, by: Sequence[str], columns: list[pl.Expr]) -> pl.DataFrame:
    if not by:
        return table.select(columns)
    return table.group_by(by, maintain_order=True).agg(columns).sort(by)
