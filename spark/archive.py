"""The tape into the lake: one Delta transaction an offset range, so that the table itself knows what it holds."""

from collections.abc import Mapping
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.storagelevel import StorageLevel

from contracts.errors import TerminalError
from contracts.tape import TAPE
from spark.decode import decode
from spark.deliver import WritePlan, connection, write_rows
from spark.placement import Range
from stores import broker, lake
from stores.ledger import Delivery
from stores.settings import LakeSettings

SINK = "lake.tape"
COLUMNS = [column.name for column in TAPE.columns]


def payload_hash(frame: DataFrame) -> int:
    """Add the payloads' hashes (XXH64, seed 42, as Spark has it) modulo 2^64, in whatever order."""
    total = frame.select(f.sum(f.xxhash64("payload").cast("decimal(38,0)"))).collect()[0][0]
    return int(total or 0) % (1 << 64)


def archive_batch(
    batch: DataFrame, schemas: Mapping[int, str], plan: WritePlan, lake_settings: LakeSettings
) -> list[Delivery]:
    """Append one micro-batch of a tape topic to the lake and return what is to be entered in the ledger."""
    rows = decode(batch, TAPE, schemas).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        return [_archive_range(rows, covered, plan, lake_settings) for covered in _ranges(rows, plan)]
    finally:
        rows.unpersist()


def _ranges(rows: DataFrame, plan: WritePlan) -> list[Range]:
    found = (
        rows.groupBy("kafka_partition")
        .agg(f.min("kafka_offset").alias("first"), f.max("kafka_offset").alias("last"), f.count("*").alias("rows"))
        .collect()
    )
    # Read before the question: what was read came from the topic that the answer names.
    if found and plan.broker is not None and broker.topic_id(plan.broker, plan.topic) != plan.topic_id:
        raise TerminalError(f"topic {plan.topic} was deleted and created anew while it was read; starting over")
    for row in found:
        if row["last"] - row["first"] + 1 != row["rows"]:
            raise TerminalError(f"{plan.topic}: {row.asDict()} has holes; was the topic compacted?")
    return [Range(plan.topic_id, r["kafka_partition"], r["first"], r["last"]) for r in found]


def _archive_range(rows: DataFrame, covered: Range, plan: WritePlan, lake_settings: LakeSettings) -> Delivery:
    mine = rows.where(f.col("kafka_partition") == covered.partition)
    rejected = mine.where(f.col("rejection").isNotNull()).toArrow()
    quarantined = 0
    if rejected.num_rows:
        quarantined = write_rows(rejected, covered, replace(plan, table="tape")).delivery.quarantined_count
    accepted = mine.where(f.col("rejection").isNull()).select(
        *[f.col(name) for name in COLUMNS if name not in ("ingested_time", "topic_id")],
        f.current_timestamp().alias("ingested_time"),
        f.lit(covered.topic_id).alias("topic_id"),
        f.to_date("received_time").alias("received_date"),
    )
    (
        accepted.coalesce(1)
        .write.format("delta")
        .mode("append")
        .option("txnAppId", lake.archive_app(covered.topic_id, covered.partition))
        .option("txnVersion", str(covered.last))
        .partitionBy("venue", "received_date")
        .save(lake.tape_path(lake_settings))
    )
    read = covered.last - covered.first + 1
    return _delivery(covered, plan, read, read - quarantined, quarantined, payload_hash(accepted))


def _delivery(covered: Range, plan: WritePlan, read: int, stored: int, quarantined: int, content: int) -> Delivery:
    return Delivery(
        sink=SINK,
        topic=plan.topic,
        topic_id=covered.topic_id,
        kafka_partition=covered.partition,
        first_offset=covered.first,
        last_offset=covered.last,
        read_count=read,
        stored_count=stored,
        duplicate_count=0,
        quarantined_count=quarantined,
        content_hash=content,
    )


def committed_but_unclosed(
    spark: SparkSession, plan: WritePlan, lake_settings: LakeSettings, closed: Mapping[int, int], partitions: int
) -> list[Delivery]:
    """Find ranges that the lake holds and the ledger lacks, because the process died between the two.

    `closed` is the offset by partition up to which the ledger is closed. The lake's own transactions are the proof;
    the counts are taken from its rows.
    """
    archived = lake.archived_offsets(lake_settings, plan.topic_id, partitions)
    missing = {p: (closed.get(p, 0), end) for p, end in archived.items() if end > closed.get(p, 0)}
    if not missing:
        return []
    table = spark.read.format("delta").load(lake.tape_path(lake_settings))
    found = []
    for partition, (first, end) in missing.items():
        covered = Range(plan.topic_id, partition, first, end - 1)
        rows = table.where(
            (f.col("topic_id") == plan.topic_id)
            & (f.col("kafka_partition") == partition)
            & f.col("kafka_offset").between(first, end - 1)
        )
        stored = rows.count()
        quarantined = int(
            connection(plan.warehouse).value(
                f"SELECT count() FROM {plan.quarantine_table} FINAL WHERE topic_id = {{topic_id:String}} "
                "AND kafka_partition = {partition:Int32} AND kafka_offset BETWEEN {first:Int64} AND {last:Int64}",
                {"topic_id": plan.topic_id, "partition": partition, "first": first, "last": end - 1},
            )
        )
        found.append(_delivery(covered, plan, end - first, stored, quarantined, payload_hash(rows)))
    return found
