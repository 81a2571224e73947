"""A set of integers kept as ranges."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable


class Intervals:
    """Integers as ranges that neither overlap nor touch; fast where ranges are few, whatever they span."""

    __slots__ = ("_firsts", "_lasts", "count")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self.count = 0  # how many integers are in the set
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Add first to last, inclusive; nothing when last is less."""
        if last < first:
            return
        # ranges low to high - 1 overlap or touch the new one
        low, high = bisect_left(self._lasts, first - 1), bisect_right(self._firsts, last + 1)
        if low < high:
            first, last = min(first, self._firsts[low]), max(last, self._lasts[high - 1])
            self.count -= sum(self._lasts[i] - self._firsts[i] + 1 for i in range(low, high))
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        self.count += last - first + 1

    def remove(self, value: int) -> bool:
        """Take an integer out; return whether it was in."""
        at = bisect_right(self._firsts, value) - 1
        if at < 0 or self._lasts[at] < value:
            return False
        first, last = self._firsts[at], self._lasts[at]
        self.count -= 1
        if first == last:
            del self._firsts[at], self._lasts[at]
        elif value == first:
            self._firsts[at] += 1
        elif value == last:
            self._lasts[at] -= 1
        else:
            self._lasts[at] = value - 1
            self._firsts.insert(at + 1, value + 1)
            self._lasts.insert(at + 1, last)
        return True

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The ranges in order, ends included."""
        return tuple(zip(self._firsts, self._lasts, strict=True))

    @property
    def first(self) -> int:
        """The least of them; ValueError when there is none."""
        if not self._firsts:
            raise ValueError("an empty set of intervals has no first")
        return self._firsts[0]

    def __len__(self) -> int:
        """Count the ranges."""
        return len(self._firsts)

    def __contains__(self, value: int) -> bool:
        at = bisect_right(self._firsts, value) - 1
        return at >= 0 and self._lasts[at] >= value
