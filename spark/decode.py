"""From Kafka's bytes to a contract's columns: by the id of the schema each record was written with."""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql.avro.functions import from_avro

from contracts.avro import avro_text
from contracts.dataset import Dataset
from spark.schema import broken_rule, wire_schema
from stores.records import FRAME_BYTES


def _record(dataset: Dataset, schemas: Mapping[int, str]) -> Column:
    """Decode by the writer's schema and resolve to the contract's; null where the id is none of `schemas`."""
    body = f.expr(f"substring(value, {FRAME_BYTES + 1})")
    options = {"avroSchema": avro_text(dataset), "mode": "PERMISSIVE"}
    chosen = f.lit(None).cast(wire_schema(dataset))
    for schema_id, text in schemas.items():
        chosen = f.when(f.col("schema_id") == schema_id, from_avro(body, text, options)).otherwise(chosen)
    return chosen


def decode(records: DataFrame, dataset: Dataset, schemas: Mapping[int, str]) -> DataFrame:
    """Turn Kafka records into rows with a status.

    Takes Kafka's columns; returns topic, kafka_partition, kafka_offset, schema_id, rejection (the reason, null where
    accepted), rejected_value (the bytes, null where accepted) and the contract's wire columns. Keeps rows, partitions
    and order.
    """
    known = ", ".join(str(schema_id) for schema_id in schemas) or "-1"
    first = dataset.wire_columns[0].name
    framed = f"value IS NOT NULL AND length(value) >= {FRAME_BYTES} AND substring(value, 1, 1) = X'00'"
    with_id = records.select(
        "topic",
        f.col("partition").alias("kafka_partition"),
        f.col("offset").alias("kafka_offset"),
        "value",
        f.expr(f"CASE WHEN {framed} THEN CAST(conv(hex(substring(value, 2, 4)), 16, 10) AS BIGINT) END").alias(
            "schema_id"
        ),
    )
    decoded = with_id.withColumn("record", _record(dataset, schemas))
    rejection = f.expr(
        f"""CASE WHEN schema_id IS NULL THEN 'not_framed'
            WHEN schema_id NOT IN ({known}) THEN 'unknown_schema_id'
            WHEN record.{first} IS NULL THEN 'undecodable'
            ELSE {broken_rule(dataset)} END"""
    )
    return decoded.withColumn("rejection", rejection).select(
        "topic",
        "kafka_partition",
        "kafka_offset",
        "schema_id",
        "rejection",
        f.when(f.col("rejection").isNotNull(), f.coalesce("value", f.lit(b""))).alias("rejected_value"),
        *[f.col(f"record.{column.name}").alias(column.name) for column in dataset.wire_columns],
    )
