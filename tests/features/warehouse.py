"""Frames that features are made from, put into the tables that they are read from."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

import polars as pl

from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.dataset import Column, Dataset, Decimal, ListOf, Type
from contracts.instruments import INSTRUMENTS
from contracts.quotes import QUOTES
from contracts.scores import BAR_SCORES, DIMENSIONS
from contracts.trades import TRADES
from stores.arrow import arrow_schema
from stores.warehouse import Warehouse

SPACE = pl.lit("sample").alias("id_space")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = {"bars": BARS, "trades": TRADES, "quotes": QUOTES, "books": BOOK_SNAPSHOTS, "scores": BAR_SCORES}


def insert(warehouse: Warehouse, frames: Mapping[str, pl.DataFrame]) -> None:
    """Insert each frame that is there into its table."""
    known = pl.col("known_time").alias("ingested_time")
    more: Mapping[str, list[pl.Expr]] = {
        "bars": [pl.lit("final").alias("state"), pl.lit(1).alias("revision")],
        "trades": [known, pl.col("venue_sequence").cast(pl.String).alias("trade_id"), pl.lit(1).alias("trade_count")],
        "quotes": [known, pl.col("venue_sequence").cast(pl.String).alias("update_id")],
        "books": [pl.lit("complete").alias("state")],
        "scores": [pl.lit(1).alias("revision"), *(pl.lit(1.0).alias(d) for d in DIMENSIONS if d != "completeness")],
    }
    for name, dataset in TABLES.items():
        if name in frames:
            own = [expression for expression in more[name] if expression.meta.output_name() not in frames[name].columns]
            rows(warehouse, dataset, frames[name].with_columns(SPACE, *own))
    if "pairs" in frames:
        kinds = {"base": pl.lit("BTC"), "quote": pl.lit("USD"), "kind": pl.lit("spot")}
        rows(warehouse, INSTRUMENTS, frames["pairs"].with_columns(SPACE, **kinds, event_time=pl.lit(EPOCH)))


def rows(warehouse: Warehouse, dataset: Dataset, frame: pl.DataFrame) -> None:
    """Insert a frame; columns that it lacks are empty."""
    lacking = [_empty(column).alias(column.name) for column in dataset.columns if column.name not in frame.columns]
    full = frame.with_columns(lacking).select(_exact(column) for column in dataset.columns)
    schema = arrow_schema(dataset.columns)
    warehouse.insert(dataset.table, full.to_arrow().cast(schema), token=secrets.token_hex(8))


def empty(warehouse: Warehouse) -> None:
    """Empty the tables."""
    for dataset in (*TABLES.values(), INSTRUMENTS):
        warehouse.run(f"TRUNCATE TABLE {dataset.table}")
    warehouse.run("TRUNCATE TABLE market_features")
    warehouse.run("TRUNCATE TABLE market_indicators")


def _empty(column: Column) -> pl.Expr:
    if isinstance(column.type, ListOf):
        return pl.lit([], pl.List(pl.Float64))
    if isinstance(column.type, Decimal):
        return pl.lit(0.0)
    if column.type is Type.TIMESTAMP:
        return pl.lit(EPOCH)
    return pl.lit("") if column.type is Type.STRING else pl.lit(0)


def _exact(column: Column) -> pl.Expr:
    kind = column.type
    if isinstance(kind, ListOf):
        return pl.col(column.name).cast(pl.List(pl.Decimal(kind.item.precision, kind.item.scale)))
    if isinstance(kind, Decimal):
        return pl.col(column.name).cast(pl.Decimal(kind.precision, kind.scale))
    return pl.col(column.name)
