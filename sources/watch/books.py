"""Order books made of snapshots and deltas, each update judged: does it follow on what is known?"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from typing import Any

from sources.endpoints import Checksum
from sources.watch.side import Level, Side

# snapshot: it replaced what was known, kept deltas that follow it were replayed, the book is complete.
# applied: the delta follows and is in the book, which is complete unless a hole from before is still open.
# healed: a late delta was all that the book lacked; kept deltas were replayed, the book is complete without snapshot.
# stale: older than what the book holds; nothing changed.
# waiting: the delta is kept until a snapshot comes; nothing more is wrong than before.
# hole: updates are missing before this delta; it is kept, the book needs a snapshot.
# too_old: updates between the snapshot and the kept deltas are missing; the book needs another one.
# checksum_failed: the book differs from the venue's; it needs a snapshot.
# incomplete: a delta of a connection that sent no snapshot (or whose book failed); it is lost, the book needs one.
# other_chain: a delta of another connection than the one that the complete book follows; nothing changed.
KINDS = (
    "snapshot",
    "applied",
    "healed",
    "stale",
    "waiting",
    "hole",
    "too_old",
    "checksum_failed",
    "incomplete",
    "other_chain",
)
CHECKED_LEVELS = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one update. `kind` is a word of KINDS.

    `missing`: first and last update id not heard, inclusive. `checksum`: whether it matched, None where nothing was
    compared. `replayed` and `dropped` count the kept deltas that went into the book with this update, and those that it
    made stale. `crossed`: the best bid is not below the best ask.
    """

    kind: str
    missing: tuple[int, int] | None = None
    checksum: bool | None = None
    replayed: int = 0
    dropped: int = 0
    crossed: bool = False


_STALE, _WAITING, _INCOMPLETE, _OTHER = (Outcome(kind) for kind in ("stale", "waiting", "incomplete", "other_chain"))
_FAILED = Outcome("checksum_failed", checksum=False)
_APPLIED = {
    (matched, crossed): Outcome("applied", checksum=matched, crossed=crossed)
    for matched in (None, True)
    for crossed in (False, True)
}
_sequence_of = itemgetter(0)


class Book:
    """The book of one instrument in one feed, from rows of market.books as sources.placing completes them.

    Where rows tell previous_sequence their numbers decide what follows; else the order of arrival within a chain.
    """

    def __init__(self, checksum: Checksum | None = None, patience: int = 10_000) -> None:
        """`patience` is how many deltas are kept while no snapshot fits them; beyond it the oldest go first."""
        if patience < 1:
            raise ValueError(f"patience is {patience}, valid: at least 1")
        self._checksum = checksum
        self._patience = patience
        self._asks = Side(bids=False)
        self._bids = Side(bids=True)
        self._chain: str | None = None
        self._numbered = False  # whether the chain's sequences can be compared
        self._follows = False  # whether the levels are the venue's as of _last
        self._last = -1
        self._kept: list[tuple[int, int, Mapping[str, Any]]] = []  # sequence, previous, row; by sequence
        self.forgotten = 0
        self.crossed = 0
        self.checksums_matched = 0
        self.checksums_failed = 0

    def apply(self, row: Mapping[str, Any]) -> Outcome:
        """Take one update, in the order of arrival."""
        if row["kind"] == "snapshot":
            return self._replace(row)
        if row["chain"] != self._chain:
            if self.complete:
                return _OTHER
            self._begin(row["chain"])
        previous = row["previous_sequence"]
        if previous < 0:
            return self._use(row) if self._follows else _INCOMPLETE
        self._numbered = True
        sequence = row["venue_sequence"]
        if sequence <= self._last:
            return _STALE
        if not self._follows or previous > self._last:
            return self._keep(sequence, previous, row)
        outcome = self._use(row)
        if self._kept and self._follows:  # late, but it may have closed a hole
            replayed, dropped = self._replay()
            if not self._follows:
                return _FAILED
            kind = "applied" if self._kept else "healed"
            return Outcome(kind, None, outcome.checksum, replayed, dropped, self._is_crossed())
        return outcome

    def end(self) -> None:
        """Forget what the book follows on, for its connection ended. The levels stay to be looked at."""
        self._begin(None)

    @property
    def complete(self) -> bool:
        """Whether the book is the venue's, as far as it was sent."""
        return self._follows and not self._kept

    @property
    def last_sequence(self) -> int:
        """Sequence of the last update that went in; -1 before the first of its chain."""
        return self._last

    @property
    def chain(self) -> str | None:
        """What snapshot and deltas share: a connection, or empty; None before anything came and after the end."""
        return self._chain

    @property
    def kept(self) -> int:
        """How many deltas wait for a snapshot."""
        return len(self._kept)

    @property
    def best_bid(self) -> Level | None:
        """The highest price bid."""
        return self._bids.best

    @property
    def best_ask(self) -> Level | None:
        """The lowest price asked."""
        return self._asks.best

    def top(self, n: int) -> tuple[list[Level], list[Level]]:
        """Return the n best asks and the n best bids, best first."""
        return self._asks.top(n), self._bids.top(n)

    def depth_within(self, fraction: Decimal) -> tuple[Decimal, Decimal]:
        """Return the quantities asked and bid within this fraction of the mid price; zeros for a one-sided book."""
        ask, bid = self._asks.best, self._bids.best
        if ask is None or bid is None:
            return Decimal(0), Decimal(0)
        mid = (ask[0] + bid[0]) / 2
        return self._asks.until(mid * (1 + fraction)), self._bids.until(mid * (1 - fraction))

    def imbalance(self, n: int) -> Fraction | None:
        """Return (bid - ask) / (bid + ask) over the quantities of the n best levels, exact; None for an empty book."""
        asked = sum((quantity for _, quantity in self._asks.top(n)), Decimal(0))
        bid = sum((quantity for _, quantity in self._bids.top(n)), Decimal(0))
        return Fraction(bid - asked) / Fraction(bid + asked) if bid + asked else None

    def _begin(self, chain: str | None) -> None:
        self._chain = chain
        self._numbered = chain == ""  # ids that span connections
        self._follows = False
        self._last = -1
        self._kept.clear()

    def _replace(self, row: Mapping[str, Any]) -> Outcome:
        sequence: int = row["venue_sequence"]
        if row["chain"] != self._chain:
            self._begin(row["chain"])
        elif self._numbered and sequence < self._last:
            if self.complete:
                return _STALE
            return Outcome("too_old", (sequence + 1, self._kept[0][1] if self._kept else self._last))
        self._asks.load(row["ask_prices"], row["ask_quantities"])
        self._bids.load(row["bid_prices"], row["bid_quantities"])
        self._follows = True
        outcome = self._settled(row)
        replayed, dropped = self._replay() if self._follows else (0, 0)
        if not self._follows:
            return _FAILED
        if self._kept:
            return Outcome("too_old", (self._last + 1, self._kept[0][1]), outcome.checksum, replayed, dropped)
        return Outcome("snapshot", None, outcome.checksum, replayed, dropped, self._is_crossed())

    def _use(self, row: Mapping[str, Any]) -> Outcome:
        self._asks.update(row["ask_prices"], row["ask_quantities"])
        self._bids.update(row["bid_prices"], row["bid_quantities"])
        return self._settled(row)

    def _settled(self, row: Mapping[str, Any]) -> Outcome:
        """Truncate and judge the levels after an update went in."""
        if depth := row["depth"]:
            self._asks.truncate(depth)
            self._bids.truncate(depth)
        self._last = row["venue_sequence"]
        checksum, matched = row["checksum"], None
        if checksum >= 0 and self._checksum is not None:
            if self._checksum(self._asks.top(CHECKED_LEVELS), self._bids.top(CHECKED_LEVELS)) != checksum:
                self.checksums_failed += 1
                self._follows = False
                return _FAILED
            self.checksums_matched += 1
            matched = True
        if crossed := self._is_crossed():
            self.crossed += 1
        return _APPLIED[matched, crossed]

    def _is_crossed(self) -> bool:
        asks, bids = self._asks.prices, self._bids.prices
        return bool(asks and bids) and bids[-1] >= asks[0]

    def _keep(self, sequence: int, previous: int, row: Mapping[str, Any]) -> Outcome:
        """Keep a delta that does not follow; it tells of a hole if it is beyond everything kept and has one before."""
        kept = self._kept
        tail = kept[-1][0] if kept else self._last
        if sequence <= tail:
            at = bisect_left(kept, sequence, key=_sequence_of)
            if kept[at][0] == sequence:
                return _STALE
            kept.insert(at, (sequence, previous, row))
        else:
            kept.append((sequence, previous, row))
        if len(kept) > self._patience:
            del kept[0]
            self.forgotten += 1
        if tail >= 0 and previous > tail:
            return Outcome("hole", (tail + 1, previous))
        return _WAITING

    def _replay(self) -> tuple[int, int]:
        """Put in the kept deltas that follow, drop the stale; return how many of each. Stop where a checksum fails."""
        replayed = dropped = 0
        for sequence, previous, row in self._kept:
            if sequence <= self._last:
                dropped += 1
            elif previous > self._last or not self._follows:
                break
            else:
                self._use(row)
                replayed += 1
        del self._kept[: replayed + dropped]
        return replayed, dropped


Key = tuple[str, str]
"""Instrument and id_space."""


class Books:
    """All books of a venue by (instrument, id_space)."""

    def __init__(self, checksum: Checksum | None = None, patience: int = 10_000) -> None:
        self._checksum = checksum
        self._patience = patience
        self.books: dict[Key, Book] = {}
        self.outcomes: Counter[str] = Counter()

    def apply(self, row: Mapping[str, Any]) -> Outcome:
        """Take one update into the book that it belongs to."""
        key = (row["instrument"], row["id_space"])
        book = self.books.get(key)
        if book is None:
            book = self.books[key] = Book(self._checksum, self._patience)
        outcome = book.apply(row)
        self.outcomes[outcome.kind] += 1
        return outcome

    def drop_chain(self, connection_id: str) -> list[Key]:
        """End the books that follow this connection, for it ended; return those that were complete until now."""
        ended = {key: book.complete for key, book in self.books.items() if book.chain == connection_id}
        for key in ended:
            self.books[key].end()
        return [key for key, was_complete in ended.items() if was_complete]

    def incomplete(self) -> list[Key]:
        """Return the books that need a snapshot."""
        return [key for key, book in self.books.items() if not book.complete]

    @property
    def checksums_matched(self) -> int:
        """How many checksums were as the venue said."""
        return sum(book.checksums_matched for book in self.books.values())

    @property
    def checksums_failed(self) -> int:
        """How many were not."""
        return sum(book.checksums_failed for book in self.books.values())

    @property
    def crossed(self) -> int:
        """How many updates left a book's best bid not below its best ask."""
        return sum(book.crossed for book in self.books.values())
