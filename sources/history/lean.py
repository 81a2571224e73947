"""Lean's market data: bars, quote bars and ticks, in zips or plain; prices of securities are ten-thousandths."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from contracts.errors import TerminalError
from contracts.history import Recorded
from sources.history.cells import DECIMAL, Table, table
from sources.history.lean_names import WIDTHS_S, LeanName, inner_day
from sources.history.times import make_times

_SIDES = tuple(f"{side}_{price}" for side in ("bid", "ask") for price in ("open", "high", "low", "close"))
_QUOTE_BAR = (*_SIDES[:4], "bid_quantity", *_SIDES[4:], "ask_quantity")
_TICK = ("exchange", "condition", "suspicious")
COLUMNS = {
    "bars": ("open", "high", "low", "close", "volume"),
    "quote_bars": _QUOTE_BAR,
    "trades": ("price", "quantity", *_TICK),
    "quotes": ("bid_price", "bid_quantity", "ask_price", "ask_quantity", *_TICK),
    "open_interest": ("quantity",),
}
# Crypto's ticks may end before the exchange; every other row is whole.
AT_LEAST = {"trades": 3, "quotes": 5}
_TEXTS = ("exchange", "condition")
IN_WHOLE_UNITS = ("crypto", "cryptofuture", "forex", "cfd", "future", "futureoption", "index")
_LARGEST = 1 << 31
# Milliseconds since midnight: of a day, of ten where a clock is far off.
_MOST_MS = 10 * 86_400_000


def read_lean(path: Path, name: LeanName) -> list[Recorded]:
    """Read bars or ticks: one recorded series for each file in the zip, which is one for each option contract."""
    found = []
    for inner, text in _texts(path):
        facts: dict[str, Any] = {"scale": 1 if name.security in IN_WHOLE_UNITS else 10_000}
        day = inner_day(inner)
        if day and name.day and day != name.day:
            facts["inner_day"] = day
        found.append(_recorded(path, name, inner, text, facts))
    return found


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    if path.suffix.lower() != ".zip":
        yield path.name, path.read_text("utf-8", "replace")
        return
    try:
        with zipfile.ZipFile(path) as packed:
            for info in packed.infolist():
                if info.is_dir():
                    continue
                if info.file_size > _LARGEST:
                    raise TerminalError(
                        f"{path} holds {info.filename} of {info.file_size} bytes; the most is {_LARGEST}"
                    )
                yield info.filename, packed.read(info).decode("utf-8", "replace")
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise TerminalError(f"{path} can't be unpacked ({error}); fetch it again") from error


def _recorded(path: Path, name: LeanName, inner: str, text: str, facts: dict[str, Any]) -> Recorded:
    kind = name.kind
    columns = COLUMNS[kind]
    at_least = AT_LEAST.get(kind, 0) if name.security in IN_WHOLE_UNITS else 0
    read = table(text, ("time", *columns), at_least=at_least)
    _times(read, name)
    for column in columns:
        if column == "suspicious":
            flag = pl.col(column).str.strip_chars()
            read.frame = read.frame.with_columns(pl.when(flag == "").then(None).otherwise(flag == "1").alias(column))
        elif column not in _TEXTS:
            read.number(column)
    if facts["scale"] != 1:
        prices = [one for one in columns if one not in (*_TICK, "volume") and "quantity" not in one]
        read.frame = read.frame.with_columns((pl.col(prices) / facts["scale"]).cast(DECIMAL))
    if read.rounded:
        facts["rounded"] = read.rounded
    return Recorded(
        kind=kind,
        dataset=name.dataset,
        instrument=instrument_of(name, inner),
        frame=read.frame,
        unreadable=read.unreadable(),
        venue=name.market,
        market="option" if "option" in name.security else name.security,
        width_s=WIDTHS_S.get(name.resolution, 0),
        day=name.day,
        zone=name.zone,
        file=str(path),
        notes=facts,
    )


def _times(read: Table, name: LeanName) -> None:
    """Make the first column times: days of daily files as they are, else the exchange's clock."""
    if name.day is None:
        make_times(read, "time", "UTC" if name.resolution == "daily" else name.zone)
        return
    read.number("time", pl.Float64)
    read.drop(pl.col("time").is_null(), lambda _: "time is blank")
    read.drop(
        ~pl.col("time").is_between(-_MOST_MS, _MOST_MS), lambda row: f"time {row['time']:g} is no millisecond of a day"
    )
    midnight = pl.lit(name.day).cast(pl.Datetime("us"))
    micros = (pl.col("time") * 1000).round().cast(pl.Int64)
    local = midnight + pl.duration(microseconds=micros)
    if name.zone != "UTC":
        local = local.dt.replace_time_zone(name.zone, ambiguous="earliest", non_existent="null")
        read.frame = read.frame.with_columns(local.dt.convert_time_zone("UTC").alias("time"))
    else:
        read.frame = read.frame.with_columns(local.dt.replace_time_zone("UTC").alias("time"))
    read.drop(pl.col("time").is_null(), lambda _: "time falls into the hour that summer time leaves out")


def instrument_of(name: LeanName, inner: str) -> str:
    """Return the symbol; of an option with right, strike and expiry, which the inner file's name carries."""
    if name.security == "future":
        return "_".join([name.symbol.upper(), *inner.rpartition(".")[0].split("_")[4:]])
    if "option" not in name.security:
        return name.symbol.upper()
    parts = inner.rpartition(".")[0].split("_")
    if len(parts) < 3 or not parts[-1].isdigit() or not parts[-2].isdigit():
        return name.symbol.upper()
    right, strike, expiry = parts[-3], int(parts[-2]) / 10_000, parts[-1]
    return f"{name.symbol.upper()} {expiry} {strike:g} {right}"
