"""The lake's own transactions prove what was archived, also when the ledger was not written any more."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame, SparkSession

from contracts.tape import TAPE, tape_topic
from spark.archive import archive_batch, committed_but_unclosed
from spark.deliver import WritePlan
from spark.rebuild import read_tape as read_in_spark
from stores import broker, registry
from stores.lake import archived_offsets, ensure_tape, read_tape, tape_path
from stores.records import RecordEncoder
from stores.settings import LakeSettings

COUNT = 60


@pytest.fixture
def topic(platform: Any, request: pytest.FixtureRequest) -> str:
    """A tape topic of its own with sixty payloads in two partitions, one of them damaged."""
    made = replace(tape_topic("test"), name=f"tape.{request.node.name}")
    broker.ensure_topics(platform.broker, [made])
    encoder = RecordEncoder(platform.registry, TAPE, made.name)
    producer = broker.make_producer(platform.broker)
    for n in range(COUNT):
        row = {
            "venue": "test", "endpoint": "spot", "payload": bytes([255, n]), "connection_id": "c",
            "message_number": n + 1, "received_time": 1_700_000_000_000_000 + n, "request": "/time" if n % 2 else "",
        }  # fmt: skip
        producer.produce(made.name, encoder.encode(row) if n != 7 else b"damaged", partition=n % 2)
    assert producer.flush(30) == 0
    return made.name


@pytest.fixture
def plan(platform: Any, topic: str) -> WritePlan:
    identity = broker.topic_id(platform.broker, topic)
    return WritePlan(TAPE.name, topic, identity, platform.broker, platform.warehouse, True, "tape")


def batch(spark: SparkSession, platform: Any, topic: str, last: int) -> DataFrame:
    options = {
        "kafka.bootstrap.servers": platform.broker.bootstrap,
        "subscribe": topic,
        "endingOffsets": f'{{"{topic}": {{"0": {last}, "1": {last}}}}}',
    }
    return spark.read.format("kafka").options(**options).load()


def test_a_commit_that_missed_the_ledger_is_entered_with_the_same_numbers(
    spark: SparkSession, platform: Any, plan: WritePlan, topic: str, tmp_path: Path
) -> None:
    lake = LakeSettings(str(tmp_path))
    schemas = registry.schemas_of(platform.registry, topic)
    assert committed_but_unclosed(spark, plan, lake, {}, 2) == []
    deliveries = archive_batch(batch(spark, platform, topic, 20), schemas, plan, lake)
    assert [(d.first_offset, d.last_offset, d.stored_count, d.quarantined_count) for d in deliveries] == [
        (0, 19, 20, 0),
        (0, 19, 19, 1),
    ]
    # The process dies here. What the next one finds is what this one would have entered.
    assert archived_offsets(lake, plan.topic_id, 2) == {0: 20, 1: 20}
    assert committed_but_unclosed(spark, plan, lake, {}, 2) == deliveries
    assert committed_but_unclosed(spark, plan, lake, {0: 20}, 2) == deliveries[1:]
    assert committed_but_unclosed(spark, plan, lake, {0: 20, 1: 20}, 2) == []


def test_the_same_range_twice_is_one_commit_and_payloads_are_kept_byte_for_byte(
    spark: SparkSession, platform: Any, plan: WritePlan, topic: str, tmp_path: Path
) -> None:
    lake = LakeSettings(str(tmp_path))
    schemas = registry.schemas_of(platform.registry, topic)
    for _ in range(2):
        archive_batch(batch(spark, platform, topic, 30), schemas, plan, lake)
    table = DeltaTable(tape_path(lake)).to_pyarrow_table().to_pylist()
    assert sorted(row["payload"] for row in table) == sorted(bytes([255, n]) for n in range(COUNT) if n != 7)
    other = replace(plan, topic_id="another-incarnation", broker=None)
    archive_batch(batch(spark, platform, topic, 30), schemas, other, lake)
    assert len(DeltaTable(tape_path(lake)).to_pyarrow_table()) == 2 * (COUNT - 1)


def test_a_lake_from_before_requests_wins_the_column_and_reads_it_as_empty_where_it_was_not(
    spark: SparkSession, platform: Any, plan: WritePlan, topic: str, tmp_path: Path
) -> None:
    new, lake = LakeSettings(str(tmp_path / "new")), LakeSettings(str(tmp_path / "old"))
    schemas = registry.schemas_of(platform.registry, topic)
    archive_batch(batch(spark, platform, topic, 20), schemas, plan, new)
    old = pa.table(DeltaTable(tape_path(new)).to_pyarrow_table()).drop_columns(["request"])
    write_deltalake(tape_path(lake), old, partition_by=["venue", "received_date"])
    ensure_tape(lake)  # as the streams do when they start
    since = date(2023, 11, 14)  # the day on which the payloads were received
    columns = ["message_number", "request"]

    def read() -> list[set[tuple[int, str]]]:
        arrow = {
            (row["message_number"], row["request"]) for part in read_tape(lake, columns) for row in part.to_pylist()
        }
        frame = read_in_spark(spark, lake, since)
        return [arrow, {(row["message_number"], row["request"]) for row in frame.select(columns).collect()}]

    assert read() == [{(n + 1, "") for n in range(40) if n != 7}] * 2
    archive_batch(batch(spark, platform, topic, 30), schemas, replace(plan, topic_id="later", broker=None), lake)
    wanted = {(n + 1, request) for n in range(60) if n != 7 for request in ({""} if n < 40 else set())}
    wanted |= {(n + 1, "/time" if n % 2 else "") for n in range(60) if n != 7}
    assert read() == [wanted] * 2
    assert list(read_tape(lake, columns, since=date(2023, 11, 15))) == []
