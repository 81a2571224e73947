"""Two histories of a day, compared by instrument: the arithmetic of hashes, and which row differs first."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.bars import BARS
from contracts.books import BOOKS
from contracts.dataset import Dataset, ListOf, Type
from contracts.parity import PARITY
from contracts.trades import TRADES
from orchestration.prepare import MIGRATIONS
from spark.comparison import Comparison, InstrumentComparison, compare_day, first_difference, share_equal
from spark.differences import Difference, TapePlace
from spark.parity import record_parity
from stores.arrow import arrow_schema
from stores.hashing import combine, content_hashes
from stores.migrations import migrate
from stores.warehouse import Warehouse

DAY = date(2022, 5, 1)
START = int(datetime(2022, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000
SECOND, MINUTE = 1_000_000, 60_000_000
Row = dict[str, Any]


@pytest.fixture(scope="module")
def warehouse(platform: Any) -> Iterator[Warehouse]:
    """A database of its own, with a second table of each contract for what was rebuilt."""
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS comparison_test")
    server.run("CREATE DATABASE comparison_test")
    made = Warehouse(replace(platform.warehouse, database="comparison_test"))
    migrate(made, MIGRATIONS)
    for dataset in (TRADES, BOOKS, BARS):
        made.run(f"CREATE TABLE again_{dataset.table} AS {dataset.table}")
    yield made
    server.run("DROP DATABASE comparison_test")


def arrow(dataset: Dataset, rows: list[Row]) -> pa.Table:
    """Make rows; what is not named is empty."""
    zero = {Type.STRING: "", Type.BYTES: b""}

    def blank(kind: Any) -> Any:
        return [] if isinstance(kind, ListOf) else zero.get(kind, 0) if isinstance(kind, Type) else Decimal(0)

    blanks = {c.name: blank(c.type) for c in dataset.columns}
    return pa.Table.from_pylist([blanks | row for row in rows], schema=arrow_schema(dataset.columns))


def fill(warehouse: Warehouse, dataset: Dataset, streamed: list[Row], rebuilt: list[Row]) -> None:
    for table, rows in ((dataset.table, streamed), (f"again_{dataset.table}", rebuilt)):
        warehouse.run(f"TRUNCATE TABLE {table}")
        if rows:
            warehouse.insert(table, arrow(dataset, rows), token=str(rows))


def compare(warehouse: Warehouse, dataset: Dataset, clock: str = "event_time") -> Comparison:
    names = f"{dataset.table} FINAL", f"again_{dataset.table} FINAL"
    return compare_day(warehouse, dataset, *names, clock, DAY, "again_market_trades FINAL" if dataset is BARS else "")


def trade(number: int, **changes: Any) -> Row:
    """Make a trade, one a second, in the order of the tape."""
    at = START + number * SECOND
    row = {"venue": "v", "instrument": "A", "id_space": "s", "trade_id": str(number), "venue_sequence": number}
    row |= {"price": Decimal(10), "quantity": Decimal(2), "side": "buy", "trade_count": 1, "event_time": at}
    place = {"received_time": at + 5, "connection_id": "c", "message_number": number, "message_index": 0}
    return row | place | changes


# What may have become of a trade: as it was, stored with another price, only on the tape, only in the table.
FATES = st.sampled_from(["same", "price", "missing", "invented"])
HISTORIES = st.lists(
    st.tuples(st.sampled_from("vw"), st.sampled_from("AB"), st.integers(0, 23), FATES),
    max_size=25,
    unique_by=lambda told: told[:3],
)


def test_hashes_of_instruments_add_up_and_the_first_row_that_differs_is_found(warehouse: Warehouse) -> None:
    @settings(max_examples=20)
    @given(HISTORIES)
    def agree(drawn: list[tuple[str, str, int, str]]) -> None:
        streamed: list[Row] = []
        rebuilt: list[Row] = []
        first: dict[tuple[str, str], tuple[int, int]] = {}
        for venue, instrument, number, fate in drawn:
            # Several at one moment, in another order on the tape than by their ids.
            second, place = number // 12, number * 5 % 24
            at = START + second * SECOND
            row = trade(number, venue=venue, instrument=instrument, event_time=at, received_time=at)
            row["message_number"] = place
            if fate != "invented":
                rebuilt.append(row)
            if fate != "missing":
                streamed.append(row | {"price": Decimal(11)} if fate == "price" else row)
            if fate != "same":
                key = (venue, instrument)
                first[key] = min(first.get(key, (second, place)), (second, place))
        fill(warehouse, TRADES, streamed, rebuilt)
        found = compare(warehouse, TRADES)

        def summed(rows: list[Row], venue: str, instrument: str) -> tuple[int, int]:
            mine = [row for row in rows if (row["venue"], row["instrument"]) == (venue, instrument)]
            return len(mine), combine(content_hashes(TRADES, arrow(TRADES, mine))) if mine else 0

        assert {(one.venue, one.instrument) for one in found.instruments} == {told[:2] for told in drawn}
        for one in found.instruments:
            mine = summed(streamed, one.venue, one.instrument), summed(rebuilt, one.venue, one.instrument)
            assert ((one.streamed_count, one.streamed_hash), (one.rebuilt_count, one.rebuilt_hash)) == mine
        whole = combine(content_hashes(TRADES, arrow(TRADES, streamed))) if streamed else 0
        assert (found.streamed_count, found.streamed_hash) == (len(streamed), whole)
        told = {(o.venue, o.instrument): o.difference for o in found.instruments if o.difference}
        assert {key: ((d.event_time - START) // SECOND, d.place.message_number) for key, d in told.items()} == first
        if first:
            earliest = found.different[0]
            assert first[earliest.venue, earliest.instrument] == min(first.values())
        assert [one.equal for one in found.instruments].count(False) == len(first)

    agree()


def no_difference(dataset: Dataset, venue: str, instrument: str, count: int, equal: bool) -> InstrumentComparison:
    return InstrumentComparison(dataset.name, venue, instrument, count, count, 1, 1 if equal else 2)


@given(st.lists(st.booleans(), max_size=300))
def test_the_share_is_one_only_when_all_are_equal(equals: list[bool]) -> None:
    ones = [no_difference(TRADES, "v", str(number), 1, equal) for number, equal in enumerate(equals)]
    share = share_equal([Comparison.of(TRADES, ones[::2]), Comparison.of(BOOKS, ones[1::2])])
    assert (share == 1) == all(equals)
    assert equals.count(True) - len(equals) / 10_000 < share * len(equals) <= equals.count(True) or not equals


CASES: dict[str, tuple[Callable[[list[Row]], list[Row]], str, int]] = {
    "price": (
        lambda rows: [rows[0], rows[1] | {"price": Decimal("10.5"), "side": ""}, *rows[2:]],
        "id_space s, venue_sequence 2, trade_id 2: price is 10.5 in the tables, 10 on the tape; "
        "side is empty in the tables, buy on the tape",
        2,
    ),
    "gone": (lambda rows: rows[1:], "id_space s, venue_sequence 1, trade_id 1: missing in the tables", 1),
    "invented": (
        lambda rows: [*rows, trade(7, message_number=77)],
        "id_space s, venue_sequence 7, trade_id 7: not on the tape",
        77,
    ),
    "moved into another minute": (
        lambda rows: [*rows[:2], rows[2] | {"event_time": START + MINUTE}],
        "id_space s, venue_sequence 3, trade_id 3: event_time is 2022-05-01 00:01:00.000000 in the tables, "
        "2022-05-01 00:00:03.000000 on the tape",
        3,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_differs_is_said_with_its_place_on_the_tape(warehouse: Warehouse, case: str) -> None:
    change, text, number = CASES[case]
    rebuilt = [trade(number) for number in (1, 2, 3)]
    fill(warehouse, TRADES, change(rebuilt), rebuilt)
    (one,) = compare(warehouse, TRADES).instruments
    assert one.difference is not None
    assert one.difference.text == text
    assert one.difference.place[1:] == ("c", number, 0)
    assert one.difference.place.text.startswith(f"connection c, message {number}, index 0, received 2022-05-01 00:00:0")


def test_of_a_list_the_first_item_that_differs_is_shown(warehouse: Warehouse) -> None:
    shared = {"venue": "v", "instrument": "A", "id_space": "s", "update_id": "1", "event_time": START}
    levels = [Decimal(number) for number in range(50)]
    book = shared | {"bid_prices": levels, "ask_prices": levels, "message_number": 3, "connection_id": "c"}
    altered = book | {"bid_prices": [*levels[:40], Decimal("0.1"), *levels[41:]], "ask_prices": levels[:49]}
    fill(warehouse, BOOKS, [altered], [book])
    (one,) = compare(warehouse, BOOKS).instruments
    assert one.difference is not None
    assert "bid_prices[40] is 0.1 in the tables, 40 on the tape" in one.difference.text
    assert "ask_prices has 49 items in the tables, 50 on the tape" in one.difference.text


def test_a_bar_leads_to_the_first_trade_of_its_minute(warehouse: Warehouse) -> None:
    fill(warehouse, TRADES, [], [trade(61), trade(60, message_number=99, received_time=START + 90 * SECOND), trade(5)])
    bar = {"venue": "v", "instrument": "A", "id_space": "s", "bar_time": START + MINUTE, "revision": 1}
    bars = [bar | {"close": Decimal(9)}, bar | {"bar_time": START, "close": Decimal(9)}]
    fill(warehouse, BARS, [bars[0] | {"close": Decimal(8), "revision": 4, "known_time": 5}, bars[1]], bars)
    (one,) = compare(warehouse, BARS, "bar_time").instruments
    assert one.difference is not None
    assert one.difference.text == (
        "id_space s, bar_time 2022-05-01 00:01:00.000000: close is 8 in the tables, 9 on the tape"
    )
    # The tape's order, not the events': trade 60 was received later.
    assert one.difference.place == TapePlace(START + 61 * SECOND + 5, "c", 61, 0)


def parity(warehouse: Warehouse) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    rows = warehouse.rows(
        "SELECT venue, instrument, dataset, revision, equal, streamed_count, first_difference, connection_id, "
        f"message_number, run_id FROM {PARITY.table}_current"
    )
    return {row[:3]: row[3:] for row in rows}


def test_every_rebuild_is_kept_and_the_last_is_shown(warehouse: Warehouse) -> None:
    place = TapePlace(START, "c", 7, 1)
    wrong = InstrumentComparison(TRADES.name, "v", "B", 5, 4, 1, 2, Difference("not on the tape", START, place))
    found = [Comparison.of(TRADES, [no_difference(TRADES, "v", "A", 3, True), wrong])]
    assert first_difference(found) == wrong
    assert found[0].first_difference == "v B: not on the tape"
    assert record_parity(warehouse, DAY, found, "one") == 2
    assert parity(warehouse) == {
        ("v", "A", TRADES.name): (1, 1, 3, "", "", -1, "one"),
        ("v", "B", TRADES.name): (1, 0, 5, "not on the tape", "c", 7, "one"),
    }
    # Nothing is left of B on either side: it must not be shown as different for ever.
    assert (
        record_parity(warehouse, DAY, [Comparison.of(TRADES, [no_difference(TRADES, "v", "A", 4, True)])], "two") == 2
    )
    assert parity(warehouse) == {
        ("v", "A", TRADES.name): (2, 1, 4, "", "", -1, "two"),
        ("v", "B", TRADES.name): (2, 1, 0, "", "", -1, "two"),
    }
    assert record_parity(warehouse, date(2022, 5, 2), [], "three") == 0
    assert warehouse.value(f"SELECT count() FROM {PARITY.table}") == 4
