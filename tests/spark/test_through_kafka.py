"""Records of every delivered dataset on their whole way, Avro, Kafka, Spark, Arrow, table; and which queries run."""

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from contracts.books import BOOKS
from contracts.catalog import DELIVERED
from contracts.dataset import Column, Dataset, ListOf, Type
from contracts.instruments import INSTRUMENTS
from contracts.quarantine import QUARANTINE
from contracts.trades import TRADES
from orchestration.settings import Settings
from spark.deliver import RECORD, WritePlan, parse_written, write_partition
from spark.streams import streams_of
from stores import broker, registry
from stores.arrow import arrow_schema
from stores.columns import content_hash
from stores.hashing import combine, content_hashes
from stores.records import RecordEncoder
from stores.warehouse import Warehouse

COUNT = 40
MOMENT = 1_700_000_000_000_000


def value(column: Column, number: int) -> Any:
    """Make up a valid value; of some columns another one in each row."""
    if isinstance(column.type, ListOf):
        return [Decimal(number + 1), Decimal("0.000000000001")][: number % 3]
    if not isinstance(column.type, Type):
        whole = 61800 if column.type.precision > 20 else 0
        return Decimal("123456789012"[: column.type.scale]).scaleb(-column.type.scale) + whole + number
    if column.symbols:
        return column.symbols[number % len(column.symbols)]
    text = f"{column.name}-{number}"
    return {Type.STRING: text, Type.BYTES: bytes([255, number]), Type.TIMESTAMP: MOMENT + number}.get(column.type, 1)


def row(dataset: Dataset, number: int) -> dict[str, Any]:
    made = {column.name: value(column, number) for column in dataset.wire_columns}
    return made | {"venue": "v", "instrument": "i", "message_number": number, "message_index": number}


@pytest.mark.parametrize("dataset", DELIVERED, ids=lambda d: d.name)
def test_what_was_sent_is_what_is_stored(spark: SparkSession, platform: Any, dataset: Dataset) -> None:
    assert dataset.topic is not None
    topic, table = f"test.through.{dataset.table}", f"through_{dataset.table}"
    broker.ensure_topics(platform.broker, [replace(dataset.topic, name=topic, partitions=1)])
    encoder = RecordEncoder(platform.registry, dataset, topic)
    rows = [row(dataset, number) for number in range(COUNT)]
    producer = broker.make_producer(platform.broker)
    for sent in rows:
        producer.produce(topic, encoder.encode(sent))
    assert producer.flush(30) == 0
    warehouse = Warehouse(platform.warehouse)
    warehouse.run(f"CREATE TABLE {table} AS {dataset.table}")
    identity = broker.topic_id(platform.broker, topic)
    schemas = registry.schemas_of(platform.registry, topic)
    plan = WritePlan(
        dataset.name, topic, identity, platform.broker, platform.warehouse, True, table, schemas=schemas
    )  # fmt: skip
    options = {"kafka.bootstrap.servers": platform.broker.bootstrap, "subscribe": topic}
    try:
        records = spark.read.format("kafka").options(**options).load()
        writer = partial(write_partition, plan=plan)
        (told,) = records.selectExpr(*RECORD).mapInArrow(writer, "written string").collect()
        count, digest = warehouse.rows(f"SELECT count(), sum({content_hash(dataset)}) FROM {table} FINAL")[0]
    finally:
        warehouse.run(f"DROP TABLE {table}")
    written = parse_written(told["written"])
    delivery = written.delivery
    assert {"read", "decode", "write"} <= set(written.seconds) or dataset is QUARANTINE
    assert (delivery.read_count, delivery.stored_count, delivery.quarantined_count) == (COUNT, COUNT, 0)
    assert (count, digest) == (COUNT, delivery.content_hash)
    content = pa.Table.from_pylist(rows, schema=arrow_schema(dataset.wire_columns))
    if {c.name for c in dataset.content_columns} <= set(content.column_names):
        assert digest == combine(content_hashes(dataset, content))


def test_every_delivered_topic_and_every_tape_has_one_query() -> None:
    settings = Settings(venues=("binance", "kraken")).streams
    streams = {stream.topic: stream for stream in streams_of(settings)}
    assert set(streams) == {d.topic.name for d in DELIVERED if d.topic} | {"tape.binance", "tape.kraken", "tape.import"}
    assert len(streams_of(settings)) == len(streams)
    quick = {topic for topic, stream in streams.items() if stream.interval_s == settings.write_interval_s}
    assert quick == {"market.trades", "market.quotes", "market.books"}
    assert streams["tape.kraken"].max_offsets == settings.max_tape_offsets_a_batch
    limits = {name: streams[name].max_offsets for name in (TRADES.name, BOOKS.name, INSTRUMENTS.name)}
    wide = settings.max_wide_offsets_a_batch
    assert limits == {TRADES.name: settings.max_offsets_a_batch, BOOKS.name: wide, INSTRUMENTS.name: wide}
