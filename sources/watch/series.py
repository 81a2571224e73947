"""How far a series was heard, and the gaps in it that are not repaired."""

from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

import orjson

from contracts.errors import TerminalError
from contracts.gaps import UNKNOWN
from sources.watch.gap import Gap, Row

Key = tuple[str, str]
"""Instrument and id_space."""

_begin_of = attrgetter("from_sequence")
_time_of = attrgetter("from_time")


@dataclass(eq=False, slots=True)
class Series:
    """An instrument in an id space. `counted`: its ids have no holes; `changed`: since its mark was written."""

    instrument: str
    id_space: str
    counted: bool
    highest: int = UNKNOWN
    heard_time: int = 0
    changed: bool = True
    last_number: int = 0
    gaps: dict[int, Gap] = field(default_factory=dict)  # all of them, by number
    holes: list[Gap] = field(default_factory=list)  # those of kind trade_ids, by id
    silences: list[Gap] = field(default_factory=list)  # those of kind silence, by time

    def add(self, gap: Gap) -> None:
        """Take a gap in."""
        self.gaps[gap.number] = gap
        self.last_number = max(self.last_number, gap.number)
        if gap.kind == "trade_ids":
            insort(self.holes, gap, key=_begin_of)
        elif gap.kind == "silence":
            insort(self.silences, gap, key=_time_of)

    def drop(self, *gone: Gap) -> None:
        """Leave gaps out from now on."""
        for gap in gone:
            del self.gaps[gap.number]
        self.holes = [gap for gap in self.holes if gap.number in self.gaps]
        self.silences = [gap for gap in self.silences if gap.number in self.gaps]

    def sort(self) -> None:
        """Bring the silences in order again after one's begin moved."""
        self.silences.sort(key=_time_of)

    def hole_around(self, sequence: int) -> Gap | None:
        """Return the gap of ids that may hold this one."""
        at = bisect_right(self.holes, sequence, key=_begin_of) - 1
        return self.holes[at] if at >= 0 else None

    @property
    def load(self) -> int:
        """How much memory its gaps take, in ranges."""
        return sum(gap.load for gap in self.gaps.values())

    @property
    def mergeable(self) -> int:
        """How many merges are possible."""
        return max(0, sum(gap.load for gap in self.holes) - 1) + max(0, len(self.silences) - 1)

    def mark(self) -> Row:
        """Return the row of system.marks, without the venue."""
        return {
            "instrument": self.instrument,
            "id_space": self.id_space,
            "sequence": self.highest,
            "heard_time": self.heard_time,
            "open_gaps": orjson.dumps([gap.marked() for gap in self.gaps.values()]).decode(),
        }

    @staticmethod
    def from_mark(mark: Mapping[str, Any], counted: bool) -> "Series":
        """Make the series of a mark again; TerminalError when its gaps can't be read."""
        series = Series(
            mark["instrument"], mark["id_space"], counted, mark["sequence"], mark["heard_time"], changed=False
        )
        try:
            for marked in orjson.loads(mark["open_gaps"]):
                series.add(Gap.from_mark(marked))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise TerminalError(
                f"the mark of {series.instrument} {series.id_space} holds gaps that can't be read ({error}): "
                f"{str(mark['open_gaps'])[:64]!r}; valid: what this version of the collector wrote"
            ) from error
        return series
