"""Keeps whole books at even distances of event time, so that a question about a moment reads little."""

import logging
import threading
import time
from collections.abc import Iterable

from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.errors import RetryableError, TerminalError
from spark.bars import Minute, now_micros
from spark.clocks import MINUTE
from spark.deliver import Span
from stores.warehouse import Warehouse, literal, patiently

log = logging.getLogger("tapehouse.streams")
Series = tuple[str, str, str]  # venue, instrument, id space

GRACE = 5_000_000  # how far a series' clock must have passed a moment: updates may come a little out of order
TABLE = BOOK_SNAPSHOTS.table
LISTS = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")


def _of(series: Series) -> str:
    names = zip(("venue", "instrument", "id_space"), series, strict=True)
    return " AND ".join(f"{name} = {literal(value)}" for name, value in names)


def _time(micros: int) -> str:
    return f"fromUnixTimestamp64Micro({micros}, 'UTC')"


def make(warehouse: Warehouse, series: Series, moment: int, *, known_time: int) -> None:
    """Store the book of a moment (µs).

    Nothing where none can be told, or where nothing has followed on the venue's own snapshot, which says it all.
    """
    told = {
        "snapshot_time": _time(moment),
        "state": "if(complete, 'complete', 'incomplete')",
        "known_time": _time(known_time),
    }
    names = [column.name for column in BOOK_SNAPSHOTS.columns]
    venue, instrument, id_space = map(literal, series)
    warehouse.run(
        f"INSERT INTO {TABLE} ({', '.join(names)}) SELECT {', '.join(told.get(name, name) for name in names)} "
        f"FROM market_book_at(venue = {venue}, instrument = {instrument}, id_space = {id_space}, "
        f"moment = {_time(moment)}, levels = 0) "
        "WHERE (venue_sequence, received_time) != (base_sequence, base_received_time)"
    )


def withdraw(warehouse: Warehouse, span: Span, *, known_time: int) -> None:
    """Take back the snapshots that the rows of `span` may belong to: no question starts from them any more."""
    # A row belongs to a book when it is stamped before the book's moment, or lies before its last row in the chain;
    # never when it was received, or counted, before the venue's snapshot that the book was made from.
    earlier = f"snapshot_time >= {_time(span.first_time)}"
    belongs = (
        f"({earlier} AND base_received_time <= {_time(span.last_received)}) OR (chain = {literal(span.chain)} "
        f"AND base_sequence <= {span.last_sequence} AND ({earlier} OR venue_sequence >= {span.first_sequence}))"
    )
    empty = ", ".join(f"[] AS {name}" for name in LISTS)
    warehouse.run(
        f"INSERT INTO {TABLE} SELECT * REPLACE ('withdrawn' AS state, {_time(known_time)} AS known_time, {empty}) "
        # Within, lest the names mean what is put in their place.
        f"FROM (SELECT * FROM {TABLE} FINAL WHERE {_of((span.venue, span.instrument, span.id_space))} "
        f"AND state != 'withdrawn' AND ({belongs}))"
    )


class BookKeeper:
    """Makes and withdraws book snapshots for the streams; safe to call from several queries' threads.

    A snapshot that is missing makes questions slower, never wrong; so they are made when there is time.
    """

    def __init__(self, warehouse: Warehouse, every_s: float, budget_s: float = 2.0) -> None:
        self._warehouse = warehouse
        self._every = int(every_s * 1_000_000)
        self._budget_s = budget_s
        self._lock = threading.Lock()
        self._due: dict[Series, set[int]] = {}
        self._newest: dict[Series, int] = {}
        # Of the newest snapshot of each series: its moment, chain and last sequence.
        self._last: dict[Series, tuple[int, str, int]] = {}

    def resume(self) -> None:
        """Pick up the newest snapshots, and what the last process left undone of the last day of events."""
        with self._lock:
            found = self._warehouse.rows(
                "SELECT venue, instrument, id_space, toUnixTimestamp64Micro(max(snapshot_time)), "
                "argMax(chain, snapshot_time), argMax(venue_sequence, snapshot_time) "
                f"FROM {TABLE} FINAL WHERE state != 'withdrawn' GROUP BY venue, instrument, id_space"
            )
            for venue, instrument, id_space, moment, chain, sequence in found:
                self._last[str(venue), str(instrument), str(id_space)] = (int(moment), str(chain), int(sequence))
            rows = self._warehouse.rows(
                "SELECT venue, instrument, id_space, intDiv(toUnixTimestamp64Micro(event_time), 60000000) AS minute, "
                "toUnixTimestamp64Micro(max(event_time)) FROM market_books "
                "WHERE kind = 'delta' AND event_time > (SELECT max(event_time) FROM market_books) - INTERVAL 1 DAY "
                "GROUP BY venue, instrument, id_space, minute"
            )
            for venue, instrument, id_space, minute, newest in rows:
                series = (str(venue), str(instrument), str(id_space))
                self._newest[series] = max(int(newest), self._newest.get(series, 0))
                self._add(series, int(minute) * MINUTE)
            for series, (moment, _, _) in self._last.items():
                self._due[series] = {due for due in self._due.get(series, ()) if due > moment}

    def update(self, touched: Iterable[Minute], spans: Iterable[Span]) -> None:
        """Withdraw what is no longer so; call it before the ledger is written, or a crash would leave it standing."""
        with self._lock:
            for span in spans:
                series = (span.venue, span.instrument, span.id_space)
                self._newest[series] = max(span.last_time, self._newest.get(series, 0))
                if self._reaches_back(series, span):
                    self._withdraw(series, span)
            for venue, instrument, id_space, minute in touched:
                self._add((venue, instrument, id_space), minute)

    def tick(self) -> int:
        """Make what is due, oldest first, for as long as the budget lasts; return how many are left.

        What the warehouse refuses is left out with a word in the log, and when it is away the rest waits: the streams
        go on either way.
        """
        with self._lock:
            ready = sorted(
                (moment, series)
                for series, moments in self._due.items()
                for moment in moments
                if moment + GRACE <= self._newest.get(series, 0)
            )
        end = time.monotonic() + self._budget_s
        for done, (moment, series) in enumerate(ready):
            if time.monotonic() >= end:
                return len(ready) - done
            try:
                with self._lock:  # for one at a time: batches wait for it
                    self._make(series, moment)
            except RetryableError as error:
                log.warning("book snapshots wait: %s", error)
                return len(ready) - done
            except TerminalError as error:
                log.warning("no book snapshot of %s at %s µs: %s", "/".join(series), moment, error)
                self._due[series].discard(moment)
        return 0

    def _add(self, series: Series, minute: int) -> None:
        """Note the moments that rows of a minute belong before."""
        first = minute // self._every * self._every + self._every
        last = -(-(minute + MINUTE) // self._every) * self._every
        self._due.setdefault(series, set()).update(range(first, last + 1, self._every))

    def _reaches_back(self, series: Series, span: Span) -> bool:
        if series not in self._last:
            return False
        moment, chain, sequence = self._last[series]
        return span.first_time <= moment or span.chain != chain or span.first_sequence <= sequence

    def _withdraw(self, series: Series, span: Span) -> None:
        now = now_micros()
        patiently(lambda: withdraw(self._warehouse, span, known_time=now))
        back = self._warehouse.rows(
            f"SELECT toUnixTimestamp64Micro(snapshot_time) FROM {TABLE} FINAL "
            f"WHERE {_of(series)} AND state = 'withdrawn' AND known_time = {_time(now)}"
        )
        self._due.setdefault(series, set()).update(int(row[0]) for row in back)

    def _make(self, series: Series, moment: int) -> None:
        now = now_micros()
        make(self._warehouse, series, moment, known_time=now)
        self._due[series].discard(moment)
        made = self._warehouse.rows(
            f"SELECT chain, venue_sequence FROM {TABLE} FINAL "
            f"WHERE {_of(series)} AND snapshot_time = {_time(moment)} AND state != 'withdrawn'"
        )
        if made and moment >= self._last.get(series, (0, "", 0))[0]:
            self._last[series] = (moment, str(made[0][0]), int(made[0][1]))
