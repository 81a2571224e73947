"""One gap while it is not repaired, and how it is written down."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from contracts.gaps import UNKNOWN
from sources.watch.intervals import Intervals

Row = dict[str, Any]

# Marks are written now and then: revisions up to this many after one may have been sent, and are not used again.
UNMARKED_REVISIONS = 1000


class GapKey(NamedTuple):
    """Which gap of the venue."""

    instrument: str
    id_space: str
    gap_number: int


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A gap that is not repaired: what a refiller must ask for.

    `ranges` are the ids still missing, ends included; none for a silence and where ids do not tell. REST has answered
    up to `from_time` (microseconds), which is at first the gap's own begin. `state` is open or unfillable.
    """

    key: GapKey
    kind: str
    state: str
    ranges: tuple[tuple[int, int], ...]
    from_time: int
    to_time: int
    attempts: int

    @property
    def instrument(self) -> str:
        """The series' instrument."""
        return self.key.instrument

    @property
    def id_space(self) -> str:
        """The series' id space."""
        return self.key.id_space


@dataclass(eq=False, slots=True)
class Gap:
    """A gap of a series. Times are microseconds; `number` is when it was noticed."""

    number: int
    kind: str
    from_sequence: int
    to_sequence: int
    missing: Intervals
    from_time: int
    to_time: int
    detail: str
    state: str = "open"
    revision: int = 0
    recovered: int = 0
    attempts: int = 0
    vain: int = 0  # attempts in a row that brought nothing
    failure: str = ""  # why the last of them brought nothing
    tried_count: int = field(default=UNKNOWN)  # ids missing at the last attempt
    answered_time: int = 0  # REST told everything from from_time to here

    @property
    def load(self) -> int:
        """How much memory it takes, in ranges."""
        return max(1, len(self.missing))

    def opened(self, instrument: str, id_space: str) -> OpenGap:
        """Return what a refiller must know."""
        return OpenGap(
            GapKey(instrument, id_space, self.number),
            self.kind,
            self.state,
            self.missing.ranges,
            max(self.from_time, self.answered_time),
            self.to_time,
            self.attempts,
        )

    def row(self, now: int) -> Row:
        """Return the next revision's columns, without series and place. Its event_time is the gap's begin."""
        self.revision += 1
        if self.kind == "silence" or self.from_sequence == UNKNOWN:
            missing = 0 if self.state == "filled" else UNKNOWN
        elif self.kind == "update_ids":  # they number a venue's changes, of which a book sends some
            missing = UNKNOWN
        else:
            missing = self.missing.count
        return {
            "gap_number": self.number,
            "revision": self.revision,
            "kind": self.kind,
            "state": self.state,
            "from_sequence": self.from_sequence,
            "to_sequence": self.to_sequence,
            "missing_count": missing,
            "recovered_count": self.recovered,
            "from_time": self.from_time,
            "to_time": self.to_time,
            "attempt_count": self.attempts,
            "repair_ms": max(0, now - self.number) // 1000 if self.state in ("filled", "resynced") else UNKNOWN,
            "detail": f"{self.detail}; {self.failure}" if self.failure else self.detail,
            "event_time": self.from_time,
            "received_time": now,
        }

    def marked(self) -> dict[str, Any]:
        """Return what a mark keeps of it, fit for JSON."""
        kept = {name: getattr(self, name) for name in self.__slots__ if name != "missing"}
        return kept | {"ranges": self.missing.ranges}

    @staticmethod
    def from_mark(marked: dict[str, Any]) -> "Gap":
        """Make it again; KeyError or TypeError when it is no mark of a gap."""
        ranges = [(int(first), int(last)) for first, last in marked.pop("ranges")]
        gap = Gap(missing=Intervals(ranges), **marked)
        gap.revision += UNMARKED_REVISIONS
        return gap
