"""How often an instrument trades by its own habit, and the minutes in which it should have and did not."""

from collections.abc import Collection
from itertools import pairwise

# As many distances between minutes with trades are needed to know a habit.
LEAST_DISTANCES = 20
SILENT_AFTER = 3


def cadence(minutes: Collection[int]) -> int | None:
    """Return how many minutes lie between two with trades in nineteen cases of twenty; None when they are too few.

    The smallest distance that 95 in 100 do not exceed: an outage does not move it as it would an average.
    """
    ordered = sorted(minutes)
    distances = sorted(after - before for before, after in pairwise(ordered))
    if len(distances) < LEAST_DISTANCES:
        return None
    return distances[-(-len(distances) * 95 // 100) - 1]


def silent_minutes(minutes: Collection[int], first: int, last: int) -> set[int]:
    """Return the minutes of silences longer than three cadences, from `first` to `last` of the venue's day."""
    usual = cadence(minutes)
    if usual is None:
        return set()
    return {
        minute
        for before, after in pairwise([first - 1, *sorted(minutes), last + 1])
        if after - before > SILENT_AFTER * usual
        for minute in range(before + 1, after)
    }
