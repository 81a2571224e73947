"""From text to typed cells, each row with its line; what can't be read is kept with the reason."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from contracts.history import DIGITS, SCALE

DECIMAL = pl.Decimal(DIGITS, SCALE)
# What programs write where they have no value.
BLANKS = ("", "nan", "null", "none", "na", "n/a", "#n/a", "nat", "-", "--", "<na>")
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_TOO_FINE = r"\.\d{18}\d*[1-9]"
_SHOWN = 200
UNREADABLE = {"line": pl.Int64, "raw": pl.String, "reason": pl.String}


@dataclass
class Table:
    """Rows of a text as cells; `bad` are lines that gave none: line, raw text, reason."""

    frame: pl.DataFrame
    lines: Sequence[str]
    bad: list[tuple[int, str, str]] = field(default_factory=list)
    rounded: int = 0  # cells with more digits after the point than a decimal of ours holds

    def raw(self, line: int) -> str:
        """Return the text of a line, cut where it is long."""
        return self.lines[line - 1][:_SHOWN] if 0 < line <= len(self.lines) else ""

    def drop(self, where: pl.Expr, reason: Callable[[dict[str, object]], str]) -> None:
        """Move the rows where the expression holds to the unreadable ones."""
        lost = self.frame.filter(where)
        if lost.height:
            for row in lost.to_dicts():
                self.bad.append((row["line"], self.raw(row["line"]), reason(row)))
            self.frame = self.frame.filter(~where)

    def number(self, name: str, dtype: pl.DataType | type[pl.DataType] = DECIMAL) -> None:
        """Make a text column numbers; blank cells become null, rows with anything else are unreadable."""
        text = pl.col(name).str.strip_chars()
        commas = pl.when(text.str.contains(_THOUSANDS)).then(text.str.replace_all(",", "")).otherwise(text)
        self.frame = self.frame.with_columns(_blank_to_null(commas).alias(name))
        self.drop(
            pl.col(name).is_not_null() & ~pl.col(name).str.contains(_NUMBER),
            lambda row: f"{name} {str(row[name])[:40]!r} is no number",
        )
        if dtype == DECIMAL:
            self.rounded += int(self.frame[name].str.contains(_TOO_FINE).sum())
        typed = pl.col(name).cast(dtype, strict=False)
        self.drop(
            pl.col(name).is_not_null() & typed.is_null(),
            lambda row: f"{name} {str(row[name])[:40]!r} has more digits than {dtype} holds",
        )
        self.frame = self.frame.with_columns(typed)

    def numbers(self, names: Iterable[str], dtype: pl.DataType | type[pl.DataType] = DECIMAL) -> None:
        """Make each of these columns that is there numbers."""
        for name in names:
            if name in self.frame.columns:
                self.number(name, dtype)

    def unreadable(self) -> pl.DataFrame:
        """Return the lines that gave no row, in their order."""
        return pl.DataFrame(sorted(self.bad), schema=UNREADABLE, orient="row")


def table(text: str, names: Sequence[str], *, skip: int = 0, at_least: int = 0) -> Table:
    """Split lines into cells by commas; a line with another number of cells is unreadable.

    `skip` lines come before the rows; blank lines are passed over. Between `at_least` and all of `names` cells may
    stand on a line; what is left out is blank.
    """
    lines = text.lstrip("\ufeff").splitlines()
    wanted, least = len(names), at_least or len(names)
    rows: list[Sequence[str]] = []
    numbers: list[int] = []
    bad: list[tuple[int, str, str]] = []
    plain = '"' not in text
    for number, line in enumerate(lines[skip:], skip + 1):
        if not line.strip():
            continue
        cells = line.split(",") if plain else next(csv.reader([line]))
        if len(cells) != wanted:
            # A comma at the end is no cell more.
            if len(cells) == wanted + 1 and not cells[-1].strip():
                cells = cells[:-1]
            elif least <= len(cells) < wanted:
                cells = [*cells, *[""] * (wanted - len(cells))]
            else:
                bad.append((number, line[:_SHOWN], f"{len(cells)} cells where {wanted} are expected"))
                continue
        rows.append(cells)
        numbers.append(number)
    columns = {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=False)} if rows else {}
    frame = pl.DataFrame(
        {"line": numbers, **{name: columns.get(name, []) for name in names}},
        schema={"line": pl.Int64, **dict.fromkeys(names, pl.String)},
    )
    return Table(frame, lines, bad)


def nothing_unreadable() -> pl.DataFrame:
    """Return the frame of a source all of whose rows were read."""
    return pl.DataFrame(schema=UNREADABLE)


def _blank_to_null(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.to_lowercase().is_in(BLANKS)).then(None).otherwise(text)
