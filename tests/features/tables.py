"""The reference tables: bars and values of indicators that other projects publish beside their code."""

import csv
import json
from pathlib import Path

import polars as pl

ROOT = Path(__file__).resolve().parents[3] / "shared" / "data" / "reference"
SKENDER = ROOT / "DaveSkender+Stock.Indicators"
LEAN = ROOT / "QuantConnect+Lean"
ABSENT = f"the reference tables are not at {ROOT}: they are not part of the repository"
_QUOTES = "tests__indicators___testdata__quotes__{}.csv"
_RESULTS = "tests__indicators___testdata__results__{}.standard.json"


def skender_bars(name: str = "default") -> pl.DataFrame:
    """Return one of Skender's tables of daily bars."""
    return _bars(list(csv.DictReader((SKENDER / _QUOTES.format(name)).read_text("utf-8-sig").splitlines())))


def skender_values(table: str, column: str) -> pl.Series:
    """Return one column of Skender's results, null where there is none."""
    rows = json.loads((SKENDER / _RESULTS.format(table)).read_text())
    return pl.Series([None if row[column] is None else float(row[column]) for row in rows])


def lean(name: str) -> tuple[pl.DataFrame, dict[str, pl.Series]]:
    """Return a Lean table's bars and all of its columns as numbers."""
    lines = (LEAN / f"Tests__TestData__{name}").read_text("utf-8-sig").splitlines()
    rows = [{key.strip(): value for key, value in row.items()} for row in csv.DictReader(lines)]
    columns = {name: pl.Series([_number(row[name]) for row in rows]) for name in rows[0]}
    return _bars([{key.lower(): value for key, value in row.items()} for row in rows]), columns


def _bars(rows: list[dict[str, str]]) -> pl.DataFrame:
    prices = [name for name in ("open", "high", "low", "close", "volume") if name in rows[0]]
    return pl.DataFrame({name: [_number(row[name]) for row in rows] for name in prices}).with_columns(
        # One bar a row: the indicators count bars, so any even times do.
        bar_time=(pl.int_range(pl.len()) * 86_400_000_000).cast(pl.Datetime("us", "UTC")),
        venue=pl.lit("table"),
        instrument=pl.lit("table"),
        id_space=pl.lit("table"),
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return None if value != value else value
