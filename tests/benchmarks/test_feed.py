"""What is sent at a steady rate: valid by its contract, crossed as often as said, and found again by offset."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.feed import CROSSED_EVERY, INSTRUMENTS, MAKERS, Sent
from contracts.catalog import dataset
from contracts.quotes import QUOTES

NOW = 1_767_571_200_000_000


def test_rows_have_the_wire_columns_of_their_contract() -> None:
    for name, make in MAKERS.items():
        assert set(make(17, NOW)) == {column.name for column in dataset(name).wire_columns}


def test_every_instrument_s_quotes_are_crossed_one_in_ten() -> None:
    rows = [MAKERS[QUOTES.name](number, NOW) for number in range(INSTRUMENTS * CROSSED_EVERY * 7)]
    crossed = [row for row in rows if row["bid_price"] > row["ask_price"]]
    assert len(crossed) * CROSSED_EVERY == len(rows)
    assert len({row["instrument"] for row in crossed}) == INSTRUMENTS


def test_no_two_rows_are_the_same_event() -> None:
    for name, make in MAKERS.items():
        grain = dataset(name).grain
        rows = [make(number, NOW + number // 3) for number in range(3000)]
        assert len({tuple(row[column] for column in grain) for row in rows}) == len(rows)


@given(offsets=st.lists(st.integers(0, 500), unique=True).map(sorted), steps=st.lists(st.integers(-1, 510)))
def test_each_moment_is_told_once_when_its_offset_is_reached(offsets: list[int], steps: list[int]) -> None:
    sent = Sent(len(offsets), 1.0, {3: offsets}, {3: [offset * 10 for offset in offsets]})
    told: list[int] = []
    for end in sorted(steps):
        told += sent.up_to(3, end, len(told))
        assert told == [offset * 10 for offset in offsets if offset <= end]
    assert sent.up_to(4, 10, 0) == []


def test_a_rate_that_was_not_reached_is_told() -> None:
    assert Sent(990, 1.0).shortfall(1000) == ""
    assert Sent(500, 1.0).shortfall(1000) == "; sent at 500 a second alone"
