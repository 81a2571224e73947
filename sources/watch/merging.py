"""Merging gaps that are near each other, so that their number stays bounded and nothing is forgotten."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from sources.watch.gap import Gap
from sources.watch.intervals import Intervals


class Merged(NamedTuple):
    """Gaps that are gone, each with the one that holds what it missed; and those that miss more than before."""

    absorbed: list[tuple[Gap, Gap]]
    changed: list[Gap]


def merge_ids(gaps: Sequence[Gap]) -> Merged:
    """Join the nearer half of the neighbouring ranges of missing ids, over gaps and within them; gaps are in order.

    The ids between two joined ranges count as missing again: asked for twice rather than never.
    """
    ranges = [(first, last, gap) for gap in gaps for first, last in gap.missing.ranges]
    joined = _nearer([right[0] - left[1] for left, right in pairwise(ranges)])
    absorbed: list[tuple[Gap, Gap]] = []
    into = gaps[0]
    spans: dict[Gap, list[tuple[int, int]]] = {}
    for at, (first, last, gap) in enumerate(ranges):
        if at == 0 or (not joined[at - 1] and gap is not ranges[at - 1][2]):
            into = gap
        elif gap is not ranges[at - 1][2]:
            _absorb(into, gap)
            absorbed.append((gap, into))
        begin = spans[into][-1][1] + 1 if at and joined[at - 1] else first
        spans.setdefault(into, []).append((begin, last))
    changed = []
    for gap, kept in spans.items():
        if gap.missing.count != sum(last - first + 1 for first, last in kept):
            gap.missing = Intervals(kept)
            gap.tried_count = gap.missing.count
            changed.append(gap)
    return Merged(absorbed, changed)


def merge_silences(gaps: Sequence[Gap]) -> Merged:
    """Join the nearer half of neighbouring silences; gaps are in order of time."""
    joined = _nearer([right.from_time - left.to_time for left, right in pairwise(gaps)])
    absorbed: list[tuple[Gap, Gap]] = []
    into = gaps[0]
    for gap, join in zip(gaps[1:], joined, strict=True):
        if join:
            _absorb(into, gap)
            absorbed.append((gap, into))
        else:
            into = gap
    return Merged(absorbed, list(dict.fromkeys(into for _, into in absorbed)))


def _nearer(distances: list[int]) -> list[bool]:
    """Choose the smaller half, at least one."""
    chosen = set(sorted(range(len(distances)), key=distances.__getitem__)[: (len(distances) + 1) // 2])
    return [at in chosen for at in range(len(distances))]


def _absorb(into: Gap, gap: Gap) -> None:
    into.to_sequence = max(into.to_sequence, gap.to_sequence)
    into.from_time = min(into.from_time, gap.from_time)
    into.to_time = max(into.to_time, gap.to_time)
    into.attempts = max(into.attempts, gap.attempts)
    if gap.state == "open":
        into.state, into.vain, into.failure = "open", 0, ""
