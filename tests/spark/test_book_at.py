"""The book of a moment, as the warehouse tells it, against a fold in plain Python; with and without kept snapshots."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.books import BOOKS
from contracts.errors import RetryableError, TapehouseError, TerminalError
from orchestration.prepare import MIGRATIONS
from spark.book_snapshots import GRACE, BookKeeper, make
from spark.deliver import Span
from stores.arrow import arrow_schema
from stores.migrations import migrate
from stores.warehouse import Warehouse

START = int(datetime(2022, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
SECOND = 1_000_000
SCHEMA = arrow_schema(BOOKS.columns)
NUMBERS = itertools.count()
Row = dict[str, Any]
Side = dict[Decimal, Decimal]
Place = tuple[int, int, int, int]


def place(row: Row) -> Place:
    return row["venue_sequence"], row["received_time"], row["message_number"], row["message_index"]


def truncated(side: Side, depth: int, best: Any) -> Side:
    kept = sorted(side, reverse=best is max)[: depth or None]
    return {price: side[price] for price in kept}


def folded(rows: list[Row], moment: int) -> tuple[list[Any], list[Any], bool] | None:
    """Fold the rows of one series by hand: bids and asks, best first, and whether nothing is missing."""
    told = [row for row in rows if row["kind"] == "snapshot" and row["event_time"] <= moment]
    if not told:
        return None
    start = max(told, key=lambda row: (row["received_time"], row["message_number"]))
    behind = [
        row
        for row in rows
        if row["kind"] == "delta" and row["chain"] == start["chain"] and place(row) > place(start)
        and (row["previous_sequence"] < 0 or row["venue_sequence"] > start["venue_sequence"])
    ]  # fmt: skip
    sides: dict[str, Side] = {"bid": {}, "ask": {}}
    complete, last = True, start["venue_sequence"]
    for row in [start, *sorted(behind, key=place)]:
        if row["event_time"] > moment:
            break
        complete = complete and row["previous_sequence"] <= last
        last = row["venue_sequence"]
        for name, best in (("bid", max), ("ask", min)):
            for price, quantity in zip(row[f"{name}_prices"], row[f"{name}_quantities"], strict=True):
                sides[name][price] = quantity
            live = {price: quantity for price, quantity in sides[name].items() if quantity}
            sides[name] = truncated(live, row["depth"], best)
    return sorted(sides["bid"].items(), reverse=True), sorted(sides["ask"].items()), complete


@dataclass
class Books:
    """A database of its own with the real tables, in which every example is another venue."""

    warehouse: Warehouse
    venue: str = ""

    def new(self) -> None:
        self.venue = f"v{next(NUMBERS)}"

    def insert(self, rows: list[Row]) -> None:
        blank = {
            "ingested_time": 0,
            "topic_id": "t",
            "kafka_partition": 0,
            "kafka_index": 0,
            "displaced_count": 0,
            "displaced_hash": 0,
        }
        full = [{"venue": self.venue, **blank, "kafka_offset": row["message_number"], **row} for row in rows]
        token = f"{self.venue}-{next(NUMBERS)}"
        self.warehouse.insert(BOOKS.table, pa.Table.from_pylist(full, schema=SCHEMA), token=token)

    def keep(self, moment: int) -> None:
        make(self.warehouse, (self.venue, "i", "s"), moment, known_time=next(NUMBERS))

    def kept(self) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(
            f"SELECT toUnixTimestamp64Micro(snapshot_time), state FROM market_book_snapshots FINAL "
            f"WHERE venue = '{self.venue}' ORDER BY snapshot_time"
        )

    def ask(self, moment: int, levels: int = 0, columns: str = "*") -> str:
        series = f"venue = '{self.venue}', instrument = 'i', id_space = 's'"
        at = datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{moment % SECOND:06}"
        return f"SELECT {columns} FROM market_book_at({series}, moment = '{at}', levels = {levels})"

    def at(self, moment: int) -> tuple[list[Any], list[Any], bool] | None:
        columns = "arrayZip(bid_prices, bid_quantities), arrayZip(ask_prices, ask_quantities), complete"
        found = self.warehouse.rows(self.ask(moment, columns=columns))
        if not found:
            return None
        ((bids, asks, complete),) = found
        return bids, asks, bool(complete)

    def rows_read(self, moment: int) -> int:
        told = self.warehouse._call("count", lambda client: client.query(self.ask(moment, columns="as_of")))
        return int(told.summary["read_rows"])


@pytest.fixture(scope="module")
def database(platform: Any) -> Iterator[Warehouse]:
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS books_test")
    server.run("CREATE DATABASE books_test")
    warehouse = Warehouse(replace(platform.warehouse, database="books_test"))
    migrate(warehouse, MIGRATIONS)
    yield warehouse
    server.run("DROP DATABASE books_test")


@pytest.fixture
def books(database: Warehouse) -> Books:
    found = Books(database)
    found.new()
    return found


def book_row(number: int, kind: str, **more: Any) -> Row:
    """Make the n-th message of a feed whose updates have no numbers."""
    received = START + number * SECOND
    return {
        "instrument": "i", "id_space": "s", "update_id": f"{kind}-{number}", "venue_sequence": received, "kind": kind,
        "chain": "c", "first_sequence": received, "previous_sequence": -1, "bid_prices": [], "bid_quantities": [],
        "ask_prices": [], "ask_quantities": [], "depth": 0, "checksum": -1, "event_time": received,
        "event_clock": "venue", "received_time": received, "connection_id": "c", "message_number": number,
        "message_index": 0, **more,
    }  # fmt: skip


def bids(**levels: int) -> dict[str, list[Decimal]]:
    """Write bids as p10=1: 1 bid at 10."""
    return {
        "bid_prices": [Decimal(name[1:]) for name in levels],
        "bid_quantities": [Decimal(value) for value in levels.values()],
    }


levels = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=4)
whole = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3)), max_size=6)


@st.composite
def feeds(draw: st.DrawFn) -> list[Row]:
    """Draw the rows of a feed: numbered or not, of limited depth or not, with holes, repeats and clocks that jump."""
    numbered, depth = draw(st.booleans()), draw(st.sampled_from([0, 2, 4]))
    kinds = ["snapshot"] + ["delta"] * draw(st.sampled_from([1, 5]))
    rows: list[Row] = []
    sequence = 100
    received = START
    for number in range(draw(st.integers(1, 18))):
        kind = draw(st.sampled_from(kinds)) if number else "snapshot"
        # Two updates may be received in one microsecond; two snapshots of a feed never are.
        received += SECOND if kind == "snapshot" else draw(st.sampled_from([0, SECOND, SECOND]))
        told: Row = {"depth": depth, "event_time": received + draw(st.integers(-2, 2)) * SECOND}
        told |= {"received_time": received, "venue_sequence": received}
        for side in ("bid", "ask"):
            drawn = draw(levels if number else whole)
            told[f"{side}_prices"] = [Decimal(price) for price, _ in drawn]
            told[f"{side}_quantities"] = [Decimal(quantity) for _, quantity in drawn]
        if numbered and kind == "snapshot":
            # It may be older, or newer, than the updates that were heard.
            told |= {"chain": "", "venue_sequence": max(sequence + draw(st.integers(-6, 3)), 1)}
        elif numbered:
            first = sequence + 1 + draw(st.sampled_from([0, 0, 0, 0, 1, 2]))
            sequence = first + draw(st.integers(0, 2))
            told |= {"chain": "", "venue_sequence": sequence, "first_sequence": first, "previous_sequence": first - 1}
        else:
            told["chain"] = draw(st.sampled_from(["a", "a", "a", "b"]))
        rows.append(book_row(number, kind, **told))
    return rows


moments = st.integers(-6, 44).map(lambda half: START + half * SECOND // 2)


# Not shrunk: each try asks the warehouse some ten times, so a smaller example would take minutes to find.
@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=feeds(), asked=st.lists(moments, min_size=2, max_size=4), kept=st.lists(moments, max_size=3, unique=True))
def test_every_moment_has_the_book_that_folding_by_hand_gives_with_and_without_kept_snapshots(
    books: Books, rows: list[Row], asked: list[int], kept: list[int]
) -> None:
    books.new()
    books.insert(rows)
    expected = [folded(rows, moment) for moment in asked]
    assert [books.at(moment) for moment in asked] == expected
    for moment in sorted(kept):
        books.keep(moment)
    assert [books.at(moment) for moment in asked] == expected


def test_a_level_that_fell_out_of_the_feeds_depth_does_not_come_back(books: Books) -> None:
    # 8 falls out when 11 comes, and is gone at the venue when 10 and 11 go: Kraken would have told it again.
    rows = [
        book_row(0, "snapshot", depth=3, **bids(p10=1, p9=1, p8=7)),
        book_row(1, "delta", depth=3, **bids(p11=1)),
        book_row(2, "delta", depth=3, **bids(p11=0, p5=1)),
        book_row(3, "delta", depth=3, **bids(p10=0, p4=1)),
    ]
    books.insert(rows)
    found = books.at(START + 3 * SECOND)
    assert found == folded(rows, START + 3 * SECOND)
    assert found is not None
    assert [price for price, _ in found[0]] == [9, 5, 4]


def test_levels_depths_and_imbalance_are_those_of_the_levels_asked_for(books: Books) -> None:
    asks = {"ask_prices": [Decimal(11), Decimal(12)], "ask_quantities": [Decimal(1), Decimal(5)]}
    books.insert([book_row(0, "snapshot", **bids(p9=1, p10=3, p8=4), **asks)])
    columns = (
        "bid_prices, ask_prices, best_bid, best_ask, bid_depth, ask_depth, imbalance, toUnixTimestamp64Micro(as_of)"
    )
    (one,) = books.warehouse.rows(books.ask(START + 5 * SECOND, 1, columns))
    assert one == ([10], [11], 10, 11, 3, 1, 0.5, START)
    (every,) = books.warehouse.rows(books.ask(START, 0, columns))
    assert every == ([10, 9, 8], [11, 12], 10, 11, 8, 6, 1 / 7, START)


def test_an_empty_side_is_told_as_one_and_a_book_that_nobody_told_of_not_at_all(books: Books) -> None:
    books.insert([book_row(1, "snapshot", **bids(p9=1)), book_row(2, "delta", **bids(p9=0))])
    assert books.at(START) is None
    assert books.at(START + 2 * SECOND) == ([], [], True)
    columns = "best_bid, best_ask, bid_depth, imbalance"
    assert books.warehouse.rows(books.ask(START + 2 * SECOND, 5, columns)) == [(0, 0, 0, 0.0)]


@pytest.mark.parametrize("apart", [0, SECOND])
def test_an_update_is_never_skipped_because_it_is_stamped_later_than_those_behind_it(books: Books, apart: int) -> None:
    received = [START + SECOND, START + SECOND + apart]
    first, second = ({"received_time": time, "venue_sequence": time} for time in received)
    rows = [
        book_row(0, "snapshot", **bids(p9=1)),
        book_row(1, "delta", **first, event_time=START + 5 * SECOND, **bids(p9=2)),
        book_row(2, "delta", **second, event_time=START + 2 * SECOND, **bids(p9=3)),
    ]
    books.insert(rows)
    found = [books.at(START + at * SECOND) for at in (2, 4, 5)]
    assert found == [([(9, quantity)], [], True) for quantity in (1, 1, 3)]


def test_the_snapshot_that_was_received_last_counts_however_it_is_stamped(books: Books) -> None:
    rows = [
        book_row(1, "snapshot", event_time=START + 5 * SECOND, **bids(p9=1)),
        book_row(2, "snapshot", event_time=START + 2 * SECOND, **bids(p9=2)),
        book_row(3, "delta", **bids(p8=8)),
    ]
    books.insert(rows)
    found = books.at(START + 6 * SECOND)
    assert found == ([(9, 2), (8, 8)], [], True) == folded(rows, START + 6 * SECOND)
    books.keep(START + 3 * SECOND)
    assert [state for _, state in books.kept()] == ["complete"]
    assert books.at(START + 6 * SECOND) == found


def long_feed(minutes: int, a_minute: int) -> list[Row]:
    rows = [book_row(0, "snapshot", depth=10, **bids(**{f"p{price}": 1 for price in range(91, 101)}))]
    for number in range(1, minutes * a_minute):
        time = START + number * 60 * SECOND // a_minute
        told = {"received_time": time, "venue_sequence": time, "event_time": time, "depth": 10}
        rows.append(book_row(number, "delta", **told, **bids(**{f"p{80 + number * 7 % 30}": number % 4})))
    return rows


def spans(rows: list[Row], venue: str) -> tuple[list[Any], list[Span]]:
    """Say what the write path would say of rows that it stored."""
    times = [row["event_time"] for row in rows]
    touched = [(venue, "i", "s", time - time % (60 * SECOND)) for time in times]
    sequences = [row["venue_sequence"] for row in rows]
    received = max(row["received_time"] for row in rows)
    chain = rows[0]["chain"]
    ends = (min(sequences), max(sequences), min(times), max(times), received)
    return touched, [Span(venue, "i", "s", chain, *ends)]


def test_kept_snapshots_change_no_answer_and_spare_most_of_the_reading(books: Books) -> None:
    rows = long_feed(40, 1500)
    books.insert(rows)
    asked = [START + 39 * 60 * SECOND + 30 * SECOND, START + 20 * 60 * SECOND + 7]
    before = [(books.at(moment), books.rows_read(moment)) for moment in asked]
    assert [book for book, _ in before] == [folded(rows, moment) for moment in asked]
    keeper = BookKeeper(books.warehouse, every_s=60, budget_s=120)
    keeper.update(*spans(rows, books.venue))
    assert keeper.tick() == 0
    assert books.kept() == [(START + n * 60 * SECOND, "complete") for n in range(1, 40)]
    after = [(books.at(moment), books.rows_read(moment)) for moment in asked]
    assert [book for book, _ in after] == [book for book, _ in before]
    # A few granules of 1,024 rows remain, however long ago the venue's own snapshot was.
    assert after[0][1] < before[0][1] / 4
    assert all(read < 12_000 for _, read in after), after


def test_a_moment_is_kept_once_the_feeds_own_clock_has_passed_it_and_only_if_something_was_told(books: Books) -> None:
    keeper = BookKeeper(books.warehouse, every_s=60)
    rows = [
        book_row(0, "snapshot", **bids(p9=1)),
        book_row(10, "delta", **bids(p9=2)),
        book_row(200, "delta", **bids(p9=3)),
    ]
    books.insert(rows)
    keeper.update(*spans(rows[:2], books.venue))
    keeper.tick()
    assert books.kept() == []
    keeper.update(*spans(rows[2:], books.venue))
    keeper.tick()
    assert [moment for moment, _ in books.kept()] == [START + 60 * SECOND]  # not 120 and 180: nothing new by then
    later = book_row(240 + GRACE // SECOND, "delta", **bids(p9=4))
    books.insert([later])
    keeper.update(*spans([later], books.venue))
    keeper.tick()
    assert [moment for moment, _ in books.kept()] == [START + 60 * SECOND, START + 240 * SECOND]


def test_a_venues_own_snapshot_is_not_kept_a_second_time(books: Books) -> None:
    keeper = BookKeeper(books.warehouse, every_s=60)
    rows = [book_row(0, "snapshot", **bids(p9=1)), book_row(100, "snapshot", **bids(p9=2)), book_row(190, "delta")]
    books.insert(rows)
    keeper.update(*spans(rows, books.venue))
    keeper.tick()
    assert books.kept() == []


@pytest.mark.parametrize("late", [30, 100, 200], ids=["stamped-early", "stamped-late", "stamped-behind-all-kept"])
def test_a_row_that_comes_late_withdraws_what_it_belongs_to_and_it_is_made_again(books: Books, late: int) -> None:
    keeper = BookKeeper(books.warehouse, every_s=60)
    rows = [book_row(0, "snapshot", **bids(p9=1)), *(book_row(n, "delta", **bids(p9=n)) for n in (50, 110, 170, 240))]
    books.insert(rows)
    keeper.update(*spans(rows, books.venue))
    keeper.tick()
    assert [state for _, state in books.kept()] == ["complete"] * 3
    row = book_row(30, "delta", event_time=START + late * SECOND, **bids(p8=8))
    books.insert([row])
    keeper.update(*spans([row], books.venue))
    assert [state for _, state in books.kept()] == ["withdrawn"] * 3
    asked = [START + at * SECOND for at in (60, 120, 180, 300)]
    expected = [folded([*rows, row], moment) for moment in asked]
    assert [books.at(moment) for moment in asked] == expected
    keeper.tick()
    # What the row, where it lies, keeps out of a book leaves nothing but the venue's snapshot.
    again = ["complete" if moment >= START + late * SECOND else "withdrawn" for moment, _ in books.kept()]
    assert [state for _, state in books.kept()] == again
    assert [books.at(moment) for moment in asked] == expected


def test_rows_of_long_ago_leave_the_snapshots_of_later_books_alone(books: Books) -> None:
    keeper = BookKeeper(books.warehouse, every_s=60)
    rows = [book_row(1000, "snapshot", **bids(p9=1)), *(book_row(n, "delta", **bids(p9=n)) for n in (1010, 1090))]
    books.insert(rows)
    keeper.update(*spans(rows, books.venue))
    keeper.tick()
    before = books.kept()
    assert len(before) == 1
    old = [book_row(0, "snapshot", chain="b", **bids(p5=1)), book_row(5, "delta", chain="b", **bids(p5=2))]
    books.insert(old)
    keeper.update(*spans(old, books.venue))
    assert books.kept() == before
    assert books.at(START + 1100 * SECOND) == folded([*rows, *old], START + 1100 * SECOND)


def test_a_warehouse_that_is_away_or_refuses_holds_nothing_up(
    books: Books, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [book_row(0, "snapshot", **bids(p9=1)), *(book_row(n, "delta", **bids(p9=n)) for n in (50, 110, 170, 240))]
    books.insert(rows)
    keeper = BookKeeper(books.warehouse, every_s=60)
    keeper.update(*spans(rows, books.venue))

    def failing(error: TapehouseError) -> Any:
        def make_none(*_: object, **__: object) -> None:
            raise error

        return make_none

    monkeypatch.setattr("spark.book_snapshots.make", failing(RetryableError("it is away")))
    assert keeper.tick() == 3
    monkeypatch.setattr("spark.book_snapshots.make", failing(TerminalError("it is too much")))
    assert keeper.tick() == 0
    assert [record.message for record in caplog.records][-1].endswith("it is too much")
    monkeypatch.undo()
    assert keeper.tick() == 0  # refused moments are not tried for ever
    assert books.kept() == []


def test_the_next_process_makes_what_the_last_one_left(books: Books) -> None:
    rows = [book_row(0, "snapshot", **bids(p9=1)), *(book_row(n, "delta", **bids(p9=n)) for n in (50, 110, 170, 240))]
    later = 12 * 24 * 3600 * SECOND  # newer than all else in the table, of which only the last day is looked at
    books.insert([{**row, "event_time": row["event_time"] + later} for row in rows])
    books.keep(START + 60 * SECOND + later)
    keeper = BookKeeper(books.warehouse, every_s=60)
    keeper.resume()
    keeper.tick()
    assert [(moment - START - later) // SECOND for moment, _ in books.kept()] == [60, 120, 180]
