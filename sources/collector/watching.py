"""Follows what was heard, in the order of the tape: what is missing in which series, which books are whole."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from contracts.books import BOOKS
from contracts.trades import TRADES
from sources.connection import Connection
from sources.endpoints import Venue
from sources.events import Accepted, Event, Ignored
from sources.tape_file import TapeRecord
from sources.watch.books import Books, Outcome
from sources.watch.gaps import GapBook
from sources.watch.skew import Skew

Series = tuple[str, str]
"""Instrument and id space."""

# What of a book's outcomes means that updates were lost.
_LOST = frozenset({"hole", "checksum_failed"})
# What means that the book is whole again: a snapshot, or the late delta that was missing.
_WHOLE = frozenset({"snapshot", "healed"})
# Deltas of a busy book kept while a snapshot is on its way: three minutes at ten a second.
_KEPT_DELTAS = 2_000


def _sequence(row: Mapping[str, object]) -> int:
    return cast(int, row["venue_sequence"])


def now_micros() -> int:
    """Read the wall clock in microseconds."""
    return time.time_ns() // 1000


@dataclass
class Answered:
    """What the answer to a request turned out to hold."""

    trades: int = 0
    new: int = 0  # trades that were not heard before
    newest: int = 0  # event time of the newest trade, microseconds
    refused: bool = False  # the venue said no, if with a friendly status


class Watcher:
    """Watch one venue. Its `hear` is the wire's listener; it is told when connections come and go, in that order."""

    def __init__(
        self, venue: Venue, run_id: str, marks: Iterable[Mapping[str, object]] = (), now: Callable[[], int] = now_micros
    ) -> None:
        self._venue = venue
        self._run_id = run_id
        self._now = now
        self._begin(marks)

    def forget(self) -> None:
        """Begin anew, as if nothing had been heard: a recording that is played again is not the venue going on."""
        self._begin(())

    def _begin(self, marks: Iterable[Mapping[str, object]]) -> None:
        self.gaps = GapBook(self._venue.name, self._venue.counted, self._run_id, marks)
        self.books = Books(self._venue.checksum, _KEPT_DELTAS)
        self.skew = Skew()
        self.instruments: dict[str, set[str]] = {}  # by endpoint
        self.book_streams: dict[Series, tuple[str, str]] = {}  # endpoint and stream on which a book comes
        self.answers: dict[tuple[str, int], Answered] = {}  # of the requests that expected() announced
        self._marked = set(self.gaps.series())
        self._series: dict[str, set[Series]] = {}  # by connection
        # What each share of an endpoint's streams ever carried: one that came back and heard nothing may be lost again.
        self._carried: dict[tuple[str, tuple[str, ...]], set[Series]] = {}
        self._numbers: dict[str, int] = {}  # the venue's own number of the last message, by connection

    def hear(self, record: TapeRecord, events: list[Event]) -> None:
        """Take note of a payload's events."""
        if self._venue.message_sequence is not None and not record.request:
            self._count_message(record)
        trades = []
        for event in events:
            if isinstance(event, Accepted):
                row = event.row
                instrument = str(row["instrument"])
                self.instruments.setdefault(record.endpoint, set()).add(instrument)
                if event.dataset == TRADES.name:
                    trades.append(row)
                elif event.dataset == BOOKS.name:
                    self._book(record, instrument, row)
            elif isinstance(event, Ignored):
                self._ignored(record, event)
        # Some venues list a message's trades newest first, and that is no hole.
        for row in sorted(trades, key=_sequence) if len(trades) > 1 else trades:
            self._trade(record, str(row["instrument"]), row)

    def _ignored(self, record: TapeRecord, event: Ignored) -> None:
        if record.request and event.reason == "subscription_error":
            if (answered := self.answers.get((record.connection_id, record.message_number))) is not None:
                answered.refused = True
        elif event.seen is not None:
            seen = event.seen
            self.gaps.hear(seen.instrument, seen.id_space, seen.sequence, None, self._now(), seen.delivered)

    def _trade(self, record: TapeRecord, instrument: str, row: Mapping[str, object]) -> None:
        id_space, event_time = str(row["id_space"]), cast(int, row["event_time"])
        sequence = cast(int, row["venue_sequence"]) if id_space in self._venue.counted else None
        before = self.gaps.heard(instrument, id_space) if record.request else None
        if before is not None and sequence is not None and sequence > before[0] + 1:
            return  # an answer that is ahead of the stream: what lies between is on its way, not missing
        new = self.gaps.hear(instrument, id_space, sequence, event_time, self._now())
        answered = self.answers.get((record.connection_id, record.message_number))
        if answered is not None:
            answered.trades += 1
            # Without ids only what is newer than everything heard is known to be new.
            answered.new += new if sequence is not None else before is None or event_time > before[1]
            answered.newest = max(answered.newest, event_time)
        if not record.request:
            self._series.setdefault(record.connection_id, set()).add((instrument, id_space))
            self.skew.heard(event_time, record.received_time)

    def expect(self, record: TapeRecord) -> Answered:
        """Keep account of what the payload turns out to hold, until `settle`."""
        return self.answers.setdefault((record.connection_id, record.message_number), Answered())

    def settle(self, record: TapeRecord) -> None:
        """End the account of a payload."""
        self.answers.pop((record.connection_id, record.message_number), None)

    def _book(self, record: TapeRecord, instrument: str, row: Mapping[str, object]) -> None:
        id_space = str(row["id_space"])
        if not record.request and (instrument, id_space) not in self.book_streams:
            stream = self._venue.dialects[record.endpoint].stream_of(record.payload)
            if stream is not None:
                self.book_streams[instrument, id_space] = record.endpoint, stream
        outcome = self.books.apply(row)
        if outcome.kind in _LOST:
            self._lost_updates(instrument, id_space, row, outcome)
        elif outcome.kind in _WHOLE:
            self.gaps.resynced(instrument, id_space, self._now())

    def _lost_updates(self, instrument: str, id_space: str, row: Mapping[str, object], outcome: Outcome) -> None:
        first, last = outcome.missing or (-1, -1)
        heard = cast(int, row["event_time"])
        detail = "the checksum differs" if outcome.kind == "checksum_failed" else "updates do not connect"
        self.gaps.hole(instrument, id_space, first, last, heard, heard, self._now(), detail=detail)

    def _count_message(self, record: TapeRecord) -> None:
        assert self._venue.message_sequence is not None
        number = self._venue.message_sequence(record.payload)
        if number is None:
            return
        before = self._numbers.get(record.connection_id)
        self._numbers[record.connection_id] = number
        if before is not None and number > before + 1:
            # Whose messages they were nobody knows: every book of the connection may lack an update.
            for instrument, id_space in self.books.drop_chain(record.connection_id):
                now = record.received_time
                detail = f"messages {before + 1} to {number - 1} of the connection"
                self.gaps.hole(instrument, id_space, before + 1, number - 1, now, now, self._now(), "sequence", detail)

    def live(self, connection: Connection) -> None:
        """Ask for what was missed while the connection was away, or while no collector ran."""
        now = self._now()
        carried = self._carried.get((connection.endpoint.name, connection.streams))
        if carried:
            self.gaps.silence(carried, None, now, now, f"{connection.endpoint.name} was away")
        resumed = {series for series in self._marked if self._carries(connection, series[0])}
        if resumed:
            self._marked -= resumed
            self.gaps.silence(resumed, None, now, now, "the collector was away")

    def lost(self, connection: Connection, connection_id: str) -> None:
        """Note what the connection carried under the id that it had."""
        now = self._now()
        for instrument, id_space in self.books.drop_chain(connection_id):
            self.gaps.hole(instrument, id_space, -1, -1, now, now, now, "sequence", "the connection was lost")
        carried = self._carried.setdefault((connection.endpoint.name, connection.streams), set())
        carried |= self._series.pop(connection_id, set())
        self._numbers.pop(connection_id, None)

    def _carries(self, connection: Connection, instrument: str) -> bool:
        dialect = self._venue.dialects[connection.endpoint.name]
        return any(dialect.stream(d, instrument) in connection.streams for d in (TRADES.name, BOOKS.name))

    def report(self) -> dict[str, object]:
        """Return what the health page shows."""
        incomplete = self.books.incomplete()
        return {
            "gaps": self.gaps.counts(),
            "open_gaps": [
                {
                    "instrument": gap.instrument, "id_space": gap.id_space, "kind": gap.kind, "state": gap.state,
                    "missing": sum(last - first + 1 for first, last in gap.ranges) or None, "attempts": gap.attempts,
                }
                for gap in self.gaps.open_gaps()[:20]
            ],
            "books": {
                "complete": len(self.books.books) - len(incomplete),
                "incomplete": [f"{instrument} {id_space}" for instrument, id_space in incomplete[:20]],
                "checksums": {"matched": self.books.checksums_matched, "failed": self.books.checksums_failed},
                "crossed": self.books.crossed,
            },
            "clock": self.skew.report(),
        }  # fmt: skip
