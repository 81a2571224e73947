"""The arithmetic of offset ranges against a set of offsets."""

from hypothesis import given
from hypothesis import strategies as st

from quality.audit import covered

ranges = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)).map(lambda r: (r[0], r[0] + r[1])), max_size=12)


@given(ranges, st.integers(0, 40))
def test_held_missing_and_twice_are_what_counting_offsets_gives(drawn: list[tuple[int, int]], end: int) -> None:
    times = [sum(first <= offset <= last for first, last in drawn) for offset in range(80)]
    held, missing, twice = covered(drawn, end)
    assert held == sum(times)
    assert missing == sum(1 for offset in range(end) if times[offset] == 0)
    assert held - twice == sum(1 for count in times if count)
