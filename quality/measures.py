"""What the warehouse tells of a day, for its scores: five queries, each in a file of sql/queries."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from stores.warehouse import Warehouse


class Minute(NamedTuple):
    """A minute of a series, numbered from the epoch. `trades` is 0 where there is a bar although nothing traded."""

    venue: str
    instrument: str
    id_space: str
    minute: int
    trades: int
    twice: int = 0  # rows of a trade id beyond its first
    late: int = 0  # by more than 10 s
    very_late: int = 0  # by more than 60 s; they are late, too
    differs: bool = False  # the bar, or its absence, contradicts the trades
    close: Decimal = Decimal(0)


class Hole(NamedTuple):
    """What is not repaired of a series: trades by number where `kind` is trade_ids, else a stretch of time."""

    venue: str
    instrument: str
    id_space: str
    kind: str
    state: str
    missing: int
    from_minute: int
    to_minute: int


class Refused(NamedTuple):
    """Records in quarantine. `instruments` are those that the payloads name."""

    venue: str
    minute: int
    of_trades: bool
    instruments: tuple[str, ...]
    records: int


class Repeats(NamedTuple):
    """A series' share of the repeats that the ledger counted."""

    venue: str
    instrument: str
    id_space: str
    minute: int
    share: Decimal


class Quotes(NamedTuple):
    """The quotes of a minute, and how many of them are crossed."""

    venue: str
    instrument: str
    minute: int
    quotes: int
    crossed: int


@dataclass(frozen=True)
class Measures:
    """Everything from which a day's scores follow."""

    day: date
    minutes: tuple[Minute, ...] = ()
    holes: tuple[Hole, ...] = ()
    refused: tuple[Refused, ...] = ()
    repeats: tuple[Repeats, ...] = ()
    quotes: tuple[Quotes, ...] = ()


def read_measures(warehouse: Warehouse, query: Callable[[str], str], day: date, settled: datetime) -> Measures:
    """Measure a day. `query` returns the text of a named query.

    What was stored after `settled` may not have reached its bar yet.
    """
    asked = {"day": day, "settled": int(settled.timestamp() * 1_000_000)}
    minutes = warehouse.rows(query("score_minutes"), asked)
    return Measures(
        day,
        tuple(Minute._make((*row[:8], bool(row[8]), row[9])) for row in minutes),
        tuple(Hole(*row) for row in warehouse.rows(query("score_gaps"), asked)),
        tuple(
            Refused(venue, minute, bool(of_trades), tuple(instruments), records)
            for venue, minute, of_trades, instruments, records in warehouse.rows(query("score_quarantine"), asked)
        ),
        tuple(Repeats(*row) for row in warehouse.rows(query("score_repeats"), asked)),
        tuple(Quotes(*row) for row in warehouse.rows(query("score_quotes"), asked)),
    )
