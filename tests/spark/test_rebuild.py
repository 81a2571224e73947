"""A day of every market dataset, made again from the tape in one pass and compared with what was streamed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from contracts.books import BOOKS
from contracts.catalog import MARKET
from contracts.catalog import dataset as dataset_named
from contracts.corporate_actions import CORPORATE_ACTIONS
from contracts.dataset import Dataset, ListOf, Type
from contracts.instruments import INSTRUMENTS
from contracts.quotes import QUOTES
from contracts.tape import TAPE
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from orchestration.prepare import MIGRATIONS
from orchestration.settings import BARS_QUERY
from spark.bars import refresh
from spark.comparison import Comparison, Scratch
from spark.deliver import WritePlan, covered_range, write_decoded
from spark.rebuild import rebuild_day
from stores.arrow import arrow_schema
from stores.lake import tape_path
from stores.migrations import migrate
from stores.settings import LakeSettings, WarehouseSettings
from stores.warehouse import Warehouse

DAY = date(2022, 5, 1)
START = int(datetime(2022, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000
SECOND, MINUTE, WHOLE_DAY = 1_000_000, 60_000_000, 24 * 3600 * 1_000_000
Row = dict[str, Any]

SOUND: dict[str, Row] = {
    TRADES.name: {"trade_id": "1", "price": "10.5", "quantity": "2", "side": "buy", "trade_count": 1},
    QUOTES.name: {"bid_price": "10", "bid_quantity": "1", "ask_price": "0", "ask_quantity": "0"},
    BOOKS.name: {
        "kind": "delta", "chain": "c", "first_sequence": 1, "previous_sequence": -1, "bid_prices": ["10", "9.5"],
        "bid_quantities": ["1", "0"], "ask_prices": [], "ask_quantities": [], "depth": 0, "checksum": -1,
    },
    VENUE_BARS.name: {
        "bar_time": START, "width_s": 60, "open": "1", "high": "2", "low": "1", "close": "2", "volume": "0",
        "trade_count": -1, "state": "final",
    },
    INSTRUMENTS.name: {
        "symbol": "X", "kind": "spot", "base": "A", "quote": "B", "price_step": "0.01", "quantity_step": "0",
        "quantity_least": "0", "state": "trading",
    },
    CORPORATE_ACTIONS.name: {
        "kind": "factors", "vintage": "f", "ticker": "", "exchange": "", "price_factor": "0.5", "split_factor": "1",
        "reference_price": "10",
    },
}  # fmt: skip


def told(dataset: Dataset, number: int, at: int = START, **changes: Any) -> Row:
    """Make one payload: a row as it would be parsed, decimals as text."""
    row = {"venue": "v", "instrument": "i", "id_space": "s", "venue_sequence": number, "event_time": at}
    shared = {"update_id": str(number), "event_clock": "venue"} if dataset is not TRADES else {"trade_id": str(number)}
    return {"dataset": dataset.name, "row": {**row, **SOUND[dataset.name], **shared, **changes}}


def make_derive() -> Callable[[pa.RecordBatch], dict[str, pa.Table]]:
    """Make a stand-in for the parsers; defined within, it travels to Spark's workers whole."""

    def exact(value: Any) -> Any:
        return [Decimal(one) for one in value] if isinstance(value, list) else Decimal(value)

    def derive(batch: pa.RecordBatch) -> dict[str, pa.Table]:
        rows: dict[str, list[Row]] = {}
        for payload in batch.to_pylist():
            message = orjson.loads(payload["payload"])
            columns = dataset_named(message["dataset"]).column_index
            row = {
                name: value if isinstance(columns[name].type, Type) else exact(value)
                for name, value in message["row"].items()
            }
            place = {name: payload[name] for name in ("received_time", "connection_id", "message_number")}
            rows.setdefault(message["dataset"], []).append({**row, **place, "message_index": 0})
        return {
            name: pa.Table.from_pylist(found, schema=arrow_schema(dataset_named(name).wire_columns))
            for name, found in rows.items()
        }

    return derive


@dataclass
class Day:
    """A warehouse and a lake of their own."""

    spark: SparkSession
    settings: WarehouseSettings
    lake: LakeSettings
    warehouse: Warehouse

    def tape(self, payloads: list[Row]) -> pa.RecordBatch:
        """Write payloads down, one a second, and return them as they lie on the tape."""
        rows = [
            {
                "venue": "v", "endpoint": "e", "payload": orjson.dumps(payload), "request": "",
                "received_time": payload["row"]["event_time"] + number, "connection_id": "c", "message_number": number,
            }
            for number, payload in enumerate(payloads)
        ]  # fmt: skip
        batch = pa.RecordBatch.from_pylist(rows, schema=arrow_schema(TAPE.wire_columns))
        received = pa.array([datetime.fromtimestamp(r["received_time"] / SECOND, UTC).date() for r in rows])
        table = pa.Table.from_batches([batch]).append_column("received_date", received)
        write_deltalake(tape_path(self.lake), table, partition_by=["venue", "received_date"])
        return batch

    def stream(self, batch: pa.RecordBatch, refused: frozenset[int] = frozenset()) -> None:
        """Store what the payloads hold as the streams do, the last first, and make the bars."""
        touched = set()
        for name, rows in make_derive()(batch).items():
            dataset = dataset_named(name)
            keep = pa.array([number not in refused for number in rows["message_number"].to_pylist()])
            rows = rows.filter(keep)
            rows = rows.take(pa.array(range(rows.num_rows - 1, -1, -1))).combine_chunks()
            size = rows.num_rows
            for column, values in {
                "kafka_partition": pa.array([0] * size, pa.int32()),
                "kafka_offset": pa.array(range(size), pa.int64()),
                "kafka_index": pa.array([0] * size, pa.int32()),
                "rejection": pa.nulls(size, pa.string()),
                "rejected_value": pa.nulls(size, pa.binary()),
            }.items():
                rows = rows.append_column(column, values)
            plan = WritePlan(name, name, "T", None, self.settings, True, dataset.table)
            written = write_decoded(rows, covered_range(rows, plan), plan)
            if dataset is TRADES:
                touched |= set(written.touched)
        refresh(self.warehouse, BARS_QUERY.read_text(), [(one, "final") for one in touched], known_time=1)

    def rebuild(self) -> dict[str, Comparison]:
        scratch = Scratch.of(DAY, "test")
        try:
            found = rebuild_day(
                self.spark, lake=self.lake, warehouse_settings=self.settings, derive=make_derive(), day=DAY,
                bars_query=BARS_QUERY.read_text(), scratch=scratch,
            )  # fmt: skip
        finally:
            scratch.drop(self.warehouse)
        assert self.warehouse.rows("SELECT name FROM system.tables WHERE name LIKE 'rebuild_%'") == []
        return {one.table: one for one in found}


@pytest.fixture
def day(platform: Any, spark: SparkSession, tmp_path: Path) -> Iterator[Day]:
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS rebuild_test")
    server.run("CREATE DATABASE rebuild_test")
    settings = replace(platform.warehouse, database="rebuild_test")
    migrate(Warehouse(settings), MIGRATIONS)
    yield Day(spark, settings, LakeSettings(str(tmp_path)), Warehouse(settings))
    server.run("DROP DATABASE rebuild_test")


def test_every_market_dataset_is_rebuilt_and_equal_and_a_change_behind_the_back_is_found(day: Day) -> None:
    payloads = [told(dataset, number, START + number * MINUTE) for dataset in MARKET for number in range(1, 6)]
    payloads += [told(dataset, 9, START - SECOND) for dataset in MARKET]  # the day before
    payloads += [told(dataset, 8, START + WHOLE_DAY) for dataset in MARKET]  # the day after
    # The same grain again with other content, later on the tape: the earliest is the one that counts.
    conflicts: dict[Dataset, Row] = {
        TRADES: {"price": "11"},
        BOOKS: {"bid_quantities": ["7", "8"]},
        QUOTES: {"bid_price": "11"},
    }
    payloads += [told(dataset, 3, START + 4 * MINUTE, **change) for dataset, change in conflicts.items()]
    refused = len(payloads)
    payloads += [told(BOOKS, 20, bid_prices=["1"]), told(QUOTES, 20, ask_price="-1"), told(TRADES, 20, price="0")]
    payloads += [told(VENUE_BARS, 20, state="open"), told(INSTRUMENTS, 20, symbol="")]
    day.stream(day.tape(payloads), frozenset(range(refused, len(payloads))))
    found = day.rebuild()
    assert {name: (one.streamed_count, one.equal) for name, one in found.items()} == {
        **{dataset.name: (5, True) for dataset in MARKET},
        "market.bars": (5, True),
    }
    day.warehouse.run(
        "ALTER TABLE market_books UPDATE bid_quantities = [1, 5] WHERE venue_sequence = 2 SETTINGS mutations_sync = 2"
    )
    day.warehouse.run("ALTER TABLE market_quotes DELETE WHERE venue_sequence = 4 SETTINGS mutations_sync = 2")
    found = day.rebuild()
    assert {name for name, one in found.items() if not one.equal} == {BOOKS.name, QUOTES.name}
    assert found[BOOKS.name].first_difference == (
        "v i: id_space s, venue_sequence 2, update_id 2: bid_quantities[1] is 5 in the tables, 0 on the tape"
    )
    (quotes,) = found[QUOTES.name].different
    assert quotes.difference is not None
    assert quotes.difference.text == "id_space s, venue_sequence 4, update_id 4: missing in the tables"
    # The payloads of each dataset come one after the other: five of trades, the fourth of quotes.
    assert quotes.difference.place[1:] == ("c", 5 + 3, 0)
    assert (found[QUOTES.name].streamed_count, found[QUOTES.name].rebuilt_count) == (4, 5)


def test_a_dataset_without_rows_on_that_day_is_left_out(day: Day) -> None:
    day.stream(day.tape([told(QUOTES, 1), told(BOOKS, 1, START - SECOND)]))
    assert [(name, one.rebuilt_count, one.equal) for name, one in day.rebuild().items()] == [(QUOTES.name, 1, True)]


def test_what_was_streamed_and_is_not_on_the_tape_differs(day: Day) -> None:
    batch = day.tape([told(INSTRUMENTS, number) for number in (1, 2)])
    day.stream(batch)
    day.warehouse.run(
        "INSERT INTO reference_instruments SELECT * REPLACE ('3' AS update_id) FROM reference_instruments LIMIT 1"
    )
    (one,) = day.rebuild().values()
    assert (one.streamed_count, one.rebuilt_count, one.equal) == (3, 2, False)
    assert one.first_difference.startswith("v i: id_space s, venue_sequence ")
    assert one.first_difference.endswith(", update_id 3: not on the tape")


def test_the_stand_in_knows_every_column() -> None:
    for dataset in MARKET:
        row = told(dataset, 1)["row"]
        place = {"received_time", "connection_id", "message_number", "message_index"}
        assert {*row, *place} == {column.name for column in dataset.wire_columns}
        lists = [name for name, value in row.items() if isinstance(value, list)]
        assert lists == [c.name for c in dataset.wire_columns if isinstance(c.type, ListOf)]
