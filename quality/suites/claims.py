"""What a suite is, as plain values: a query over a day's rows, and what is claimed of each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from contracts.dataset import Dataset

Level = Literal["stop", "warn"]
Argument = str | int | bool | list[str]

# Great Expectations' classes.
BETWEEN = "ExpectColumnValuesToBeBetween"
IN_SET = "ExpectColumnValuesToBeInSet"
GREATER = "ExpectColumnPairValuesAToBeGreaterThanB"


@dataclass(frozen=True)
class Claim:
    """One claim. `expectation` is Great Expectations' class, `arguments` what it is given.

    stop: what is made from the dataset must not follow when the claim is false; warn: it may. `shown` are columns that
    stand beside the key of a row that speaks against it.
    """

    name: str
    level: Level
    says: str
    expectation: str
    arguments: Mapping[str, Argument]
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """Claims about the rows of one query.

    `sql` has {event_time} or {bar_time} where the day and venue of that column are asked for, and gives each row's
    `venue` and `key`.
    """

    dataset: Dataset
    about: str
    sql: str
    key: tuple[str, ...]
    claims: tuple[Claim, ...] = field(repr=False)

    @property
    def name(self) -> str:
        """What Data Docs call it."""
        return f"{self.dataset.name}.{self.about}"

    def query(self, day: date, venue: str | None = None) -> str:
        """Return the query of a day, of all venues or one."""
        return self.sql.format(**{column: _within(column, day, venue) for column in ("event_time", "bar_time")})


def _within(column: str, day: date, venue: str | None) -> str:
    bounds = [f"{column} {sign} toDateTime64('{bound}', 6, 'UTC')" for sign, bound in _bounds(day)]
    return " AND ".join([*bounds, *([] if venue is None else [f"venue = '{_escaped(venue)}'"])])


def _escaped(text: str) -> str:
    # SQLAlchemy reads colons and percent signs in a query, the engine quotes and backslashes: none of them is left.
    plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
    return "".join(c if c in plain else "".join(f"\\x{byte:02x}" for byte in c.encode()) for c in text)


def _bounds(day: date) -> tuple[tuple[str, str], tuple[str, str]]:
    return (">=", f"{day} 00:00:00"), ("<", f"{day + timedelta(days=1)} 00:00:00")


def between(column: str, least: int | None = None, most: int | None = None) -> dict[str, Argument]:
    """Return the arguments of BETWEEN."""
    bounds = {"min_value": least, "max_value": most}
    return {"column": column, **{name: bound for name, bound in bounds.items() if bound is not None}}


def at_least(column: str, other: str) -> dict[str, Argument]:
    """Return the arguments of GREATER: `column` is not below `other`."""
    return {"column_A": column, "column_B": other, "or_equal": True}
