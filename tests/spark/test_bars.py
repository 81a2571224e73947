"""Bars follow the stored trades through late trades, silence and corrections; every revision stays."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.settings import BARS_QUERY
from spark.bars import CELLS_APART, Minute, refresh, spans
from spark.clocks import MINUTE, VenueClocks
from stores.warehouse import Warehouse

START = int(datetime(2022, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
SERIES = ("v", "i", "s")


@pytest.fixture
def store(platform: Any) -> Iterator[Warehouse]:
    warehouse = Warehouse(platform.warehouse)
    warehouse.run("CREATE TABLE bars_test_trades AS market_trades")
    warehouse.run("CREATE TABLE bars_test_bars AS market_bars")
    yield warehouse
    warehouse.run("DROP TABLE bars_test_trades")
    warehouse.run("DROP TABLE bars_test_bars")


def trade(store: Warehouse, number: int, seconds: float, price: str, quantity: str = "1", displaced: int = 0) -> None:
    time = START + int(seconds * 1_000_000)
    store.run(
        "INSERT INTO bars_test_trades (venue, instrument, id_space, trade_id, venue_sequence, price, quantity, side, "
        f"trade_count, event_time, displaced_count) VALUES ('v', 'i', 's', '{number}', {number}, {price}, {quantity}, "
        f"'buy', 1, fromUnixTimestamp64Micro({time}, 'UTC'), {displaced})"
    )


def make(store: Warehouse, *states: tuple[int, str], known: int = 1) -> None:
    minutes = [((*SERIES, START + minute * MINUTE), state) for minute, state in states]
    names = {"trades": "bars_test_trades", "bars": "bars_test_bars"}
    refresh(store, BARS_QUERY.read_text(), minutes, known_time=known, **names)


def revisions(store: Warehouse, minute: int = 0) -> list[tuple[Any, ...]]:
    return store.rows(
        "SELECT revision, state, open, high, low, close, volume, notional, trade_count FROM bars_test_bars "
        f"WHERE bar_time = fromUnixTimestamp64Micro({START + minute * MINUTE}, 'UTC') ORDER BY revision"
    )


def test_a_late_trade_corrects_a_final_bar_with_a_higher_revision(store: Warehouse) -> None:
    trade(store, 2, 10, "10.5", "2")
    trade(store, 3, 20, "11.5")
    make(store, (0, "provisional"))
    make(store, (0, "final"), known=2)
    trade(store, 1, 5, "9")
    make(store, (0, "final"), known=3)
    ten, eleven, nine = Decimal("10.5"), Decimal("11.5"), Decimal(9)
    first = (ten, eleven, ten, eleven, Decimal(3), Decimal("32.5"), 2)
    assert revisions(store) == [
        (1, "provisional", *first),
        (2, "final", *first),
        (3, "final", nine, eleven, nine, eleven, Decimal(4), Decimal("41.5"), 3),
    ]
    known = store.rows("SELECT toUnixTimestamp64Micro(known_time) FROM bars_test_bars ORDER BY revision")
    assert [row[0] for row in known] == [1, 2, 3]


def test_making_a_bar_again_writes_nothing(store: Warehouse) -> None:
    trade(store, 1, 10, "10.5")
    for _ in range(3):
        make(store, (0, "final"))
    assert len(revisions(store)) == 1


def test_open_and_close_break_ties_by_the_venues_sequence_not_by_arrival(store: Warehouse) -> None:
    for number, price in ((12, "3"), (9, "1"), (10, "2")):  # arrived in this order, all at one time
        trade(store, number, 10, price)
    make(store, (0, "provisional"))
    assert revisions(store)[0][2:6] == (Decimal(1), Decimal(3), Decimal(1), Decimal(3))


def test_ties_of_time_and_sequence_are_broken_by_the_id_letter_by_letter(store: Warehouse) -> None:
    sequences, ids = (-(2**63), -2, 0, 255, 256, 2**63 - 1), ("", "1", "10", "9", "Z", "a", "é")
    for minute, used in enumerate((sequences[:2], sequences[2:3], sequences[3:])):
        # Of every three one comes a second later.
        keys = [(sequence, name) for sequence in used for name in ids]
        places = [(7 + number % 3 // 2, *key) for number, key in enumerate(keys)]
        rows = ", ".join(
            f"('v', 'i', 's', '{name}', {sequence}, {price}, 1, 'buy', 1, "
            f"fromUnixTimestamp64Micro({START + minute * MINUTE + seconds * 1_000_000}, 'UTC'))"
            for price, (seconds, sequence, name) in enumerate(places, 1)
        )
        store.run(
            "INSERT INTO bars_test_trades (venue, instrument, id_space, trade_id, venue_sequence, price, quantity, "
            f"side, trade_count, event_time) VALUES {rows}"
        )
        make(store, (minute, "final"))
        first, last = (places.index(end) + 1 for end in (min(places), max(places)))
        assert (revisions(store, minute)[0][2], revisions(store, minute)[0][5]) == (first, last)


def test_series_of_other_minutes_are_made_in_one_question_and_none_gets_the_others(store: Warehouse) -> None:
    wanted = {("v", "i'", "s", 0): 1, ("v", "j", "s", 0): 2, ("w", "i'", "s", 3): 1, ("w", "i'", "s", 5): 2}
    for venue, instrument, space, minute in [*wanted, ("v", "j", "s", 1), ("w", "i'", "t", 3), ("v", "k", "s", 0)]:
        for number in range(wanted.get((venue, instrument, space, minute), 7)):
            store.run(
                "INSERT INTO bars_test_trades (venue, instrument, id_space, trade_id, price, quantity, event_time) "
                "VALUES ({v:String}, {i:String}, {s:String}, {n:String}, 1, 1, "
                f"fromUnixTimestamp64Micro({START + minute * MINUTE}, 'UTC'))",
                {"v": venue, "i": instrument, "s": space, "n": f"{minute}-{number}"},
            )
    minutes = [((v, i, s, START + m * MINUTE), "final") for v, i, s, m in wanted]
    refresh(store, BARS_QUERY.read_text(), minutes, known_time=1, trades="bars_test_trades", bars="bars_test_bars")
    made = store.rows(
        f"SELECT venue, instrument, id_space, intDiv(toUnixTimestamp64Micro(bar_time) - {START}, {MINUTE}), trades "
        "FROM (SELECT *, toInt64(volume) AS trades FROM bars_test_bars)"
    )
    assert {tuple(row[:4]): row[4] for row in made} == wanted


def test_minutes_are_cut_at_their_first_microsecond(store: Warehouse) -> None:
    trade(store, 1, 59.999999, "1")
    trade(store, 2, 60, "2")
    make(store, (0, "final"), (1, "provisional"))
    assert [row[2] for row in (*revisions(store, 0), *revisions(store, 1))] == [Decimal(1), Decimal(2)]


def test_a_bar_whose_last_trade_moved_away_is_withdrawn(store: Warehouse) -> None:
    trade(store, 1, 10, "1")
    make(store, (0, "provisional"))
    trade(store, 1, 70, "1", displaced=1)  # the same trade, told earlier on the tape with another time
    make(store, (0, "final"), (1, "provisional"))
    make(store, (0, "final"), (1, "provisional"))
    assert [row[:2] for row in revisions(store)] == [(1, "provisional"), (2, "withdrawn")]
    assert [row[:2] for row in revisions(store, 1)] == [(1, "provisional")]


def test_notional_is_exact_beyond_what_a_double_holds(store: Warehouse) -> None:
    trade(store, 1, 1, "61837.630000000001", "0.000000001234")
    trade(store, 2, 2, "61837.63", "123456789.000000000001")
    make(store, (0, "final"))
    with localcontext(prec=60):  # Python's own default would round the product
        first = Decimal("61837.630000000001") * Decimal("0.000000001234")
        exact = first + Decimal("61837.63") * Decimal("123456789.000000000001")
    assert revisions(store)[0][7] == exact


def test_a_bar_is_final_when_the_venues_clock_or_its_silence_has_passed_it() -> None:
    clocks = VenueClocks(grace=5_000_000, idle=30_000_000)
    clocks.hear("v", START + 30_000_000, now=1000)
    assert clocks.state("v", START, now=1000) == "provisional"
    clocks.hear("v", START + MINUTE + 4_999_999, now=2000)
    assert clocks.state("v", START, now=2000) == "provisional"
    clocks.hear("v", START + 10, now=3000)  # a late one does not turn the clock back
    clocks.hear("v", START + MINUTE + 5_000_000, now=4000)
    assert clocks.state("v", START, now=4000) == "final"
    assert clocks.state("v", START + MINUTE, now=4000) == "provisional"
    assert clocks.state("v", START + MINUTE, now=4000 + 30_000_000) == "final"
    # Another venue's clock and silence are its own.
    clocks.hear("w", START + 10 * MINUTE, now=4000)
    assert clocks.state("v", START + MINUTE, now=5000) == "provisional"


drawn_minutes = st.lists(
    st.tuples(st.just("v"), st.sampled_from("abcdefgh"), st.just("s"), st.integers(0, 5000).map(lambda n: n * MINUTE)),
    min_size=1, max_size=60, unique=True,
)  # fmt: skip


@given(drawn_minutes, st.sampled_from([1, 4, 16, 64]))
def test_spans_hold_every_minute_of_their_series_and_of_no_other(minutes: list[Minute], width: int) -> None:
    found = spans(minutes, width * MINUTE)
    held = {(series, cell) for (low, high), some in found.items() for series in some for cell in range(low, high + 1)}
    cells = {(minute[:3], minute[3] // (width * MINUTE)) for minute in minutes}
    assert cells <= held
    for (low, high), some in found.items():
        for series in some:
            mine = sorted(cell for one, cell in cells if one == series and low <= cell <= high)
            assert (mine[0], mine[-1]) == (low, high)  # begins and ends where it must
            assert all(b - a <= CELLS_APART for a, b in itertools.pairwise(mine))
    assert sum(map(len, found.values())) <= len(minutes)
