"""The prices that alert rules compare with: read from the warehouse, kept in a file that each batch reads again.

A real-time query plans each of its batches anew and then reads the file anew; nothing has to be restarted for it. The
file of before stays beside it: an event that is read again after a crash is held against both, so that no alert
hangs on which of the two had been read the first time. Hence one refresh a batch, and no more.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from contracts.errors import RetryableError
from stores.warehouse import Warehouse

SECOND = 1_000_000
# How long ago a bar may have become known to be looked at.
WINDOW_S = 24 * 3600


@dataclass(frozen=True)
class Close:
    """What an instrument last closed at; kind, base and quote are empty where the venue never told them."""

    venue: str
    instrument: str
    kind: str
    base: str
    quote: str
    price: Decimal
    closed_time: int


def references(closes: Sequence[Close], same_quotes: Iterable[str], nearest: timedelta) -> list[dict[str, Any]]:
    """Return a row an instrument: its own last close, and the middle one of the same pair's at the other venues.

    Closes of the same pair count while they are at most `nearest` older than the newest of them; of an even number the
    lower middle one is taken, so that the price is one that was paid. `same_quotes` are taken as one currency.
    """
    alike = frozenset(same_quotes)
    pairs: dict[tuple[str, str, str], list[Close]] = {}
    for close in closes:
        if close.base:
            pairs.setdefault(_pair(close, alike), []).append(close)
    return [_row(one, pairs.get(_pair(one, alike), []) if one.base else [], nearest) for one in closes]


def _pair(close: Close, alike: frozenset[str]) -> tuple[str, str, str]:
    return close.kind, close.base, "" if close.quote in alike else close.quote


def _row(own: Close, pair: Sequence[Close], nearest: timedelta) -> dict[str, Any]:
    row: dict[str, Any] = {
        "reference_venue": own.venue,
        "reference_instrument": own.instrument,
        "price_move_price": str(own.price),
        "price_move_time": _iso(own.closed_time),
    }
    others = [one for one in pair if one.venue != own.venue]
    newest = max((one.closed_time for one in others), default=0)
    near = sorted(one.price for one in others if newest - one.closed_time <= nearest / timedelta(microseconds=1))
    if near:
        row |= {"venue_jump_price": str(near[(len(near) - 1) // 2]), "venue_jump_time": _iso(newest)}
    return row


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros // SECOND, UTC).isoformat()


def read_closes(warehouse: Warehouse, query: str) -> list[Close]:
    """Ask the warehouse what every instrument last closed at."""
    return [Close(*row) for row in warehouse.rows(query, {"window_s": WINDOW_S})]


class ReferenceFile:
    """The file that batches read, and how old it is. `folder` holds it and the one before."""

    def __init__(self, folder: Path, read: Callable[[], list[dict[str, Any]]]) -> None:
        self._read = read
        self.path = folder / "references.json"
        self._newest = folder / "newest.json"
        self._before = folder / "before.json"
        self.count = 0
        self.refreshed: datetime | None = None
        self.problem = ""
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> None:
        """Begin with what the last process knew and with what holds now; RetryableError when there is neither."""
        files = [file for file in (self._before, self._newest) if file.is_file()]
        known = [row for file in files for row in json.loads(file.read_bytes())]
        try:
            fresh = self._read()
            self.refreshed = datetime.now(UTC)
        except RetryableError as error:
            if not known:
                raise
            self.problem, fresh = str(error), []
        _write(self._before, known)
        _write(self._newest, fresh)
        self._publish(list({json.dumps(row): row for row in (*known, *fresh)}.values()))

    def refresh(self) -> None:
        """Ask for new references; RetryableError leaves those of before in place."""
        try:
            rows = self._read()
        except RetryableError as error:
            self.problem = str(error)
            raise
        self.problem = ""
        self._newest.replace(self._before)
        _write(self._newest, rows)
        self._publish(rows)
        self.refreshed = datetime.now(UTC)

    def _publish(self, rows: list[dict[str, Any]]) -> None:
        _write(self.path, rows)
        self.count = len(rows)


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    """Write so that a reader sees the whole old or the whole new file."""
    scratch = file.with_suffix(".tmp")
    scratch.write_text(json.dumps(rows))
    scratch.replace(file)
