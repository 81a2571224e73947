"""Where a stream stands: from when on to ask, and what of an answer is not on the tape yet. Pure, without a clock."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sources.fields import Fault
from sources.generic import trades
from sources.generic.config import BARS, TRADES

Key = tuple[object, ...]

# A page shorter than this is never taken for full, whatever the longest was.
_LEAST_FULL = 50
# What ends so close to now leaves nothing worth asking for at once.
_RECENT_MS = {TRADES: 5_000, BARS: 120_000}
# A page that begins this long before it was asked to holds the newest, as venues without `since` give them. Some count
# whole seconds, or tell one bar more.
_SLACK_MS = {TRADES: 1_000, BARS: 120_000}
# Venues may look only so far ahead of `since`: a stream silent for this long is asked without, if the silence was heard
# just now. After an outage what was missed is asked for first.
_SILENT_MS = 600_000
_JUST_NOW_MS = 60_000
_LONGEST_SKIP_MS = 60_000
_REMEMBERED = 4096


@dataclass(frozen=True)
class Taken:
    """What of a page goes on the tape: what it repeats is left out and counted."""

    entries: list[Any]
    repeated: int
    # Another page waits behind this one.
    more: bool
    # Nothing in it was known: what lies between it and the page before may be missing.
    apart: bool
    # It is full and holds nothing new, so that what follows can't be asked for without leaving something out.
    stuck: bool


@dataclass
class Cursor:
    """Where a stream of trades or bars stands. Times in milliseconds.

    Asked is from the newest time seen on, that millisecond included, one before it for venues that exclude what they
    are given: whatever shares the millisecond is told again, and recognised. The time never steps back.
    """

    kind: str
    reached: int | None = None
    _known: dict[Key, None] = field(default_factory=dict)
    _longest: int = 0
    _skip: int = 0
    _silent_at: int | None = None

    def since(self, now: int) -> int | None:
        """Return from when on to ask; None for the newest page."""
        if self.reached is None:
            return None
        silent_at, self._silent_at = self._silent_at, None
        if silent_at is not None and now - silent_at < _JUST_NOW_MS:
            return None
        # Never ahead of the clock: what is traded from now on is asked for with certainty.
        return max(self.reached - 1, min(self.reached - 1 + self._skip, now - _RECENT_MS[self.kind]))

    def take(self, page: list[Any], since: int | None, now: int) -> Taken:
        """Take an answer to a question with that `since`."""
        keyed = list(_keyed(self.kind, page))
        fresh = [entry for key, entry in keyed if key not in self._known]
        repeated = len(page) - len(fresh)
        times = [time for time in (_time(self.kind, entry) for entry in page) if time is not None]
        oldest, newest = min(times, default=now), max(times, default=now)
        full = len(page) >= max(self._longest, _LEAST_FULL)
        onward = full and since is not None and oldest >= since - _SLACK_MS[self.kind]
        behind = onward and newest < now - _RECENT_MS[self.kind]
        blocked = behind and not fresh and self.kind == TRADES
        # The first step, to the newest time itself, leaves nothing out yet.
        stuck = blocked and self._skip > 0
        apart = self._apart(page, oldest, repeated)
        self._skip = min(max(1, 2 * self._skip), _LONGEST_SKIP_MS) if blocked else (0 if fresh else self._skip)
        silent = not fresh and not blocked and since is not None
        if silent and self.reached is not None and now - self.reached > _SILENT_MS:
            self._silent_at = now
        self._longest = max(self._longest, len(page))
        if times:
            self.reached = newest if self.reached is None else max(self.reached, newest)
        self._remember([key for key, _ in keyed])
        if self.kind == BARS and fresh and page[-1] is not fresh[-1]:
            # The newest of the page says which bars are closed: all before it.
            fresh.append(page[-1])
            repeated -= 1
        return Taken(fresh, repeated, behind and bool(fresh), apart, stuck)

    def _apart(self, page: list[Any], oldest: int, repeated: int) -> bool:
        if not page or self.reached is None:
            return False
        # A bar that was still open is told again with other values.
        return oldest > self.reached if self.kind == BARS else not repeated

    def _remember(self, keys: list[Key]) -> None:
        for key in keys:
            self._known.pop(key, None)
            self._known[key] = None
        for key in list(self._known)[: max(0, len(self._known) - max(_REMEMBERED, 4 * self._longest))]:
            del self._known[key]


def _keyed(kind: str, page: list[Any]) -> Iterator[tuple[Key, Any]]:
    """Give each entry what tells it from others. Equal trades without an id are told apart by counting them.

    Their number is written into them: whoever reads the tape sees only those that were new.
    """
    counts: Counter[str] = Counter()
    for place, entry in enumerate(page):
        if kind != TRADES:
            yield (*map(str, entry[:6]), place == len(page) - 1), entry
            continue
        try:
            trade_id, alike = trades.own_id(entry), trades.alike(entry)
        except Fault:  # the parser will reject it
            yield (str(entry),), entry
            continue
        if trade_id:
            yield (trade_id, alike), entry
            continue
        occurrence = counts[alike]
        counts[alike] += 1
        yield (alike, occurrence), {**entry, "occurrence": occurrence}


def _time(kind: str, entry: Any) -> int | None:
    time = entry.get("timestamp") if kind == TRADES else entry[0]
    return time if type(time) is int else None
