"""The write path: one offset range of a topic into its table, exactly once, however often it is tried."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow as pa

from contracts.catalog import dataset as dataset_named
from contracts.dataset import Dataset
from contracts.errors import RetryableError, TerminalError
from contracts.quarantine import QUARANTINE
from spark.placement import POSITION, Placement, Range, place
from stores import broker
from stores.columns import content_hash
from stores.hashing import combine, content_hashes
from stores.ledger import Delivery, write_token
from stores.settings import BrokerSettings, WarehouseSettings
from stores.warehouse import Warehouse, literal, patiently

SERIES_A_QUERY = 200  # as many series as one lookup names; more would make the query text too long


@dataclass(frozen=True)
class WritePlan:
    """What a task needs to know to write its partition; `tables` lets a rebuild write beside the real ones."""

    dataset: str
    topic: str
    topic_id: str
    broker: BrokerSettings | None  # None: the topic is not asked again whether it is still the same
    warehouse: WarehouseSettings
    schemas_fresh: bool
    table: str
    quarantine_table: str = QUARANTINE.table


@dataclass(frozen=True)
class Span:
    """What one chain of a series of books gained: the first and last of its sequences and times (µs)."""

    venue: str
    instrument: str
    id_space: str
    chain: str
    first_sequence: int
    last_sequence: int
    first_time: int
    last_time: int
    last_received: int


@dataclass(frozen=True)
class Written:
    """What became of one offset range; `touched` names series and the minutes (µs) of which something may change.

    `spans` is empty where the dataset knows no chains.
    """

    delivery: Delivery
    touched: list[tuple[str, str, str, int]]
    newest_event_time: dict[str, int]  # by venue, microseconds
    spans: list[Span]


_connections: dict[WarehouseSettings, Warehouse] = {}


def connection(settings: WarehouseSettings) -> Warehouse:
    """Return this worker's connection; workers are reused, and so is it."""
    if settings not in _connections:
        _connections[settings] = Warehouse(settings)
    return _connections[settings]


def write_partition(batches: Iterator[pa.RecordBatch], plan: WritePlan) -> Iterator[pa.RecordBatch]:
    """Write one partition's rows, as decode() made them, and yield one row of JSON that says what was written."""
    collected = list(batches)
    if not collected or sum(batch.num_rows for batch in collected) == 0:
        return
    rows = pa.Table.from_batches(collected)
    covered = covered_range(rows, plan)
    if not plan.schemas_fresh and "unknown_schema_id" in rows["rejection"].unique().to_pylist():
        raise RetryableError("a record names a schema that is not known here and the registry does not answer")
    # The rows are read: if the topic is still the one that was asked for, they came from it.
    if plan.broker is not None and broker.topic_id(plan.broker, plan.topic) != plan.topic_id:
        raise TerminalError(f"topic {plan.topic} was deleted and created anew while it was read; starting over")
    written = write_rows(rows, covered, plan)
    text = json.dumps(asdict(written))
    yield pa.RecordBatch.from_pydict({"written": [text]})


def parse_written(text: str) -> Written:
    """Read back what write_partition yielded."""
    values: dict[str, Any] = json.loads(text)
    touched = [(v, i, s, int(t)) for v, i, s, t in values["touched"]]
    spans = [Span(**span) for span in values["spans"]]
    return Written(Delivery(**values["delivery"]), touched, values["newest_event_time"], spans)


def covered_range(rows: pa.Table, plan: WritePlan) -> Range:
    """Return the range that the rows cover; TerminalError unless they are one partition's, without holes."""
    partitions = rows["kafka_partition"].unique().to_pylist()
    offsets = rows["kafka_offset"].to_numpy()
    first, last = int(offsets[0]), int(offsets[-1])
    if len(partitions) != 1 or last - first + 1 != len(offsets) or (offsets[1:] != offsets[:-1] + 1).any():
        raise TerminalError(
            f"{plan.topic}: a write must cover one partition without holes; got partitions {partitions}, "
            f"offsets {first} to {last} in {len(offsets)} records. Was a batch shuffled, or the topic compacted?"
        )
    return Range(plan.topic_id, int(partitions[0]), first, last)


def write_rows(rows: pa.Table, covered: Range, plan: WritePlan) -> Written:
    """Store the valid rows, quarantine the others, and return what is to be entered in the ledger."""
    dataset = dataset_named(plan.dataset)
    warehouse = connection(plan.warehouse)
    token = write_token(covered.topic_id, covered.partition, covered.first, covered.last)
    rejected = rows.filter(pa.compute.is_valid(rows["rejection"]))
    accepted = rows.filter(pa.compute.is_null(rows["rejection"]))
    now = datetime.now(UTC)
    if rejected.num_rows:
        table = quarantine_rows(rejected, plan, covered, now)
        patiently(lambda: warehouse.insert(plan.quarantine_table, table, token=f"rejected:{token}"))
    delivery = Delivery(
        sink=f"warehouse.{plan.table}",
        topic=plan.topic,
        topic_id=plan.topic_id,
        kafka_partition=covered.partition,
        first_offset=covered.first,
        last_offset=covered.last,
        read_count=rows.num_rows,
        stored_count=0,
        duplicate_count=0,
        quarantined_count=rejected.num_rows,
        content_hash=0,
    )
    if accepted.num_rows == 0:
        return Written(delivery, [], {}, [])
    if dataset is QUARANTINE:
        stored = _with_delivery(accepted, covered, now)
        stored = stored.select([column.name for column in QUARANTINE.columns])
        patiently(lambda: warehouse.insert(plan.table, stored, token=token))
        return Written(
            replace(
                delivery, stored_count=accepted.num_rows, content_hash=combine(content_hashes(QUARANTINE, accepted))
            ),
            [],
            {},
            [],
        )
    placement = patiently(lambda: _place(accepted, dataset, covered, warehouse, plan.table))
    _insert(accepted, placement, plan, covered, now, warehouse, token)
    minute = 60_000_000
    touched = {(v, i, s, t - t % minute) for v, i, s, t in placement.touched.iter_rows()}
    newest = pl.DataFrame(pl.from_arrow(accepted.select(["venue", "event_time"])))
    clocks = newest.group_by("venue").agg(pl.col("event_time").dt.timestamp("us").max()).iter_rows()
    return Written(
        replace(
            delivery,
            stored_count=placement.stored_count,
            duplicate_count=placement.duplicate_count,
            content_hash=placement.content_hash,
        ),
        sorted(touched),
        dict(clocks),
        _spans(accepted, placement, dataset),
    )


def _spans(rows: pa.Table, placement: Placement, dataset: Dataset) -> list[Span]:
    if "chain" not in dataset.column_index:
        return []
    series = [*dataset.grain[:3], "chain"]
    sequence, time, received = pl.col(dataset.grain[3]), pl.col("event_time"), pl.col("received_time")
    frame = pl.DataFrame(pl.from_arrow(rows.select([*series, dataset.grain[3], "event_time", "received_time"])))
    found = (
        frame[placement.counted["row"]]
        .group_by(series)
        .agg(
            sequence.min().alias("first_sequence"),
            sequence.max().alias("last_sequence"),
            time.min().dt.timestamp("us").alias("first_time"),
            time.max().dt.timestamp("us").alias("last_time"),
            received.max().dt.timestamp("us").alias("last_received"),
        )
        .sort(series)
    )
    return [Span(**row) for row in found.iter_rows(named=True)]


def _with_delivery(rows: pa.Table, covered: Range, now: datetime) -> pa.Table:
    size = rows.num_rows
    rows = rows.append_column("ingested_time", pa.array([now] * size, pa.timestamp("us", "UTC")))
    return rows.append_column("topic_id", pa.array([covered.topic_id] * size, pa.string()))


def quarantine_rows(rejected: pa.Table, plan: WritePlan, covered: Range, now: datetime) -> pa.Table:
    """Return the quarantine rows of records that broke a rule or could not be read.

    A record that could not be read has no tape position: its times are the epoch, its numbers 0.
    """
    size = rejected.num_rows
    present = set(rejected.column_names)

    def column(name: str, kind: pa.DataType, absent: object) -> pa.ChunkedArray:
        if name not in present:
            return pa.chunked_array([pa.array([absent] * size, kind)])
        return pa.compute.fill_null(rejected[name].cast(kind), pa.scalar(absent, kind))

    utc = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "dataset": pa.array([plan.dataset] * size, pa.string()),
            "venue": column("venue", pa.string(), ""),
            "reason": rejected["rejection"],
            "detail": pa.array([f"record of {plan.topic}"] * size, pa.string()),
            "payload": rejected["rejected_value"].cast(pa.binary()),
            "received_time": column("received_time", utc, 0),
            "connection_id": column("connection_id", pa.string(), ""),
            "message_number": column("message_number", pa.int64(), 0),
            "message_index": column("message_index", pa.int32(), 0),
            "topic": pa.array([plan.topic] * size, pa.string()),
            "ingested_time": pa.array([now] * size, utc),
            "topic_id": pa.array([covered.topic_id] * size, pa.string()),
            "kafka_partition": rejected["kafka_partition"],
            "kafka_offset": rejected["kafka_offset"],
        }
    )


def _place(rows: pa.Table, dataset: Dataset, covered: Range, warehouse: Warehouse, table: str) -> Placement:
    grain = list(dataset.grain)
    arrived = pl.DataFrame(pl.from_arrow(rows.select([*grain, *POSITION, "kafka_offset", "event_time"])))
    times = [pl.col("received_time").dt.timestamp("us"), pl.col("event_time").dt.timestamp("us")]
    arrived = arrived.with_row_index("row").with_columns(*times, hash=pl.Series(content_hashes(dataset, rows)))
    return place(arrived, _stored(arrived, dataset, warehouse, table), grain, covered)


def _stored(arrived: pl.DataFrame, dataset: Dataset, warehouse: Warehouse, table: str) -> pl.DataFrame:
    """Fetch the stored rows in the arrived rows' series, between their first and last sequence."""
    series, sequence = list(dataset.grain[:3]), dataset.grain[3]
    spans = arrived.group_by(series).agg(pl.col(sequence).min().alias("low"), pl.col(sequence).max().alias("high"))
    times = ", ".join(f"toUnixTimestamp64Micro({t}) AS {t}" for t in ("received_time", "event_time"))
    others = [*dataset.grain, *(p for p in POSITION if p != "received_time")]
    others += ["topic_id", "kafka_partition", "kafka_offset", "displaced_count", "displaced_hash"]
    found = []
    conditions = [
        "("
        + " AND ".join([*(f"{n} = {literal(v)}" for n, v in zip(series, row[:3], strict=True))])
        + f" AND {sequence} BETWEEN {row[3]} AND {row[4]})"
        for row in spans.iter_rows()
    ]
    for start in range(0, len(conditions), SERIES_A_QUERY):
        where = " OR ".join(conditions[start : start + SERIES_A_QUERY])
        inner = f"SELECT *, {content_hash(dataset)} AS hash FROM {table} FINAL WHERE {where}"
        found.append(warehouse.table(f"SELECT {', '.join(others)}, {times}, hash FROM ({inner})"))
    schema = {name: arrived.schema[name] for name in [*dataset.grain, *POSITION, "event_time"]}
    schema |= {
        "topic_id": pl.String(),
        "kafka_partition": pl.Int32(),
        "kafka_offset": pl.Int64(),
        "displaced_count": pl.Int32(),
        "displaced_hash": pl.UInt64(),
        "hash": pl.UInt64(),
    }
    return pl.DataFrame(pl.from_arrow(pa.concat_tables(found))).select(list(schema)).cast(schema)  # type: ignore[arg-type]


def _insert(
    rows: pa.Table,
    placement: Placement,
    plan: WritePlan,
    covered: Range,
    now: datetime,
    warehouse: Warehouse,
    token: str,
) -> None:
    if placement.insert.height == 0:
        return
    chosen = placement.insert.sort("row")
    table = _with_delivery(rows.take(chosen["row"].to_arrow()), covered, now)
    for name, kind in (("displaced_count", pa.int32()), ("displaced_hash", pa.uint64())):
        table = table.append_column(name, chosen[name].to_arrow().cast(kind))
    table = table.select([column.name for column in dataset_named(plan.dataset).columns])
    patiently(lambda: warehouse.insert(plan.table, table, token=token))
