"""Lean's reference files: factors of splits and dividends, names of a security, the options of a day."""

from pathlib import Path
from typing import Any

import polars as pl

from contracts.history import Recorded
from sources.history.cells import Table, table
from sources.history.lean_names import LeanName
from sources.history.times import make_times

_GREEKS = ("implied_volatility", "delta", "gamma", "vega", "theta", "rho")
_UNIVERSE = ("expiry", "strike", "right", "open", "high", "low", "close", "volume", "open_interest", *_GREEKS)


def read_lean_reference(path: Path, name: LeanName) -> list[Recorded]:
    """Read a factor file, a map file or a day's option universe."""
    text = path.read_text("utf-8", "replace")
    read = {"factors": _factors, "maps": _maps, "universe": _universe}[name.kind](text)
    return [
        Recorded(
            kind=name.kind,
            dataset=name.dataset,
            instrument=name.symbol.upper(),
            frame=read.frame,
            unreadable=read.unreadable(),
            venue=name.market,
            market="option" if "option" in name.security else "equity",
            day=name.day,
            zone=name.zone,
            file=str(path),
        )
    ]


def read_universe(path: Path, **said: Any) -> list[Recorded]:
    """Read an option universe that only its header gives away."""
    read = _universe(path.read_text("utf-8", "replace"))
    facts: dict[str, Any] = {"dataset": path.stem, "instrument": path.stem, "market": "option", "file": str(path)}
    return [Recorded(kind="universe", frame=read.frame, unreadable=read.unreadable(), **(facts | said))]


def _factors(text: str) -> Table:
    read = table(text, ("time", "price_factor", "split_factor", "reference_price"), at_least=3)
    make_times(read, "time")
    read.numbers(("price_factor", "split_factor", "reference_price"))
    return read


def _maps(text: str) -> Table:
    read = table(text, ("time", "ticker", "exchange"), at_least=2)
    make_times(read, "time")
    read.frame = read.frame.with_columns(pl.col("ticker").str.strip_chars().str.to_uppercase())
    return read


def _universe(text: str) -> Table:
    headed = text.lstrip("\ufeff").startswith("#")
    read = table(text, _UNIVERSE, skip=int(headed))
    underlying = read.frame["strike"].str.strip_chars() == ""
    make = read.frame.filter(~underlying)
    kept = read.frame.filter(underlying).with_columns(expiry=pl.lit(None, pl.Datetime("us", "UTC")))
    read.frame = make
    make_times(read, "expiry", into="expiry")
    read.frame = pl.concat([kept, read.frame.select(kept.columns)])
    read.numbers([one for one in _UNIVERSE if one not in ("expiry", "right")])
    return read
