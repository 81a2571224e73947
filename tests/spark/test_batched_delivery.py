"""Records of many trades on their whole way, Kafka, Spark, table, ledger: exact whatever comes again or breaks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from pyspark.sql import SparkSession

from contracts.dataset import Framing
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.trades import TRADES
from quality.audit import AuditSources, _kafka_to_ledger, _ledger_to_quarantine, ledger_to_table
from sources.derive import derive
from spark.deliver import RECORD, WritePlan, Written, parse_written, write_partition
from stores import broker, registry
from stores.ledger import Delivery, close_ranges, next_offsets
from stores.records import RecordDecoder, RecordEncoder
from stores.warehouse import Warehouse

TOPIC, SINK = "test.batched", "warehouse.batched_trades"
# Audited as trades are, under the name of a table of its own.
BATCHED = replace(TRADES, name="batched.trades")
MOMENT = 1_700_000_000_000_000


def trade(number: int, heard: int, **changes: Any) -> dict[str, Any]:
    """Return the trade of that number as the `heard`-th message told of it."""
    return {
        "venue": "v", "instrument": "i", "id_space": "s", "trade_id": str(number), "venue_sequence": number,
        "price": Decimal(100 + number), "quantity": Decimal(1), "side": "buy", "trade_count": 1,
        "event_time": MOMENT + number * 1000, "received_time": MOMENT + heard, "connection_id": "batched-test",
        "message_number": heard, "message_index": 0,
    } | changes  # fmt: skip


@dataclass
class BatchedRoad:
    """A topic of batches, and a table that it fills."""

    platform: Any
    spark: SparkSession
    warehouse: Warehouse
    encoder: RecordEncoder
    plan: WritePlan

    def send(self, partition: int, *values: bytes) -> None:
        producer = broker.make_producer(self.platform.broker)
        for value in values:
            producer.produce(TOPIC, value, partition=partition)
        assert producer.flush(30) == 0

    def batch(self, *rows: dict[str, Any]) -> bytes:
        return self.encoder.encode_batch(rows)

    def write(self, upto: dict[int, int] | None = None) -> list[Written]:
        """Write from the ledger's end to the topic's, or up to other offsets; the ledger is left to the caller."""
        closed = next_offsets(self.warehouse, SINK, self.plan.topic_id)
        ends = broker.end_offsets(self.platform.broker, TOPIC)
        starts = {p: closed.get(p, 0) for p in ends}
        stops = starts | ends if upto is None else starts | upto
        options = {"kafka.bootstrap.servers": self.platform.broker.bootstrap, "subscribe": TOPIC}
        for name, offsets in (("startingOffsets", starts), ("endingOffsets", stops)):
            options[name] = json.dumps({TOPIC: {str(p): offset for p, offset in offsets.items()}})
        records = self.spark.read.format("kafka").options(**options).load()
        writer = partial(write_partition, plan=self.plan)
        told = records.selectExpr(*RECORD).mapInArrow(writer, "written string").collect()
        return [parse_written(row["written"]) for row in told]

    def deliver(self) -> dict[int, Delivery]:
        """Write what is new, enter it in the ledger and return it by partition."""
        deliveries = [written.delivery for written in self.write()]
        close_ranges(self.warehouse, deliveries)
        return {d.kafka_partition: d for d in deliveries}

    def stored(self) -> dict[int, int]:
        """Return by number the message whose trade is the one that is read."""
        found = self.warehouse.rows(f"SELECT venue_sequence, message_number FROM {self.plan.table} FINAL")
        return {int(number): int(message) for number, message in found}

    def unbalanced(self) -> list[Any]:
        """Audit the topic, the ledger, the table and quarantine; return what does not balance."""
        sources = AuditSources(self.platform.broker, self.warehouse, self.platform.settings.streams.lake, (), derive)
        ends = broker.end_offsets(self.platform.broker, TOPIC)
        rows: list[Any] = [r for r in _kafka_to_ledger(sources, TOPIC, SINK, ends) if r.missing or r.twice]
        tables = ledger_to_table(self.warehouse, BATCHED, TOPIC)
        rows += [row for row in tables if row[1] != row[2] or (row[3] - row[4]) % 2**64]
        return rows + [r for r in _ledger_to_quarantine(self.warehouse) if r[0] == TOPIC and r[2] != r[3]]


@pytest.fixture
def batched(platform: Any, spark: SparkSession) -> Iterator[BatchedRoad]:
    assert TRADES.topic is not None
    topic = replace(TRADES.topic, name=TOPIC, partitions=2, framing=Framing.BATCH)
    broker.ensure_topics(platform.broker, [topic])
    warehouse = Warehouse(platform.warehouse)
    warehouse.run(f"CREATE TABLE {BATCHED.table} AS {TRADES.table}")
    encoder = RecordEncoder(platform.registry, TRADES, TOPIC)
    identity = broker.topic_id(platform.broker, TOPIC)
    plan = WritePlan(
        TRADES.name, TOPIC, identity, platform.broker, platform.warehouse, True, BATCHED.table,
        schemas=registry.schemas_of(platform.registry, TOPIC),
    )  # fmt: skip
    yield BatchedRoad(platform, spark, warehouse, encoder, plan)
    warehouse.run(f"DROP TABLE {BATCHED.table}")
    for table in (LEDGER.table, QUARANTINE.table):
        warehouse.run(f"ALTER TABLE {table} DELETE WHERE topic = '{TOPIC}'", mutations_sync=2)
    broker.delete_topic(platform.broker, TOPIC)


def test_batches_are_stored_once_and_exactly_whatever_repeats_breaks_or_is_tried_again(batched: BatchedRoad) -> None:
    # In the first partition: repeats within a batch and across batches, a single record, two bad trades among good
    # ones, and a batch that is cut off.
    bad, worse = trade(13, 13, side="sideways"), trade(14, 14, price=Decimal(0))
    cut_off = batched.batch(trade(15, 15))[:-100]
    first = [
        batched.batch(*(trade(n, n) for n in range(10))),
        batched.batch(trade(5, 105), trade(10, 110), trade(10, 111), trade(10, 109)),
        batched.encoder.encode(trade(11, 11)),
        batched.batch(trade(12, 12), bad, worse, trade(16, 16)),
        cut_off,
    ]
    batched.send(0, *first)
    batched.send(1, batched.batch(*(trade(n, n, instrument="other") for n in range(20, 25))))
    # Three records of five reach the table, and the process dies before the ledger; then all come in one piece.
    batched.write(upto={0: 3, 1: 0})
    closed = batched.deliver()
    counts = [(d.read_count, d.stored_count, d.duplicate_count, d.quarantined_count) for _, d in sorted(closed.items())]
    assert counts == [(20, 14, 3, 3), (5, 5, 0, 0)]
    assert (closed[0].first_offset, closed[0].last_offset) == (0, 4)
    heard = {n: n for n in [*range(10), 11, 12, 16, *range(20, 25)]} | {10: 109}
    assert batched.stored() == heard
    assert batched.unbalanced() == []
    refused = batched.warehouse.rows(
        "SELECT kafka_offset, kafka_index, reason, hex(payload) FROM system_quarantine FINAL "
        "WHERE topic = {topic:String} ORDER BY kafka_offset, kafka_index",
        {"topic": TOPIC},
    )
    assert [tuple(row[:3]) for row in refused] == [
        (3, 1, "side_unknown"),
        (3, 2, "price_not_positive"),
        (4, 0, "undecodable"),
    ]
    reader = RecordDecoder(batched.platform.registry, TRADES)
    payloads = [bytes.fromhex(row[3]) for row in refused]
    assert [reader.rows(payload) for payload in payloads[:2]] == [[bad], [worse]]
    assert payloads[2] == cut_off

    # Later: repeats of what is stored, and the trade of an earlier message, which takes the place.
    batched.send(0, batched.batch(*(trade(n, 200 + n) for n in range(10)), trade(3, 2, price=Decimal(7))))
    later = batched.deliver()[0]
    assert (later.read_count, later.stored_count, later.duplicate_count) == (11, 0, 11)
    assert batched.stored() == heard | {3: 2}
    assert batched.unbalanced() == []
