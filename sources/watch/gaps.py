"""Holes and silences of every series of a venue: noticed, shrunk by what is heard later, repaired or given up."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from contracts.gaps import UNKNOWN
from sources.watch.gap import Gap, GapKey, OpenGap, Row
from sources.watch.intervals import Intervals
from sources.watch.merging import merge_ids, merge_silences
from sources.watch.series import Key, Series

LONGEST_FAILURE = 200
LONGEST_HOLE = 100  # ranges of ids in one gap of a book; beyond it the gap is one range


class GapBook:
    """What is missing in the series of one venue. Times are microseconds; `now` is the collector's clock.

    A series is an (instrument, id_space). Calls add rows of system.gaps, which drain() hands over; their event_time is
    from_time, their place the run's own log: connection_id is the run, message_number counts from 1.
    """

    def __init__(
        self,
        venue: str,
        counted: Collection[str],
        run_id: str,
        marks: Iterable[Mapping[str, Any]] = (),
        give_up_after: int = 5,
        most_open: int = 2_000,
    ) -> None:
        """Go on where `marks` (rows of system.marks) ended; TerminalError when one can't be read.

        `counted` are the id spaces whose ids have no holes. `give_up_after` attempts in a row that bring nothing make a
        gap unfillable. Beyond `most_open` open ranges of ids and silences, neighbours are merged:
        then a mark of them all still fits one message.
        """
        self._venue = venue
        self._counted = frozenset(counted)
        self._run_id = run_id
        self._give_up_after = give_up_after
        self._most_open = most_open
        self._series: dict[Key, Series] = {}
        self._load = 0  # open ranges of ids and silences
        self._rows: list[Row] = []
        self._shrunk: dict[Gap, tuple[Series, int]] = {}  # with the time, until drained
        self._sent = 0
        self._counts: Counter[str] = Counter()
        for mark in marks:
            self._restore(mark)

    def hear(
        self,
        instrument: str,
        id_space: str,
        sequence: int | None,
        event_time: int | None,
        now: int,
        delivered: bool = True,
    ) -> bool:
        """Take note of an id of a series, live or from REST, in any order; return whether it was not heard before.

        `delivered=False`: the id exists, and so do those before it, but it was not sent now. `event_time` None: not
        told. The first id of a series without mark is its beginning; what is before it is not missed. In a series that
        is not counted only the newest event time is kept, and the answer is always True.
        """
        series = self._series.get((instrument, id_space)) or self._new_series(instrument, id_space)
        before = series.heard_time
        if event_time is not None and event_time > before:
            series.heard_time = event_time
            series.changed = True
        if sequence is None or not series.counted:
            return True
        if sequence <= series.highest:
            return delivered and self._heard_late(series, sequence, now)
        series.changed = True
        expected = series.highest + 1
        series.highest = sequence
        last = sequence - 1 if delivered else sequence
        if last >= expected > 0:
            to_time = now if event_time is None else event_time
            self._open(series, "trade_ids", expected, last, before or to_time, to_time, now, f"before id {sequence}")
        if series.silences and event_time is not None:
            self._ids_tell(series, event_time, now)
        return delivered

    def silence(
        self, series: Iterable[Key], from_time: int | None, to_time: int, now: int, detail: str
    ) -> list[GapKey]:
        """Open (or lengthen) a gap of kind silence in each series; `from_time` None: since its newest event time.

        In a counted series it ends when an id of to_time or later is heard, as ids then show what is missing, or like
        others when REST has answered for the whole of it. A series that was never heard has no silence since then.
        """
        keys = []
        for key in series:
            one = self._series.get(key) or self._new_series(*key)
            since = one.heard_time if from_time is None else from_time
            if since:
                gap = self._silence(one, since, max(since, to_time), now, detail)
                keys.append(GapKey(*key, gap.number))
        return keys

    def hole(
        self,
        instrument: str,
        id_space: str,
        first: int,
        last: int,
        from_time: int,
        to_time: int,
        now: int,
        kind: str = "update_ids",
        detail: str = "",
    ) -> GapKey:
        """Open a gap of kind update_ids or sequence, which only resynced() ends; lengthen the one that is open.

        first and last are -1 where ids do not tell, as when a checksum differs.
        """
        if kind not in ("update_ids", "sequence"):
            raise ValueError(f"a hole is of kind {kind!r}, valid: update_ids, sequence")
        series = self._series.get((instrument, id_space)) or self._new_series(instrument, id_space)
        gap = next((gap for gap in series.gaps.values() if gap.kind == kind), None)
        if gap is None:
            gap = self._open(series, kind, first, last, from_time, max(from_time, to_time), now, detail)
            return GapKey(instrument, id_space, gap.number)
        if first >= 0:
            gap.from_sequence = first if gap.from_sequence == UNKNOWN else min(gap.from_sequence, first)
            gap.to_sequence = max(gap.to_sequence, last)
            before = gap.load
            gap.missing.add(first, last)
            if gap.load > LONGEST_HOLE:
                gap.missing.add(gap.from_sequence, gap.to_sequence)
            self._load += gap.load - before
        gap.to_time = max(gap.to_time, to_time)
        gap.detail = detail
        self._tell(series, gap, now)
        return GapKey(instrument, id_space, gap.number)

    def resynced(self, instrument: str, id_space: str, now: int) -> list[GapKey]:
        """Close the update_ids and sequence gaps of a series: a snapshot made it whole."""
        series = self._series.get((instrument, id_space))
        if series is None or not series.gaps:
            return []
        closed = [gap for gap in series.gaps.values() if gap.kind in ("update_ids", "sequence")]
        for gap in closed:
            self._close(series, gap, "resynced", now)
        return [GapKey(instrument, id_space, gap.number) for gap in closed]

    def attempted(
        self,
        key: GapKey,
        now: int,
        rows: int,
        answered_through: int | None = None,
        error: str = "",
        answered: bool = True,
    ) -> OpenGap | None:
        """Take note of a try to repair a gap, after its rows were heard; return what is still missing, None if nothing.

        `rows` is how many rows came that were new: recovered by a silence; ids count themselves when they are heard.
        `answered_through` is the event time to which REST has told everything from the gap's begin on. A gap that
        was closed meanwhile is no error. What was given up is open again once a try brings something.
        `answered=False`: nobody answered, which says nothing about what can be had; such tries are never too many.
        """
        series = self._series.get((key.instrument, key.id_space))
        gap = series.gaps.get(key.gap_number) if series else None
        if series is None or gap is None:
            return None
        gap.attempts += 1
        brought = False
        if gap.kind == "silence":
            brought = rows > 0
            gap.recovered += rows
            self._counts["recovered"] += rows
            if answered_through is not None and answered_through > max(gap.answered_time, gap.from_time):
                gap.answered_time = answered_through
                brought = True
            if answered_through is not None and answered_through >= gap.to_time:
                self._close(series, gap, "filled", now)
                return None
        elif gap.kind == "trade_ids":
            brought = gap.missing.count < gap.tried_count
            gap.tried_count = gap.missing.count
        gap.vain = 0 if brought else gap.vain + answered
        gap.failure = "" if brought else error[:LONGEST_FAILURE] or "REST did not have it"
        gap.state = "unfillable" if gap.vain >= self._give_up_after else "open"
        self._tell(series, gap, now)
        return gap.opened(series.instrument, series.id_space)

    def drain(self) -> list[Row]:
        """Hand over the rows of system.gaps since the last call.

        One for each change of state and each attempt; one for all the ids that a gap recovered since the last call.
        """
        for gap, (series, now) in list(self._shrunk.items()):
            self._tell(series, gap, now)
        rows, self._rows = self._rows, []
        return rows

    def marks(self) -> list[Row]:
        """Return rows of system.marks for the series that changed since the last call. Send them after drain()'s."""
        changed = [series for series in self._series.values() if series.changed]
        for series in changed:
            series.changed = False
        return [{"venue": self._venue} | series.mark() for series in changed]

    def open_gaps(self) -> list[OpenGap]:
        """Return every gap that is not repaired, those given up too, oldest first."""
        found = [
            gap.opened(series.instrument, series.id_space)
            for series in self._series.values()
            for gap in series.gaps.values()
        ]
        return sorted(found, key=lambda gap: gap.key.gap_number)

    @property
    def unfillable(self) -> list[OpenGap]:
        """The gaps that were given up. Hearing their ids still closes them."""
        return [gap for gap in self.open_gaps() if gap.state == "unfillable"]

    def series(self) -> list[Key]:
        """Return every series heard of, by marks too."""
        return list(self._series)

    def heard(self, instrument: str, id_space: str) -> tuple[int, int] | None:
        """Return highest id (-1: none) and newest event time (0: none) of a series; None when it was never heard of."""
        series = self._series.get((instrument, id_space))
        return (series.highest, series.heard_time) if series else None

    def counts(self) -> dict[str, int]:
        """Count for the health page.

        Since the start: gaps found, filled, resynced and merged, rows recovered, ids repeated. Now: open, unfillable.
        """
        states = Counter(gap.state for series in self._series.values() for gap in series.gaps.values())
        since = {
            name: self._counts[name] for name in ("found", "filled", "resynced", "merged", "recovered", "repeated")
        }
        return since | {"open": states["open"], "unfillable": states["unfillable"]}

    def _new_series(self, instrument: str, id_space: str) -> Series:
        series = Series(instrument, id_space, id_space in self._counted)
        self._series[instrument, id_space] = series
        return series

    def _restore(self, mark: Mapping[str, Any]) -> None:
        series = Series.from_mark(mark, mark["id_space"] in self._counted)
        self._series[series.instrument, series.id_space] = series
        self._load += series.load

    def _heard_late(self, series: Series, sequence: int, now: int) -> bool:
        """Take note of an id that is not beyond the highest: it was missing, or it is repeated."""
        gap = series.hole_around(sequence)
        before = gap.load if gap else 0
        if gap is None or not gap.missing.remove(sequence):
            self._counts["repeated"] += 1
            return False
        self._load += gap.load - before
        gap.recovered += 1
        self._counts["recovered"] += 1
        series.changed = True
        if gap.missing.count:
            self._shrunk[gap] = (series, now)
            self._keep_bound(now)
        else:
            self._close(series, gap, "filled", now)
        return True

    def _ids_tell(self, series: Series, event_time: int, now: int) -> None:
        """Close the silences before an id: what they hid shows as holes in the ids, or there was nothing."""
        for gap in [gap for gap in series.silences if gap.to_time <= event_time]:
            gap.detail = f"{gap.detail}; the ids tell what is missing"
            self._close(series, gap, "filled", now)

    def _silence(self, series: Series, from_time: int, to_time: int, now: int, detail: str) -> Gap:
        """Open a silence, or lengthen one that it overlaps or follows on."""
        for gap in series.silences:
            if gap.from_time <= to_time and from_time <= gap.to_time:
                if from_time < gap.from_time:
                    gap.from_time, gap.answered_time = from_time, 0
                    series.sort()
                if to_time > gap.to_time:
                    gap.to_time, gap.detail = to_time, detail
                    self._tell(series, gap, now)
                return gap
        return self._open(series, "silence", UNKNOWN, UNKNOWN, from_time, to_time, now, detail)

    def _open(
        self, series: Series, kind: str, first: int, last: int, from_time: int, to_time: int, now: int, detail: str
    ) -> Gap:
        missing = Intervals([(first, last)] if first >= 0 else ())
        number = max(now, series.last_number + 1)
        gap = Gap(number, kind, first, last, missing, from_time, max(from_time, to_time), detail)
        gap.tried_count = missing.count
        series.add(gap)
        self._load += gap.load
        self._counts["found"] += 1
        self._tell(series, gap, now)
        self._keep_bound(now)
        return gap

    def _close(self, series: Series, gap: Gap, state: str, now: int) -> None:
        gap.state, gap.failure = state, ""
        series.drop(gap)
        self._load -= gap.load
        self._counts[state] += 1
        self._tell(series, gap, now)

    def _tell(self, series: Series, gap: Gap, now: int) -> None:
        """Write down how a gap stands now."""
        self._shrunk.pop(gap, None)
        series.changed = True
        self._sent += 1
        place: Row = {"connection_id": self._run_id, "message_number": self._sent, "message_index": 0}
        whose: Row = {"venue": self._venue, "instrument": series.instrument, "id_space": series.id_space}
        self._rows.append(whose | gap.row(now) | place)

    def _keep_bound(self, now: int) -> None:
        """Merge neighbours of the fullest series until a tenth of the bound is free; a series keeps one gap a kind."""
        if self._load <= self._most_open:
            return
        while self._load > self._most_open * 9 // 10:
            series = max(self._series.values(), key=lambda series: series.mergeable)
            if not series.mergeable:
                return
            before = series.load
            ids = sum(gap.load for gap in series.holes) >= len(series.silences)
            merged = merge_ids(series.holes) if ids else merge_silences(series.silences)
            series.drop(*(gone for gone, _ in merged.absorbed))
            for gone, into in merged.absorbed:
                gone.state, gone.failure, gone.detail = "filled", "", f"merged into gap {into.number}"
                gone.missing = Intervals()
                self._counts["merged"] += 1
                self._tell(series, gone, now)
            for gap in merged.changed:
                self._tell(series, gap, now)
            self._load += series.load - before
