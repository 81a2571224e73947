"""A book in the venue's own digits: enough to send it again at any moment."""

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from sources.replay.protocol import Level, Update

# Updates that may be newer than a snapshot which was asked for, and arrived after them.
_RECENT = 2000


class Book:
    """Levels by price. `depth` is how many a side the feed keeps, 0 for all: what falls out is not told again."""

    def __init__(self, depth: int = 0) -> None:
        self._depth = depth
        self._bids: dict[Decimal, Level] = {}
        self._asks: dict[Decimal, Level] = {}
        self._recent: deque[Update] = deque(maxlen=_RECENT)
        self.known = False
        self.last = 0
        self.about: dict[str, Any] = {}

    def apply(self, update: Update) -> None:
        """Take a snapshot, or changes; those without a snapshot are kept for one that is numbered."""
        if update.snapshot:
            self._bids.clear()
            self._asks.clear()
            self._set(update)
            self.known, self.last = True, update.last
            self.about = dict(update.about)
            for recent in self._recent:
                self._change(recent)
            return
        if update.last:
            self._recent.append(update)
        if self.known:
            self._change(update)

    def _change(self, update: Update) -> None:
        if update.last:
            if update.last <= self.last:
                return
            self.last = update.last
        self.about.update(update.about)
        self._set(update)

    def _set(self, update: Update) -> None:
        self._side(self._bids, update.bids, min)
        self._side(self._asks, update.asks, max)

    def _side(
        self, side: dict[Decimal, Level], levels: list[Level], worst: Callable[[Iterable[Decimal]], Decimal]
    ) -> None:
        for level in levels:
            if _gone(level):
                side.pop(Decimal(level.price), None)
            else:
                side[Decimal(level.price)] = level
        while self._depth and len(side) > self._depth:
            del side[worst(side)]

    def bids(self, most: int = 0) -> list[Level]:
        """Return the levels bid, best first."""
        return [self._bids[price] for price in sorted(self._bids, reverse=True)[: most or None]]

    def asks(self, most: int = 0) -> list[Level]:
        """Return the levels asked, best first."""
        return [self._asks[price] for price in sorted(self._asks)[: most or None]]


def _gone(level: Level) -> bool:
    return not level.quantity.strip("0.")
