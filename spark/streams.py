"""The micro-batch queries of one process: every delivered dataset to the warehouse, every tape to the lake."""

import json
import shutil
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from contracts.books import BOOKS
from contracts.catalog import DELIVERED
from contracts.dataset import BATCH_EVENTS, Dataset, Framing, Topic
from contracts.errors import RetryableError
from contracts.quotes import QUOTES
from contracts.tape import TAPE, tape_topic
from contracts.trades import TRADES
from spark import archive
from spark.bars import BarKeeper
from spark.book_snapshots import BookKeeper
from spark.deliver import RECORD, WritePlan, Written, parse_written, write_partition
from spark.kafka import security_options
from spark.settings import StreamSettings
from spark.stages import Stages
from stores import broker, lake, registry
from stores.ledger import Delivery, close_ranges, next_offsets
from stores.seals import SealedDays
from stores.settings import RegistrySettings
from stores.warehouse import Warehouse, patiently

# What people wait for; the rest comes seldom, and a query that looks less often costs less.
QUICK = (TRADES, QUOTES, BOOKS)
# How long the first query has the machine to itself: all of them starting at once would all come late.
HEAD_START_S = 15.0


@dataclass(frozen=True)
class Stream:
    """One query: a topic, the sink that it feeds, how often, and how many records it takes at once."""

    dataset: Dataset
    topic: str
    sink: str
    interval_s: float
    max_offsets: int


def streams_of(settings: StreamSettings) -> list[Stream]:
    """List the queries that one process carries."""
    tables = [_table_stream(d, d.topic, settings) for d in DELIVERED if d.topic is not None]
    tapes = [
        Stream(TAPE, tape_topic(v).name, archive.SINK, settings.archive_interval_s, settings.max_tape_offsets_a_batch)
        for v in settings.venues
    ]
    return tables + tapes


def _table_stream(dataset: Dataset, topic: Topic, settings: StreamSettings) -> Stream:
    interval = settings.write_interval_s if dataset in QUICK else settings.slow_interval_s
    wide = topic.max_message_bytes > Topic.max_message_bytes
    limit = settings.max_wide_offsets_a_batch if wide else settings.max_offsets_a_batch
    if topic.framing is Framing.BATCH:
        limit = max(limit // BATCH_EVENTS, 1)
    return Stream(dataset, topic.name, f"warehouse.{dataset.table}", max(interval, settings.write_interval_s), limit)


@dataclass
class SchemaBook:
    """The schemas of a topic by id: asked for at each batch, remembered when the registry is away."""

    settings: RegistrySettings
    topic: str
    known: dict[int, str] = field(default_factory=dict)

    def refresh(self) -> bool:
        """Ask the registry; return whether it answered. RetryableError when it never has."""
        try:
            self.known = registry.schemas_of(self.settings, self.topic)
        except RetryableError:
            if not self.known:
                raise
            return False
        return True


def _source(spark: SparkSession, settings: StreamSettings, stream: Stream, starts: dict[int, int]) -> DataFrame:
    options = {
        "kafka.bootstrap.servers": settings.broker.bootstrap,
        "subscribe": stream.topic,
        "startingOffsets": json.dumps({stream.topic: {str(p): o for p, o in starts.items()}}),
        "failOnDataLoss": "true",
        "maxOffsetsPerTrigger": str(stream.max_offsets),
        # Every consumer keeps so much at hand, one for each partition of each topic; a larger record comes alone.
        "kafka.max.poll.records": "5000",
        "kafka.max.partition.fetch.bytes": str(4 * 1024 * 1024),
        "kafkaConsumer.pollTimeoutMs": "60000",
        **security_options(settings.broker),
    }
    return spark.readStream.format("kafka").options(**options).load()


class StreamRunner:
    """Starts the queries where the ledger ends and writes the ledger after each batch.

    The first, trades, has a head start: until it has delivered something, or for HEAD_START_S. `waiting` counts those
    that `start_due` has still to start. `progress` says by topic what was read, what became of it, and in how many
    seconds: of whole batches (batch), of each stage of the writing tasks, which run beside each other (read; decode,
    with judging; hash, deduplicate, write), and of what follows them (bars, books, ledger).
    """

    def __init__(self, spark: SparkSession, settings: StreamSettings, bars: BarKeeper, books: BookKeeper) -> None:
        self._spark = spark
        self._settings = settings
        self._bars = bars
        self._books = books
        self._due = deque(streams_of(settings))
        self._began = 0.0
        self.queries: list[StreamingQuery] = []
        self.progress: dict[str, dict[str, Any]] = {}

    @property
    def waiting(self) -> int:
        """How many queries are not started yet."""
        return len(self._due)

    def start(self) -> None:
        """Start the first query; each gets its own checkpoint directory, which the next start throws away."""
        shutil.rmtree(self._settings.scratch_dir / "checkpoints", ignore_errors=True)
        lake.ensure_tape(self._settings.lake)
        self.queries.append(self._start(self._due.popleft()))
        self._began = time.monotonic()

    def start_due(self) -> None:
        """Start the other queries, once the first has had its head start."""
        delivered = any(state["rows"] for state in self.progress.values())
        if delivered or time.monotonic() - self._began > HEAD_START_S:
            while self._due:
                self.queries.append(self._start(self._due.popleft()))

    def _start(self, stream: Stream) -> StreamingQuery:
        settings = self._settings
        # A connection for each query: their batches run in threads of their own.
        warehouse = Warehouse(settings.warehouse)
        plan = WritePlan(
            dataset=stream.dataset.name,
            topic=stream.topic,
            topic_id=broker.topic_id(settings.broker, stream.topic),
            broker=settings.broker,
            warehouse=settings.warehouse,
            schemas_fresh=True,
            table=stream.dataset.table,
        )
        ends = broker.end_offsets(settings.broker, stream.topic)
        closed = next_offsets(warehouse, stream.sink, plan.topic_id)
        if stream.dataset is TAPE:
            late = archive.committed_but_unclosed(self._spark, plan, settings.lake, closed, len(ends))
            close_ranges(warehouse, late)
            closed |= {d.kafka_partition: d.last_offset + 1 for d in late}
        starts = {partition: closed.get(partition, 0) for partition in ends}
        book = SchemaBook(settings.registry, stream.topic)
        handle = self._archive if stream.dataset is TAPE else self._write
        sealed = SealedDays(warehouse, stream.dataset)
        batch: Callable[[DataFrame, int], None] = partial(self._batch, stream, plan, book, sealed, warehouse, handle)
        # The ledger says where to go on. The checkpoint is scratch: a lost or stale one can neither skip nor repeat.
        checkpoint = settings.scratch_dir / "checkpoints" / f"{stream.topic}-{uuid.uuid4().hex}"
        self.progress[stream.topic] = {
            "sink": stream.sink,
            "batches": 0,
            "rows": 0,
            "stored": 0,
            "duplicate": 0,
            "quarantined": 0,
            "seconds": {},
            "last_seconds": {},
            "offsets": starts,
        }
        # The query's thread takes it over from this one.
        self._spark.sparkContext.setLocalProperty("spark.scheduler.pool", stream.topic)
        return (
            _source(self._spark, settings, stream, starts)
            .writeStream.queryName(stream.topic)
            .foreachBatch(batch)
            .option("checkpointLocation", str(checkpoint))
            .trigger(processingTime=f"{stream.interval_s} seconds")
            .start()
        )

    def _batch(
        self,
        stream: Stream,
        plan: WritePlan,
        book: SchemaBook,
        sealed: SealedDays,
        warehouse: Warehouse,
        handle: Callable[[DataFrame, SchemaBook, WritePlan, Stages], list[Delivery]],
        records: DataFrame,
        batch_id: int,
    ) -> None:
        watch = Stages()
        with watch.stage("batch"):
            fresh = patiently(book.refresh)
            plan = replace(plan, schemas_fresh=fresh, sealed=sealed.spans())
            deliveries = handle(records, book, plan, watch)
            with watch.stage("ledger"):
                patiently(lambda: close_ranges(warehouse, deliveries))
        state = self.progress[stream.topic]
        state["batches"] = batch_id + 1
        state["rows"] += sum(d.read_count for d in deliveries)
        state["stored"] += sum(d.stored_count for d in deliveries)
        state["duplicate"] += sum(d.duplicate_count for d in deliveries)
        state["quarantined"] += sum(d.quarantined_count for d in deliveries)
        if deliveries:
            state["last_seconds"] = dict(watch.seconds)
            watch.add(state["seconds"])
            state["seconds"] = watch.seconds
        state["offsets"] = state["offsets"] | {d.kafka_partition: d.last_offset + 1 for d in deliveries}

    def _write(self, records: DataFrame, book: SchemaBook, plan: WritePlan, watch: Stages) -> list[Delivery]:
        plan = replace(plan, schemas=book.known)
        writer = partial(write_partition, plan=plan)
        summaries = records.selectExpr(*RECORD).mapInArrow(writer, "written string").collect()
        written: list[Written] = [parse_written(row["written"]) for row in summaries]
        for one in written:
            watch.add(one.seconds)
        self._follow_up(plan.dataset, written, watch)
        return [w.delivery for w in written]

    def _follow_up(self, dataset: str, written: list[Written], watch: Stages) -> None:
        """Bring up to date what is made from the rows, before the ledger says that they are there."""
        touched = {minute for w in written for minute in w.touched}
        if dataset == TRADES.name and touched:
            newest: dict[str, int] = {}
            for w in written:
                for venue, event_time in w.newest_event_time.items():
                    newest[venue] = max(event_time, newest.get(venue, 0))
            with watch.stage("bars"):
                self._bars.update(touched, newest)
        elif dataset == BOOKS.name and touched:
            with watch.stage("books"):
                self._books.update(touched, [span for w in written for span in w.spans])

    def _archive(self, records: DataFrame, book: SchemaBook, plan: WritePlan, watch: Stages) -> list[Delivery]:
        with watch.stage("archive"):
            return archive.archive_batch(records, book.known, plan, self._settings.lake)
