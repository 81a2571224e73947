"""What became of every line of foreign recordings: events, or the reason why there is none. For `tapehouse parse`."""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.books import BOOKS
from contracts.errors import TerminalError
from contracts.instruments import INSTRUMENTS
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources.endpoints import Venue
from sources.events import Accepted, Event, Ignored, Rejected
from sources.foreign import ForeignRecord, foreign_lines
from sources.placing import placed
from sources.tape_file import TapeRecord
from sources.watch.books import Books
from sources.watch.gaps import GapBook
from sources.watch.intervals import Intervals
from sources.watch.skew import Skew

Row = dict[str, Any]
Lines = Iterator[tuple[str, ForeignRecord]]

# What events are called in the output; a book's kind makes book_snapshot or book_delta of it.
_EVENTS = {TRADES.name: "trade", QUOTES.name: "quote", VENUE_BARS.name: "bar", INSTRUMENTS.name: "instrument"}

# Why something is ignored beside the parsers' own reasons (sources.events.IGNORED).
NOT_PARSED: dict[str, str] = {
    "blank_line": "Nothing is on the line.",
    "control_line": "The recorder speaks of itself or of a connection: opened, asked, configured.",
    "instrument_list": "Instruments, which are printed on demand only; counted once a message.",
}
# More would make the summary hard to read; its number of gaps counts all.
_MOST_DETAILS = 1000
# A book's deltas that are kept until a snapshot comes; those of files without any would fill the memory.
_PATIENCE = 2000


def recorded(paths: Sequence[Path], endpoint: str = "") -> Lines:
    """Yield the lines of all files, each with the name of its file, merged by the time of receipt.

    So a book that was asked for by REST, in a file of its own, is met where it belongs. Raises TerminalError for a
    file that can't be read, is damaged, or is no recording.
    """
    alone = len({path.name for path in paths}) == len(paths)
    files = [_named(path.name if alone else str(path), foreign_lines(path, endpoint)) for path in paths]
    return files[0] if len(files) == 1 else heapq.merge(*files, key=lambda line: line[1].received_time)


def _named(name: str, records: Iterator[ForeignRecord]) -> Lines:
    return ((name, record) for record in records)


@dataclass(slots=True)
class _Connection:
    """A connection of a file: how many messages came on it, and the last number that the venue gave one of them."""

    name: str
    messages: int = 0
    sequence: int = -1


@dataclass
class Explanation:
    """Counts of what was read so far. Every line is a message, or ignored as blank or control line.

    A message is a payload handed to the parser, or a line that nobody can read. Each gave at least one event, or was
    ignored or quarantined with a reason; one that holds several events can count several times.
    """

    venue: Venue
    instruments: bool = False  # whether they are events, or ignored
    lines: int = 0
    messages: int = 0
    events: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._skews = {endpoint.name: Skew() for endpoint in self.venue.endpoints}
        self._books = Books(self.venue.checksum, _PATIENCE)
        self._gaps = GapBook(self.venue.name, self.venue.counted, "parse")
        # What is missing in books and among numbered messages, by kind, instrument and id space.
        self._holes: dict[tuple[str, str, str], Intervals] = {}
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._current: dict[tuple[str, str], _Connection] = {}

    def read(self, lines: Lines) -> Iterator[tuple[str, Row]]:
        """Yield each event's kind and row, placed on the tape that the files are; count the rest.

        Raises TerminalError when a payload's endpoint can't be told.
        """
        venue, parse, sequence = self.venue.name, self.venue.parse, self.venue.message_sequence
        events, connections, skews = self.events, self._connections, self._skews
        for file, record in lines:
            self.lines += 1
            received, endpoint, payload, control, request, label = record
            if control:
                self._control(control)
                continue
            if endpoint not in skews:
                raise self._misplaced(file, endpoint)
            self.messages += 1
            connection = connections.get((file, label)) or self._connected(file, label)
            connection.messages += 1
            tape = TapeRecord(received, venue, endpoint, connection.name, connection.messages, payload, request)
            if sequence and not request:
                self._numbered(connection, sequence(payload))
            listed = False
            for index, event in enumerate(parse(endpoint, payload, request)):
                if type(event) is not Accepted:
                    self._no_row(event, received)
                    continue
                row: Row = placed(event, tape, index)
                kind = _EVENTS.get(event.dataset) or f"book_{row['kind']}"
                if not index and not request and row.get("event_clock") != "collector":
                    skews[endpoint].heard(row["event_time"], received)
                if kind == "trade":
                    self._trade(row, received)
                elif event.dataset == BOOKS.name:
                    self._book(row)
                elif kind == "instrument" and not self.instruments:
                    listed = True
                    continue
                events[kind] += 1
                yield kind, row
            if listed:
                self.ignored["instrument_list"] += 1

    def summary(self) -> dict[str, object]:
        """Return the counts as JSON can hold them. Gaps that later lines filled are none."""
        incomplete = len(self._books.incomplete())
        clocks = {name: skew.report() for name, skew in self._skews.items()}
        gaps = self._missing()
        return {
            "lines": self.lines,
            "messages": self.messages,
            "events": _sorted(self.events),
            "gaps": len(gaps),
            "checksums": {"matched": self._books.checksums_matched, "failed": self._books.checksums_failed},
            "quarantined": _sorted(self.quarantined),
            "ignored": _sorted(self.ignored),
            "books": {"complete": len(self._books.books) - incomplete, "incomplete": incomplete},
            "clocks": {name: report for name, report in clocks.items() if report["messages"]},
            "gap_details": gaps[:_MOST_DETAILS],
        }

    def _control(self, kind: str) -> None:
        if kind == "unreadable":
            self.messages += 1
            self.quarantined["malformed_json"] += 1
        else:
            self.ignored["blank_line" if kind == "blank" else "control_line"] += 1

    def _misplaced(self, file: str, endpoint: str) -> TerminalError:
        valid = f"{self.venue.name} has {', '.join(self._skews)}"
        if endpoint:
            return TerminalError(f"{file} is of endpoint {endpoint!r}, {valid}: name its own venue, or use --endpoint")
        return TerminalError(f"{file} does not tell its endpoint, {valid}: name one with --endpoint")

    def _connected(self, file: str, label: str) -> _Connection:
        connection = _Connection(f"{file}:{label}" if label else file)
        self._connections[file, label] = connection
        # The n-th of the same name is called name#n; what followed on the one before has ended.
        if before := self._current.get((file, label.partition("#")[0])):
            self._books.drop_chain(before.name)
        self._current[file, label.partition("#")[0]] = connection
        return connection

    def _no_row(self, event: Event, received: int) -> None:
        if isinstance(event, Ignored):
            self.ignored[event.reason] += 1
            if seen := event.seen:
                self._gaps.hear(seen.instrument, seen.id_space, seen.sequence, None, received, seen.delivered)
        elif isinstance(event, Rejected):
            self.quarantined[event.reason] += 1

    def _trade(self, row: Row, received: int) -> None:
        if row["id_space"] in self.venue.counted:
            self._gaps.hear(row["instrument"], row["id_space"], row["venue_sequence"], row["event_time"], received)

    def _book(self, row: Row) -> None:
        outcome = self._books.apply(row)
        key = ("update_ids", row["instrument"], row["id_space"])
        if outcome.missing:
            self._holes.setdefault(key, Intervals()).add(*outcome.missing)
        elif key in self._holes and row["previous_sequence"] >= 0:
            # A delta that came late fills what it was missed for.
            self._holes[key] = _without(self._holes[key], row["previous_sequence"] + 1, row["venue_sequence"])

    def _numbered(self, connection: _Connection, number: int | None) -> None:
        if number is None:
            return
        if 0 <= connection.sequence < number - 1:
            holes = self._holes.setdefault(("sequence", "", connection.name), Intervals())
            holes.add(connection.sequence + 1, number - 1)
        connection.sequence = max(number, connection.sequence) if number else 0

    def _missing(self) -> list[dict[str, object]]:
        """Return every stretch of ids that is missing still."""
        open_gaps = [(gap.kind, gap.instrument, gap.id_space, gap.ranges) for gap in self._gaps.open_gaps()]
        found = [*open_gaps, *((*key, holes.ranges) for key, holes in self._holes.items())]
        return [
            {"kind": kind, "instrument": instrument, "id_space": id_space, "from_sequence": first, "to_sequence": last}
            for kind, instrument, id_space, ranges in found
            for first, last in ranges
        ]


def _without(holes: Intervals, first: int, last: int) -> Intervals:
    rest = Intervals()
    for begin, end in holes.ranges:
        rest.add(begin, min(end, first - 1))
        rest.add(max(begin, last + 1), end)
    return rest


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
