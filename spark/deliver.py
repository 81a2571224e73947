"""The write path: one offset range of a topic into its table, exactly once, however often it is tried."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from contracts.catalog import dataset as dataset_named
from contracts.dataset import Dataset
from contracts.errors import RetryableError, TerminalError
from contracts.quarantine import QUARANTINE
from spark.arrival import Arrival, Ints, arrange, encode_repeats, plain
from spark.clocks import MINUTE
from spark.displaced import keep_displaced
from spark.placement import ORDER, POSITION, Placement, Range, place, place_new, together
from spark.stages import Stages
from spark.unpacking import UNKNOWN, unpack
from stores import broker
from stores.columns import content_hash
from stores.hashing import combine, content_hashes
from stores.ledger import Delivery, write_token
from stores.seals import SealedSpan
from stores.settings import BrokerSettings, WarehouseSettings
from stores.warehouse import Warehouse, literal, patiently, tuples

# Of Kafka's columns those that a write needs, as write_partition() takes them.
RECORD = ("partition AS kafka_partition", "offset AS kafka_offset", "value")
SERIES_A_QUERY = 200  # as many series as one lookup names; more would make the query text too long
# Rows whose places in the sort key are named one by one; of more, their series are read from end to end.
PLACES_SOUGHT, PLACES_A_QUERY = 20_000, 2_000


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
    schemas: Mapping[int, str] = field(default_factory=dict)  # of the topic, by id
    sealed: tuple[SealedSpan, ...] = ()  # what of the dataset is retired


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

    `spans` is empty where the dataset knows no chains; `seconds` says how long each stage took.
    """

    delivery: Delivery
    touched: list[tuple[str, str, str, int]]
    newest_event_time: dict[str, int]  # by venue, microseconds
    spans: list[Span]
    seconds: dict[str, float] = field(default_factory=dict)


_connections: dict[WarehouseSettings, Warehouse] = {}


def connection(settings: WarehouseSettings) -> Warehouse:
    """Return this worker's connection; workers are reused, and so is it."""
    if settings not in _connections:
        _connections[settings] = Warehouse(settings)
    return _connections[settings]


def write_partition(batches: Iterator[pa.RecordBatch], plan: WritePlan) -> Iterator[pa.RecordBatch]:
    """Write one partition's records (see RECORD) and yield one row of JSON that says what was written."""
    watch = Stages()
    with watch.stage("read"):  # from Kafka, and out of the JVM: it comes as it is read
        collected = list(batches)
    if not collected or sum(batch.num_rows for batch in collected) == 0:
        return
    records = pa.Table.from_batches(collected).combine_chunks()
    del collected  # as large as the records themselves
    covered = covered_range(records, plan)
    with watch.stage("decode"):
        rows = unpack(records, dataset_named(plan.dataset), plan.schemas, plan.sealed)
    del records
    written = write_decoded(rows, covered, plan, watch)
    text = json.dumps(asdict(replace(written, seconds=watch.seconds)))
    yield pa.RecordBatch.from_pydict({"written": [text]})


def write_decoded(rows: pa.Table, covered: Range, plan: WritePlan, watch: Stages | None = None) -> Written:
    """Write one range's rows, as unpack() makes them, if they are what they seem."""
    if not plan.schemas_fresh and UNKNOWN in rows["rejection"].unique().to_pylist():
        raise RetryableError("a record names a schema that is not known here and the registry does not answer")
    # The rows are read: if the topic is still the one that was asked for, they came from it.
    if plan.broker is not None and broker.topic_id(plan.broker, plan.topic) != plan.topic_id:
        raise TerminalError(f"topic {plan.topic} was deleted and created anew while it was read; starting over")
    return write_rows(rows, covered, plan, watch)


def parse_written(text: str) -> Written:
    """Read back what write_partition yielded."""
    values: dict[str, Any] = json.loads(text)
    touched = [(v, i, s, int(t)) for v, i, s, t in values["touched"]]
    spans = [Span(**span) for span in values["spans"]]
    return Written(Delivery(**values["delivery"]), touched, values["newest_event_time"], spans, values["seconds"])


def covered_range(rows: pa.Table, plan: WritePlan) -> Range:
    """Return the range that records cover; TerminalError unless they are one partition's, without holes."""
    partitions = rows["kafka_partition"].unique().to_pylist()
    offsets = rows["kafka_offset"].to_numpy()
    first, last = int(offsets[0]), int(offsets[-1])
    if len(partitions) != 1 or last - first + 1 != len(offsets) or (offsets[1:] != offsets[:-1] + 1).any():
        raise TerminalError(
            f"{plan.topic}: a write must cover one partition without holes; got partitions {partitions}, "
            f"offsets {first} to {last} in {len(offsets)} records. Was a batch shuffled, or the topic compacted?"
        )
    return Range(plan.topic_id, int(partitions[0]), first, last)


def write_rows(rows: pa.Table, covered: Range, plan: WritePlan, watch: Stages | None = None) -> Written:
    """Store the valid rows, quarantine the others, and return what is to be entered in the ledger."""
    watch = watch or Stages()
    dataset = dataset_named(plan.dataset)
    warehouse = connection(plan.warehouse)
    token = write_token(covered.topic_id, covered.partition, covered.first, covered.last)
    rejected = rows.filter(pa.compute.is_valid(rows["rejection"]))
    accepted = rows.filter(pa.compute.is_null(rows["rejection"])) if rejected.num_rows else rows
    now = datetime.now(UTC)
    if rejected.num_rows:
        table = quarantine_rows(rejected, plan, covered, now)
        with watch.stage("write"):
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
        if "topic" not in accepted.column_names:
            accepted = accepted.append_column("topic", pa.repeat(plan.topic, accepted.num_rows))
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
    with watch.stage("hash"):
        hashes = content_hashes(dataset, accepted)
    with watch.stage("deduplicate"):
        accepted = encode_repeats(accepted, dataset)
        arrival = arrange(accepted, dataset)
        placement = patiently(lambda: _place(accepted, arrival, hashes, dataset, covered, warehouse, plan.table))
    with watch.stage("write"):
        _insert(accepted, placement, plan, covered, now, warehouse, token)
    minutes = placement.touched.with_columns(pl.col("event_time") // MINUTE * MINUTE).unique()
    return Written(
        replace(
            delivery,
            stored_count=placement.stored_count,
            duplicate_count=placement.duplicate_count,
            content_hash=placement.content_hash,
        ),
        sorted(minutes.rows()),
        arrival.newest_of_venues(),
        _spans(accepted, placement, dataset),
    )


def _spans(rows: pa.Table, placement: Placement, dataset: Dataset) -> list[Span]:
    if "chain" not in dataset.column_index:
        return []
    series = [*dataset.grain[:3], "chain"]
    sequence, time, received = pl.col(dataset.grain[3]), pl.col("event_time"), pl.col("received_time")
    frame = pl.DataFrame(pl.from_arrow(plain(rows.select([*series, dataset.grain[3], "event_time", "received_time"]))))
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
    rows = rows.append_column("ingested_time", pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), size))
    return rows.append_column("topic_id", pa.repeat(covered.topic_id, size))


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
            "kafka_index": column("kafka_index", pa.int32(), 0),
        }
    )


def _place(
    rows: pa.Table,
    arrival: Arrival,
    hashes: npt.NDArray[np.uint64],
    dataset: Dataset,
    covered: Range,
    warehouse: Warehouse,
    table: str,
) -> Placement:
    """Place rows: those behind all that is stored of their series need no comparison, the few others are looked up."""
    highest = _highest(arrival, warehouse, table)
    simple = arrival.beyond(highest)
    new = place_new(arrival.order[simple], hashes, arrival.minutes(simple))
    if simple.all():
        return new
    chosen = arrival.order[~simple]
    grain = list(dataset.grain)
    columns = rows.select([*grain, *ORDER, "event_time"]).take(pa.array(chosen))
    arrived = pl.DataFrame(pl.from_arrow(plain(columns)))
    times = [pl.col("received_time").dt.timestamp("us"), pl.col("event_time").dt.timestamp("us")]
    numbers = pl.Series(chosen, dtype=pl.UInt32)
    arrived = arrived.with_columns(*times, row=numbers, hash=pl.Series(hashes[chosen]))
    known = arrival.sequences[~simple] <= highest[arrival.runs[~simple]]
    stored = _stored(arrived, _conditions(arrival, arrived.filter(pl.Series(known))), dataset, warehouse, table)
    return together(new, place(arrived, stored, grain, covered), arrival.order)


def _series(arrival: Arrival, run: int) -> str:
    """Write the condition that the sort key begins with a run's series and lies between its ends."""
    names = zip(arrival.grain[:3], arrival.series[run], strict=True)
    low, high = int(arrival.low[run]), int(arrival.high[run])
    return f"{' AND '.join(f'{n} = {literal(v)}' for n, v in names)} AND {arrival.grain[3]} BETWEEN {low} AND {high}"


def _highest(arrival: Arrival, warehouse: Warehouse, table: str) -> Ints:
    """Return the highest sequence that is stored of each run between its ends, below all others where there is none.

    The key's columns answer that, where the rows themselves cost ten times.
    """
    names = ", ".join(arrival.grain[:3])
    highest = np.full(len(arrival.series), np.iinfo(np.int64).min)
    run_of = {series: run for run, series in enumerate(arrival.series)}
    for where in _ranges(arrival):
        found = warehouse.rows(
            # Several threads would cost more than they save.
            f"SELECT {names}, toInt64(max({arrival.grain[3]})) FROM {table} WHERE {where} GROUP BY {names} "
            "SETTINGS max_threads = 1"
        )
        for venue, instrument, space, sequence in found:
            highest[run_of[str(venue), str(instrument), str(space)]] = sequence
    return highest


def _ranges(arrival: Arrival) -> list[str]:
    """Name the runs' series, each between its ends, in as few questions as there can be."""
    series = [f"({_series(arrival, run)})" for run in range(len(arrival.series))]
    return [" OR ".join(series[start : start + SERIES_A_QUERY]) for start in range(0, len(series), SERIES_A_QUERY)]


def _conditions(arrival: Arrival, known: pl.DataFrame) -> list[str]:
    """Name the places in the sort key where rows are looked for, in as few questions as there can be."""
    names = arrival.grain[:4]
    if 0 < known.height <= PLACES_SOUGHT:
        places = known.select(names).unique().sort(names).rows()
        each = [tuples(places[start : start + PLACES_A_QUERY]) for start in range(0, len(places), PLACES_A_QUERY)]
        # Ranges are quicker to look up than places; together they would make the query of many series too long.
        ranges = _ranges(arrival)
        near = f"({ranges[0]}) AND " if len(ranges) == 1 else ""
        return [f"{near}({', '.join(names)}) IN ({some})" for some in each]
    return _ranges(arrival) if known.height else []


def _stored(
    arrived: pl.DataFrame, conditions: list[str], dataset: Dataset, warehouse: Warehouse, table: str
) -> pl.DataFrame:
    """Fetch the stored rows that the conditions name; nothing where there are none."""
    times = ", ".join(f"toUnixTimestamp64Micro({t}) AS {t}" for t in ("received_time", "event_time"))
    others = [*dataset.grain, *(p for p in POSITION if p != "received_time")]
    others += ["topic_id", "kafka_partition", "kafka_offset", "kafka_index", "displaced_count", "displaced_hash"]
    schema = {name: arrived.schema[name] for name in [*dataset.grain, *POSITION, "event_time"]}
    schema |= {
        "topic_id": pl.String(),
        "kafka_partition": pl.Int32(),
        "kafka_offset": pl.Int64(),
        "kafka_index": pl.Int32(),
        "displaced_count": pl.Int32(),
        "displaced_hash": pl.UInt64(),
        "hash": pl.UInt64(),
    }
    found = []
    for where in conditions:
        # Of the key's columns alone: the rows of one key are taken or left together, before FINAL chooses among them.
        inner = f"SELECT *, {content_hash(dataset)} AS hash FROM {table} FINAL PREWHERE {where}"
        found.append(warehouse.table(f"SELECT {', '.join(others)}, {times}, hash FROM ({inner})"))
    if not found:
        return pl.DataFrame(schema=schema)
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
    chosen = placement.insert
    table = _with_delivery(rows.take(chosen["row"].to_arrow()), covered, now)
    for name, kind in (("displaced_count", pa.int32()), ("displaced_hash", pa.uint64())):
        table = table.append_column(name, chosen[name].to_arrow().cast(kind))
    table = table.select([column.name for column in dataset_named(plan.dataset).columns])
    patiently(lambda: keep_displaced(warehouse, plan.table, table))
    patiently(lambda: warehouse.insert(plan.table, table, token=token))
