"""Writing offset ranges to the real warehouse: cut differently, repeated, half done before; the sums stay right."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from contracts.books import BOOKS
from contracts.catalog import DELIVERED
from contracts.dataset import Column, Dataset, ListOf, Type
from contracts.errors import RetryableError, TerminalError
from contracts.quarantine import QUARANTINE
from contracts.trades import TRADES
from spark.deliver import Span, WritePlan, Written, covered_range, write_decoded
from stores.arrow import arrow_schema
from stores.columns import content_hash
from stores.settings import BrokerSettings
from stores.warehouse import Warehouse

MINUTE = 60_000_000
DAY = int(datetime(2022, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def plan(platform: Any) -> Iterator[WritePlan]:
    warehouse = Warehouse(platform.warehouse)
    for model in ("market_trades", "system_quarantine"):
        warehouse.run(f"CREATE TABLE deliver_{model} AS {model}")
    yield WritePlan(
        dataset=TRADES.name, topic="market.trades", topic_id="T", broker=None, warehouse=platform.warehouse,
        schemas_fresh=True, table="deliver_market_trades", quarantine_table="deliver_system_quarantine",
    )  # fmt: skip
    for model in ("market_trades", "system_quarantine"):
        warehouse.run(f"DROP TABLE deliver_{model}")


def decoded(first: int, last: int, rejected: dict[int, str] | None = None, **changes: Any) -> pa.RecordBatch:
    """Rows as unpack() hands them over: trade n at offset n, one a second."""
    rejected = rejected or {}
    rows = []
    for n in range(first, last + 1):
        row: dict[str, Any] = {
            "venue": "v", "instrument": "i", "id_space": "s", "trade_id": str(n % 50), "venue_sequence": n % 50,
            "price": Decimal("10.5"), "quantity": Decimal(n % 50 + 1), "side": "buy", "trade_count": 1,
            "event_time": DAY + n % 50 * 1_000_000, "received_time": DAY + n * 1000, "connection_id": "c",
            "message_number": n, "message_index": 0,
        }  # fmt: skip
        reason = rejected.get(n)
        status = {"topic": "market.trades", "kafka_partition": 0, "kafka_offset": n, "kafka_index": 0}
        value = None if reason is None else f"value {n}".encode()
        rows.append({**row, **changes, **status, "rejection": reason, "rejected_value": value})
    status_schema = {
        "topic": pa.string(), "kafka_partition": pa.int32(), "kafka_offset": pa.int64(), "kafka_index": pa.int32(),
        "rejection": pa.string(), "rejected_value": pa.binary(),
    }  # fmt: skip
    schema = pa.schema([*status_schema.items(), *arrow_schema(TRADES.wire_columns)])
    return pa.RecordBatch.from_pylist(rows, schema=schema)


def write(plan: WritePlan, *batches: pa.RecordBatch) -> Written:
    rows = pa.Table.from_batches(batches)
    return write_decoded(rows, covered_range(rows, plan), plan)


def held(plan: WritePlan) -> tuple[int, int]:
    sql = f"SELECT count(), sum({content_hash(TRADES)}) FROM {plan.table} FINAL"
    count, digest = Warehouse(plan.warehouse).rows(sql)[0]
    return int(count), int(digest)


def test_ranges_are_stored_and_their_counts_and_hashes_are_the_tables(plan: WritePlan) -> None:
    first, second = write(plan, decoded(0, 9), decoded(10, 19)), write(plan, decoded(20, 29))
    assert (first.delivery.first_offset, first.delivery.last_offset, first.delivery.read_count) == (0, 19, 20)
    assert first.delivery.stored_count + second.delivery.stored_count == 30
    assert held(plan) == (30, (first.delivery.content_hash + second.delivery.content_hash) % 2**64)
    assert first.touched == [("v", "i", "s", DAY)]
    assert first.newest_event_time == {"v": DAY + 19_000_000}


def test_a_range_tried_before_and_cut_differently_is_stored_once_and_counted_once(plan: WritePlan) -> None:
    # The first attempt at 10..14 reached the table and died before the ledger; then 10..29 comes in one piece.
    closed = write(plan, decoded(0, 9))
    write(plan, decoded(10, 14))
    again = write(plan, decoded(10, 29))
    assert (again.delivery.stored_count, again.delivery.duplicate_count) == (20, 0)
    assert held(plan) == (30, (closed.delivery.content_hash + again.delivery.content_hash) % 2**64)
    same = write(plan, decoded(10, 29))
    assert same.delivery == again.delivery
    assert same.touched == again.touched  # the bars may not have been made yet
    assert Warehouse(plan.warehouse).value(f"SELECT count() FROM {plan.table}") == 30


def test_trades_that_come_again_are_duplicates_and_touch_no_bar(plan: WritePlan) -> None:
    write(plan, decoded(0, 49))
    again = write(plan, decoded(50, 99))  # the same fifty trades, later on the tape
    assert (again.delivery.stored_count, again.delivery.duplicate_count) == (0, 50)
    assert (again.delivery.content_hash, again.touched) == (0, [])


def test_an_earlier_message_takes_the_place_and_both_minutes_are_touched(plan: WritePlan) -> None:
    late = write(plan, decoded(7, 7))
    early = write(plan, decoded(57, 57, received_time=DAY - 5, event_time=DAY + 3 * MINUTE, price=Decimal(11)))
    assert (early.delivery.stored_count, early.delivery.duplicate_count) == (0, 1)
    assert early.touched == [("v", "i", "s", DAY), ("v", "i", "s", DAY + 3 * MINUTE)]
    assert held(plan) == (1, (late.delivery.content_hash + early.delivery.content_hash) % 2**64)
    assert Warehouse(plan.warehouse).value(f"SELECT price FROM {plan.table} FINAL") == Decimal(11)


def test_rejected_rows_lie_in_quarantine_with_reason_payload_and_place(plan: WritePlan) -> None:
    for _ in range(2):  # repeated: nothing is there twice
        told = write(plan, decoded(0, 9, rejected={3: "price_not_positive", 4: "undecodable"}))
        assert (told.delivery.stored_count, told.delivery.quarantined_count) == (8, 2)
    found = Warehouse(plan.warehouse).rows(
        f"SELECT reason, payload, kafka_offset, message_number FROM {plan.quarantine_table} FINAL ORDER BY kafka_offset"
    )
    assert [tuple(row) for row in found] == [
        ("price_not_positive", "value 3", 3, 3),
        ("undecodable", "value 4", 4, 4),
    ]


def test_many_days_in_one_range_are_stored(plan: WritePlan) -> None:
    days = [decoded(n, n, event_time=DAY + n * 24 * 3600 * 1_000_000) for n in range(40)]
    assert write(plan, *days).delivery.stored_count == 40


def test_a_range_with_a_hole_is_refused(plan: WritePlan) -> None:
    with pytest.raises(TerminalError, match=r"without holes; got partitions .0., offsets 0 to 9 in 9 records"):
        write(plan, decoded(0, 3), decoded(5, 9))


def test_an_unknown_schema_waits_for_the_registry_instead_of_being_quarantined(plan: WritePlan) -> None:
    stale = WritePlan(**{**plan.__dict__, "schemas_fresh": False})
    with pytest.raises(RetryableError, match="the registry does not answer"):
        write(stale, decoded(0, 3, rejected={2: "unknown_schema_id"}))
    assert held(plan)[0] == 0


def test_rows_of_a_topic_that_was_made_again_are_not_stored(plan: WritePlan, platform: Any) -> None:
    asking = WritePlan(**{**plan.__dict__, "broker": BrokerSettings(platform.broker.bootstrap)})
    with pytest.raises(TerminalError, match="was deleted and created anew"):
        write(asking, decoded(0, 3))
    assert held(plan)[0] == 0


def blank(column: Column) -> Any:
    """Make up a value of any column."""
    if isinstance(column.type, ListOf):
        return [Decimal("1.5"), Decimal(0)]
    if not isinstance(column.type, Type):
        return Decimal("1.5")
    return {Type.STRING: "x", Type.TIMESTAMP: DAY, Type.BYTES: b"x"}.get(column.type, 1)


def decoded_of(dataset: Dataset, first: int, last: int, **changes: Any) -> pa.RecordBatch:
    """Rows of any dataset as unpack() hands them over, each grain once."""
    place = {"received_time": DAY, "message_index": 0, "event_time": DAY}
    rows = [
        {c.name: blank(c) for c in dataset.wire_columns}
        | place
        | {
            "message_number": n,
            dataset.grain[3]: n,
            "kafka_partition": 0,
            "kafka_offset": n,
            "kafka_index": 0,
            **changes,
        }
        for n in range(first, last + 1)
    ]
    status = {"kafka_partition": pa.int32(), "kafka_offset": pa.int64(), "kafka_index": pa.int32()}
    schema = pa.schema(
        [
            *status.items(),
            ("rejection", pa.string()),
            ("rejected_value", pa.binary()),
            *arrow_schema(dataset.wire_columns),
        ]
    )
    return pa.RecordBatch.from_pylist(rows, schema=schema)


@pytest.mark.parametrize("dataset", [d for d in DELIVERED if d is not QUARANTINE], ids=lambda d: d.name)
def test_every_delivered_dataset_is_stored_once_however_its_ranges_are_cut(platform: Any, dataset: Dataset) -> None:
    assert dataset.topic is not None
    table = f"deliver_all_{dataset.table}"
    warehouse = Warehouse(platform.warehouse)
    warehouse.run(f"CREATE TABLE {table} AS {dataset.table}")
    plan = WritePlan(
        dataset=dataset.name, topic=dataset.topic.name, topic_id="T", broker=None, warehouse=platform.warehouse,
        schemas_fresh=True, table=table,
    )  # fmt: skip
    try:
        closed = write(plan, decoded_of(dataset, 0, 9))
        write(plan, decoded_of(dataset, 10, 14))  # dies before the ledger
        again = write(plan, decoded_of(dataset, 10, 29))
        assert (closed.delivery.stored_count, again.delivery.stored_count, again.delivery.duplicate_count) == (
            10,
            20,
            0,
        )
        count, digest = warehouse.rows(f"SELECT count(), sum({content_hash(dataset)}) FROM {table} FINAL")[0]
        assert count == 30
        assert digest == (closed.delivery.content_hash + again.delivery.content_hash) % 2**64
        # The same rows once more, later on the tape.
        later = decoded_of(dataset, 0, 9, received_time=DAY + 5).to_pylist()
        moved = [{**row, "kafka_offset": row["kafka_offset"] + 30} for row in later]
        repeated = write(plan, pa.RecordBatch.from_pylist(moved, schema=decoded_of(dataset, 0, 0).schema))
        assert (repeated.delivery.stored_count, repeated.delivery.duplicate_count) == (0, 10)
        assert (repeated.touched, repeated.spans) == ([], [])
    finally:
        warehouse.run(f"DROP TABLE {table}")


def test_a_write_of_books_says_how_far_each_chain_was_changed(platform: Any) -> None:
    warehouse = Warehouse(platform.warehouse)
    warehouse.run(f"CREATE TABLE deliver_spans AS {BOOKS.table}")
    plan = WritePlan(
        dataset=BOOKS.name, topic="market.books", topic_id="T", broker=None, warehouse=platform.warehouse,
        schemas_fresh=True, table="deliver_spans",
    )  # fmt: skip
    first = decoded_of(BOOKS, 0, 4, chain="a", event_time=DAY + 7)
    second = decoded_of(BOOKS, 5, 9, chain="b", received_time=DAY + 9, event_time=DAY + 3)
    try:
        told = write(plan, first, second)
    finally:
        warehouse.run("DROP TABLE deliver_spans")
    assert told.spans == [
        Span("x", "x", "x", "a", 0, 4, DAY + 7, DAY + 7, DAY),
        Span("x", "x", "x", "b", 5, 9, DAY + 3, DAY + 3, DAY + 9),
    ]
    assert told.touched == [("x", "x", "x", DAY)]
