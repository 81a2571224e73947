"""The frames that features are made from, read from the warehouse, one feed of each entity. Without Dagster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.instruments import INSTRUMENTS
from contracts.quotes import QUOTES
from contracts.scores import BAR_SCORES
from contracts.trades import TRADES
from stores.warehouse import literal, tuples

if TYPE_CHECKING:
    import polars as pl

    from stores.warehouse import Warehouse

# Currencies that are taken as one, so that pairs of several venues can be compared.
DOLLARS = ("USD", "USDC", "USDT")
# How much earlier than a window is read, so that what is held through minutes without anything is mostly there.
HELD = timedelta(hours=1)
# The features of ticks look at the best 20 levels.
LEVELS = 20
ROWS_A_BATCH = 2_000_000

Feed = tuple[str, str, str]  # venue, instrument, id space


@dataclass(frozen=True)
class Span:
    """From when (included) to when (excluded, but for what is of a moment) rows are read."""

    begin: datetime
    end: datetime

    def of(self, column: str) -> str:
        """Write the condition."""
        return f"{column} >= {_moment(self.begin)} AND {column} < {_moment(self.end)}"


def feeds(warehouse: "Warehouse", table: str, clock: str, span: Span, *, size: str = "count()") -> dict[Feed, int]:
    """Return the feed of each entity that has the most rows in a span, and how many."""
    rows = warehouse.rows(
        f"SELECT venue, instrument, id_space, toInt64({size}) AS held FROM {table} WHERE {span.of(clock)} "
        "GROUP BY venue, instrument, id_space "
        "ORDER BY venue, instrument, held DESC, id_space LIMIT 1 BY venue, instrument"
    )
    return {(str(venue), str(instrument), str(space)): int(held) for venue, instrument, space, held in rows}


def batches(held: dict[Feed, int], most: int = ROWS_A_BATCH) -> Iterator[list[Feed]]:
    """Return the feeds in groups of about so many rows together."""
    group: list[Feed] = []
    size = 0
    for feed, rows in sorted(held.items()):
        if group and size + rows > most:
            yield group
            group, size = [], 0
        group.append(feed)
        size += rows
    if group:
        yield group


def bar_feeds(warehouse: "Warehouse", span: Span) -> dict[Feed, int]:
    """Return the feed of each entity that its bars and trades are read from, with its number of trades."""
    return feeds(warehouse, BARS.table, "bar_time", span, size="sum(trade_count)")


def bars(warehouse: "Warehouse", span: Span, of: Sequence[Feed]) -> "pl.DataFrame":
    """Return the last revision of each bar, withdrawn ones too, known since it says what it says.

    A revision that only labels a bar final says nothing new of its prices.
    """
    key = "venue, instrument, id_space, bar_time"
    numbers = ("open", "high", "low", "close", "volume", "notional", "trade_count")
    said = f"cityHash64({', '.join(numbers)}, state = 'withdrawn')"
    newest = ", ".join(f"argMax(b.{name}, b.revision) AS {name}" for name in (*numbers, "state"))
    return _frame(
        warehouse,
        f"SELECT {key}, {', '.join(f'toFloat64({name}) AS {name}' for name in numbers)}, state, "
        "tupleElement(history[arrayLastIndex(one -> one.3 != history[-1].3, history) + 1], 2) AS known_time "
        f"FROM (SELECT {key}, {newest}, arraySort(groupArray((b.revision, b.known_time, b.said))) AS history "
        f"FROM (SELECT *, {said} AS said FROM {BARS.table} WHERE {span.of('bar_time')} AND {_of(of)}) AS b "
        f"GROUP BY {key}) ORDER BY {key}",
    )


def trades(warehouse: "Warehouse", span: Span, of: Sequence[Feed]) -> "pl.DataFrame":
    """Return the trades of a span in order."""
    return _frame(
        warehouse,
        "SELECT venue, instrument, venue_sequence, event_time, toFloat64(t.price) AS price, "
        "toFloat64(t.quantity) AS quantity, side, ingested_time AS known_time "
        f"FROM {TRADES.table} AS t FINAL WHERE {span.of('event_time')} AND {_of(of)} "
        "ORDER BY venue, instrument, event_time, venue_sequence, trade_id",
    )


def quotes(warehouse: "Warehouse", span: Span, of: Sequence[Feed]) -> "pl.DataFrame":
    """Return the quotes of a span in order."""
    sides = ", ".join(
        f"toFloat64(q.{name}) AS {name}" for name in ("bid_price", "bid_quantity", "ask_price", "ask_quantity")
    )
    return _frame(
        warehouse,
        f"SELECT venue, instrument, venue_sequence, event_time, {sides}, ingested_time AS known_time "
        f"FROM {QUOTES.table} AS q FINAL WHERE {span.of('event_time')} AND {_of(of)} "
        "ORDER BY venue, instrument, event_time, venue_sequence, update_id",
    )


def books(warehouse: "Warehouse", span: Span, of: Sequence[Feed]) -> "pl.DataFrame":
    """Return the best levels of the stored snapshots; one at the span's end is of the minute that ends there."""
    lists = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
    best = ", ".join(f"arrayMap(x -> toFloat64(x), arraySlice(s.{name}, 1, {LEVELS})) AS {name}" for name in lists)
    inside = f"snapshot_time >= {_moment(span.begin)} AND snapshot_time <= {_moment(span.end)}"
    return _frame(
        warehouse,
        f"SELECT venue, instrument, snapshot_time, {best}, state, known_time FROM {BOOK_SNAPSHOTS.table} AS s FINAL "
        f"WHERE {inside} AND {_of(of)} ORDER BY venue, instrument, snapshot_time",
    )


def scores(warehouse: "Warehouse", span: Span, of: Sequence[Feed]) -> "pl.DataFrame":
    """Return the last score of each bar."""
    key = "venue, instrument, id_space, bar_time"
    return _frame(
        warehouse,
        "SELECT venue, instrument, bar_time, toFloat64(s.score) AS score, toFloat64(s.completeness) AS completeness, "
        f"known_time FROM (SELECT * FROM {BAR_SCORES.table} WHERE {span.of('bar_time')} AND {_of(of)} "
        f"ORDER BY {key}, revision DESC, known_time DESC LIMIT 1 BY {key}) AS s ORDER BY {key}",
    )


def pairs(warehouse: "Warehouse") -> "pl.DataFrame":
    """Return which pair each instrument is, dollars and what stands for them taken as one; kinds stay apart."""
    dollars = ", ".join(map(literal, DOLLARS))
    told = "(event_time, received_time, message_number, message_index)"
    return _frame(
        warehouse,
        f"SELECT venue, instrument, concat(argMax(base, {told}), '/', "
        f"if(argMax(quote, {told}) IN ({dollars}), 'USD', argMax(quote, {told})), ' ', argMax(kind, {told})) AS pair "
        f"FROM {INSTRUMENTS.table} GROUP BY venue, instrument ORDER BY venue, instrument",
    )


def _frame(warehouse: "Warehouse", query: str) -> "pl.DataFrame":
    import polars as pl

    found = pl.from_arrow(warehouse.table(query))
    assert isinstance(found, pl.DataFrame)
    names = [name for name, kind in found.schema.items() if isinstance(kind, pl.Categorical)]
    return found.with_columns(pl.col(names).cast(pl.String)).rechunk()


def _of(of: Sequence[Feed]) -> str:
    return f"(venue, instrument, id_space) IN ({tuples(of)})" if of else "0"


def _moment(moment: datetime) -> str:
    return f"fromUnixTimestamp64Micro({int(moment.timestamp()) * 1_000_000}, 'UTC')"
