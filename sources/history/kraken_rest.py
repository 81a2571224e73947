"""Answers of Kraken's REST API: `OHLC` and `Trades`. A row's line is its number in the answer's list."""

from pathlib import Path
from typing import Any

import polars as pl

from contracts.history import Recorded
from sources.history.cells import Table
from sources.history.generic import typed
from sources.history.times import parsed

_BARS = ("time", "open", "high", "low", "close", "vwap", "volume", "trade_count")
_TRADES = ("price", "quantity", "time", "side", "", "", "trade_id")
_SIDES = {"b": "buy", "s": "sell"}


def is_answer(document: Any) -> bool:
    """Tell whether a JSON document is such an answer."""
    result = document.get("result") if isinstance(document, dict) and "error" in document else None
    return isinstance(result, dict) and any(_columns(rows) for rows in result.values())


def read_answer(path: Path, document: Any) -> list[Recorded]:
    """Read the rows of each pair in the answer."""
    found = []
    for pair, rows in document["result"].items():
        columns = _columns(rows)
        if not columns:
            continue
        kind = "bars" if columns == _BARS else "trades"
        kept = [at for at, name in enumerate(columns) if name]
        whole = [(at, row) for at, row in enumerate(rows, 1) if isinstance(row, list) and len(row) == len(columns)]
        cells = {columns[place]: [_text(row[place]) for _, row in whole] for place in kept}
        frame = pl.DataFrame({"line": [at for at, _ in whole], **cells}, schema_overrides={"line": pl.Int64})
        read = Table(frame, [str(row) for row in rows])
        whole_lines = {at for at, _ in whole}
        read.bad = [
            (at, str(row)[:200], f"no row of {len(columns)}") for at, row in enumerate(rows, 1) if at not in whole_lines
        ]
        said = {columns[place]: columns[place] for place in kept}
        one = typed(path, read, kind, said)[0]
        frame = one.frame
        if "side" in frame.columns:
            frame = frame.with_columns(pl.col("side").replace(_SIDES))
        last = parsed(pl.Series([_text(document["result"].get("last"))]))[0]
        found.append(
            Recorded(
                kind,
                path.name,
                pair,
                frame,
                one.unreadable,
                venue="kraken",
                market="crypto",
                file=str(path),
                notes={"last": last},
            )
        )
    return found


def _columns(rows: Any) -> tuple[str, ...]:
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], list):
        return ()
    widths = {8: _BARS, 7: _TRADES}
    return widths.get(len(rows[0]), ())


def _text(value: Any) -> str:
    # The digits of a time as they were sent; what is finer than a microsecond is cut off.
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
