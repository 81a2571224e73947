"""Tables of anybody's columns: CSV, plain or packed, JSON, JSON lines and Parquet."""

import csv
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from contracts.errors import TerminalError
from contracts.history import Recorded
from sources.history.cells import Table, nothing_unreadable, table
from sources.history.columns import mapped
from sources.history.times import make_times

_DECIMALS = (
    "open", "high", "low", "close", "volume", "vwap", "adjusted", "dividend", "split", "price", "quantity",
    "bid_price", "ask_price", "bid_quantity", "ask_quantity",
)  # fmt: skip
_INTEGERS = ("trade_count", "first_id", "last_id", "previous_id", "level")
# Binance's public archives have no header; these are its columns.
_KLINES = ("time", "open", "high", "low", "close", "volume", "", "", "trade_count", "", "", "")
_TRADES = ("trade_id", "price", "quantity", "", "time", "buyer_maker", "")
_AGGREGATES = ("trade_id", "price", "quantity", "", "", "time", "buyer_maker", "")
_HEADERLESS = {len(one): one for one in (_KLINES, _TRADES, _AGGREGATES)}
_SEPARATORS = (",", "\t", ";", "|")
_PREAMBLE, _FEWEST_COLUMNS = 5, 2


@dataclass(frozen=True)
class Heading:
    """What the beginning of a table tells: its separator, its columns' names, and how many lines come before rows."""

    separator: str
    names: list[str]
    skip: int


def heading(text: str, said: bool) -> Heading | None:
    """Read the beginning of a table; None where it has no names and nobody has `said` what its columns are."""
    separator = max(_SEPARATORS, key=text.lstrip("\ufeff").partition("\n")[0].count)
    lines = text.lstrip("\ufeff").splitlines()[:_PREAMBLE]
    headers = [[name.strip() for name in next(csv.reader([line], delimiter=separator), [])] for line in lines]
    # Above the header some write where the file is from: the first line that has columns enough is the header.
    at = next((at for at, names in enumerate(headers) if len(names) >= _FEWEST_COLUMNS), 0)
    header, skip = headers[at] if headers else [], at + 1
    if header and all(re.fullmatch(r"[-+0-9.eE]+|true|false|True|False", name) for name in header):
        skip = at
        if said:  # columns of a file without names are called by their number
            header = [str(number) for number in range(1, len(header) + 1)]
        elif len(header) in _HEADERLESS:
            header = [name or f"_{place}" for place, name in enumerate(_HEADERLESS[len(header)])]
        else:
            return None
    header = [name or f"_{at}" for at, name in enumerate(header)]
    if len(set(header)) != len(header):
        header = [name if header.index(name) == at else f"{name}_{at}" for at, name in enumerate(header)]
    return Heading(separator, header, skip)


def read_csv(path: Path, text: str, kind: str, said: Mapping[str, str]) -> list[Recorded]:
    """Read a table with a header, or one of Binance's without; nothing where the columns tell no kind."""
    top = heading(text, bool(said))
    if top is None:
        return []
    kind, columns = mapped(top.names, kind, said)
    if not kind:
        return []
    plain = text if top.separator == "," else _with_commas(text, top.separator)
    read = table(plain, top.names, skip=top.skip)
    read.frame = read.frame.select("line", *(pl.col(theirs).alias(ours) for ours, theirs in columns.items()))
    return typed(path, read, kind, columns)


def read_objects(path: Path, objects: Sequence[Any], kind: str, said: Mapping[str, str]) -> list[Recorded]:
    """Read a list of JSON objects; a row's line is its number in the list."""
    rows = [one for one in objects if isinstance(one, dict)]
    header = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    kind, columns = mapped(header, kind, said)
    if not kind:
        return []
    lines = [orjson.dumps(one, default=str).decode() for one in objects]
    read = Table(_texts(objects, columns), lines)
    for number, one in enumerate(objects, 1):
        if not isinstance(one, dict):
            read.bad.append((number, lines[number - 1][:200], "no JSON object"))
    return typed(path, read, kind, columns)


def read_parquet(path: Path, kind: str, said: Mapping[str, str]) -> list[Recorded]:
    """Read a Parquet file; a row's line is its number in the file."""
    try:
        frame = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise TerminalError(f"{path} is no readable Parquet file ({error}); make or fetch it again") from error
    kind, columns = mapped(frame.columns, kind, said)
    if not kind:
        return []
    chosen = frame.select(as_text(frame[theirs]).alias(ours) for ours, theirs in columns.items())
    lined = chosen.with_row_index("line", 1).with_columns(pl.col("line").cast(pl.Int64))
    return typed(path, Table(lined, ()), kind, columns)


def typed(path: Path, read: Table, kind: str, columns: Mapping[str, str]) -> list[Recorded]:
    """Make text cells times and numbers and return one recorded series for each instrument."""
    make_times(read, "time")
    if "received_time" in read.frame.columns:
        make_times(read, "received_time", into="received_time")
    read.numbers(_DECIMALS)
    read.numbers(_INTEGERS, pl.Int64)
    read.numbers(("value",), pl.Float64)
    frame = read.frame
    if "trade_id" in frame.columns:
        number = frame["trade_id"].str.strip_chars().cast(pl.Int64, strict=False)
        frame = frame.with_columns(number if not number.null_count() else frame["trade_id"].str.strip_chars())
    notes: dict[str, object] = {"columns": dict(columns)} | ({"rounded": read.rounded} if read.rounded else {})
    common: dict[str, Any] = {"kind": kind, "dataset": path.name, "file": str(path), "notes": notes}
    bad = read.unreadable()
    if "instrument" not in frame.columns:
        return [Recorded(instrument=named_by(path, columns), frame=frame, unreadable=bad, **common)]
    parts = frame.partition_by("instrument", maintain_order=True, include_key=True)
    found = []
    for number_of, part in enumerate(parts):
        name = part["instrument"][0] or ""
        lost = nothing_unreadable() if number_of else bad
        found.append(Recorded(instrument=name, frame=part.drop("instrument"), unreadable=lost, **common))
    return found or [Recorded(instrument="", frame=frame.drop("instrument"), unreadable=bad, **common)]


def named_by(path: Path, columns: Mapping[str, str]) -> str:
    """Name the instrument by the front of its columns (AAPL.Open), else by the file."""
    fronts = {theirs.rpartition(".")[0] for theirs in columns.values() if "." in theirs}
    return fronts.pop() if len(fronts) == 1 else path.name.split(".")[0].rpartition("__")[2]


def _texts(objects: Sequence[Any], columns: Mapping[str, str]) -> pl.DataFrame:
    numbered = [(at, one) for at, one in enumerate(objects, 1) if isinstance(one, dict)]
    cells: dict[str, list[Any]] = {"line": [at for at, _ in numbered]}
    for ours, theirs in columns.items():
        cells[ours] = [_text(one.get(theirs)) for _, one in numbered]
    return pl.DataFrame(cells, schema={"line": pl.Int64, **dict.fromkeys(columns, pl.String)})


def _text(value: Any) -> str:
    if value is None:
        return ""
    return format(Decimal(repr(value)), "f") if isinstance(value, float) and value == value else str(value)


def as_text(column: pl.Series) -> pl.Series:
    """Return a typed column as the text that a table would have."""
    if column.dtype.is_float():
        return pl.Series([_text(value) for value in column.to_list()], dtype=pl.String)
    if isinstance(column.dtype, pl.Datetime):
        naive = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if column.dtype.time_zone else column
        return naive.dt.strftime("%Y-%m-%d %H:%M:%S%.6f").fill_null("")
    return column.cast(pl.String).fill_null("")


def _with_commas(text: str, separator: str) -> str:
    def lines() -> Iterator[str]:
        for line in text.lstrip("\ufeff").splitlines():
            cells = next(csv.reader([line], delimiter=separator), [])
            yield ",".join(f'"{cell}"' if "," in cell else cell for cell in cells)

    return "\n".join(lines())
