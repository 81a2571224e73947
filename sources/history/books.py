"""Order books in tables: Binance's T_DEPTH files and Tardis' snapshots, one row a level."""

import re
from pathlib import Path

import polars as pl

from contracts.history import Recorded
from sources.history.cells import DECIMAL, Table, table
from sources.history.times import make_times

_LEVEL = re.compile(r"(asks|bids)\[(\d+)\]\.(price|amount)")
_SIDES = {"a": "ask", "ask": "ask", "asks": "ask", "sell": "ask", "b": "bid", "bid": "bid", "bids": "bid", "buy": "bid"}
_IDS = {"first_update_id": "first_id", "last_update_id": "last_id", "pu": "previous_id"}


def is_depth(header: list[str]) -> bool:
    """Tell whether these are the columns of Binance's T_DEPTH files."""
    return {"timestamp", "side", "update_type", "price", "qty"} <= set(header)


def is_snapshots(header: list[str]) -> bool:
    """Tell whether these are the columns of Tardis' book snapshots."""
    return "asks[0].price" in header and "timestamp" in header


def read_depth(path: Path, text: str, header: list[str]) -> list[Recorded]:
    """Read a T_DEPTH file."""
    read = table(text, header, skip=1)
    make_times(read, "timestamp")
    read.numbers(("price", "qty"))
    read.numbers(_IDS, pl.Int64)
    symbol = pl.col("symbol") if "symbol" in header else pl.lit("")
    read.frame = read.frame.rename({ours: theirs for ours, theirs in _IDS.items() if ours in header}).with_columns(
        instrument=symbol, snapshot=pl.col("update_type") == "snap", quantity=pl.col("qty")
    )
    return _by_instrument(path, read, "binance")


def read_snapshots(path: Path, text: str, header: list[str]) -> list[Recorded]:
    """Read Tardis' book snapshots: each line gives a row for each level of each side."""
    read = table(text, header, skip=1)
    make_times(read, "timestamp")
    if "local_timestamp" in header:
        make_times(read, "local_timestamp", into="received_time")
    levels = [name for name in header if _LEVEL.fullmatch(name)]
    read.numbers(levels)
    kept = [name for name in ("line", "time", "received_time", "symbol", "exchange") if name in read.frame.columns]
    long = (
        read.frame.select(*kept, *levels)
        .unpivot(levels, index=kept, variable_name="cell")
        .with_columns(
            side=pl.col("cell").str.extract(_LEVEL.pattern, 1),
            level=pl.col("cell").str.extract(_LEVEL.pattern, 2).cast(pl.Int64),
            what=pl.col("cell").str.extract(_LEVEL.pattern, 3),
        )
        .pivot("what", index=[*kept, "side", "level"], values="value")
        .sort("line", "side", "level", maintain_order=True)
    )
    venue = str(long["exchange"][0]) if long.height and "exchange" in kept else ""
    read.frame = long.rename({"amount": "quantity"}).with_columns(
        instrument=pl.col("symbol") if "symbol" in kept else pl.lit(""), snapshot=pl.lit(True)
    )
    return _by_instrument(path, read, venue)


def _by_instrument(path: Path, read: Table, venue: str) -> list[Recorded]:
    side = pl.col("side").str.strip_chars().str.to_lowercase().replace_strict(_SIDES, default=None)
    read.frame = read.frame.with_columns(_side=side)
    read.drop(pl.col("_side").is_null(), lambda row: f"side {str(row['side'])[:20]!r} is neither bid nor ask")
    known = ("line", "time", "received_time", "side", "level", "price", "quantity", "snapshot", *_IDS.values())
    frame = read.frame.with_columns(side=pl.col("_side"))
    parts = frame.partition_by("instrument", maintain_order=True) or [frame]
    return [
        Recorded(
            kind="books",
            dataset=path.name,
            instrument=str(part["instrument"][0]) if part.height else "",
            frame=part.select(name for name in known if name in part.columns).with_columns(
                pl.col("price", "quantity").cast(DECIMAL)
            ),
            unreadable=read.unreadable() if not at else read.unreadable().clear(),
            venue=venue,
            market="crypto",
            file=str(path),
        )
        for at, part in enumerate(parts)
    ]
