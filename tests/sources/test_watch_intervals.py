"""A set of ranges is the set of its integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.watch.intervals import Intervals

SMALL = st.integers(-5, 30)


@given(st.lists(st.one_of(st.tuples(SMALL, SMALL), SMALL)))
def test_intervals_hold_what_a_set_holds(steps: list[tuple[int, int] | int]) -> None:
    found, model = Intervals(), set[int]()
    for step in steps:
        if isinstance(step, tuple):
            found.add(*step)
            model |= set(range(step[0], step[1] + 1))
        else:
            assert found.remove(step) == (step in model)
            model.discard(step)
        assert {i for first, last in found.ranges for i in range(first, last + 1)} == model
        assert found.count == len(model)
        assert len(found) == sum(i - 1 not in model for i in model)  # no two ranges touch
        assert all((value in found) == (value in model) for value in range(-6, 32))
        if model:
            assert found.first == min(model)


def test_ranges_take_no_more_memory_for_what_they_span() -> None:
    found = Intervals([(0, 2**63)])
    assert found.remove(2**40)
    assert found.ranges == ((0, 2**40 - 1), (2**40 + 1, 2**63))
    assert found.count == 2**63


def test_an_empty_set_has_no_first() -> None:
    with pytest.raises(ValueError, match="empty"):
        _ = Intervals().first
