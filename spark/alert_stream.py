"""The real-time query: trades and quotes from Kafka, alerts to Kafka, within milliseconds."""

import json
import re
import shutil
import uuid
from collections.abc import Mapping
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.avro.functions import to_avro
from pyspark.sql.streaming.query import StreamingQuery

from contracts.alerts import MARKET_ALERTS
from contracts.avro import avro_text
from contracts.dataset import Dataset, Framing
from contracts.errors import RetryableError, TerminalError
from contracts.imports import CONNECTION_PREFIX
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from spark.alert_settings import AlertSettings
from spark.alerts import REFERENCE, alerts
from spark.decode import decode
from spark.kafka import security_options
from spark.references import ReferenceFile
from stores import groups, registry
from stores.records import MAGIC

GROUP = "tapehouse-alert-stream"
SOURCES = (TRADES, QUOTES)
_UNKNOWN_SCHEMA = re.compile(r"schema id (\d+) of (market\.\w+) is not known")


def topic_of(dataset: Dataset) -> str:
    """Return the name of a dataset's topic."""
    assert dataset.topic is not None
    return dataset.topic.name


class AlertStream:
    """Starts the query where its group has come to, and enters after each batch how far that was.

    Spark's checkpoint is scratch, as everywhere: it is thrown away at every start.
    """

    def __init__(self, spark: SparkSession, settings: AlertSettings, references: ReferenceFile) -> None:
        self._spark = spark
        self._settings = settings
        self._references = references
        self._refused: dict[str, set[int]] = {}
        self._batch: tuple[str, int] | None = None
        self.query: StreamingQuery | None = None
        self.offsets: dict[str, dict[int, int]] = {}
        self.batches = 0

    def start(self) -> None:
        """Start the query with the schemas, offsets and references of now."""
        settings = self._settings
        checkpoints = settings.scratch_dir / "checkpoints"
        shutil.rmtree(checkpoints, ignore_errors=True)
        self.offsets = {topic_of(d): groups.start_offsets(settings.broker, GROUP, topic_of(d)) for d in SOURCES}
        trades, quotes = (self._events(dataset) for dataset in SOURCES)
        # The whole file is one value, so its length, which Spark remembers, does not matter.
        references = self._spark.read.schema(REFERENCE).option("multiLine", True).json(str(self._references.path))
        found = alerts(trades, quotes, references, settings.rules, settings.nearest)
        self.query = (
            self._records(found)
            .writeStream.queryName(MARKET_ALERTS.name)
            .format("kafka")
            .options(**self._sink())
            .option("checkpointLocation", str(checkpoints / uuid.uuid4().hex))
            .outputMode("update")
            .trigger(realTime=f"{settings.batch_s} seconds")  # type: ignore[call-overload] # the stubs lack it
            .start()
        )

    def _events(self, dataset: Dataset) -> DataFrame:
        """Return a topic's events; what can't be read or breaks a rule is left to the streams, who quarantine it.

        A schema that was registered after the start ends the query, which then starts again with it: read on without
        it, its events would be passed over.
        """
        topic = topic_of(dataset)
        schemas = registry.schemas_of(self._settings.registry, topic)
        options = {
            "kafka.bootstrap.servers": self._settings.broker.bootstrap,
            "subscribe": topic,
            "startingOffsets": json.dumps({topic: {str(p): o for p, o in self.offsets[topic].items()}}),
            "failOnDataLoss": "true",
            **security_options(self._settings.broker),
        }
        decoded = decode(self._spark.readStream.format("kafka").options(**options).load(), dataset, schemas)
        refused = ", ".join(map(str, self._refused.get(topic, ()))) or "-1"
        accepted = f"""CASE
            WHEN rejection = 'unknown_schema_id' AND schema_id NOT IN ({refused})
            THEN CAST(raise_error(concat('schema id ', schema_id, ' of {topic} is not known')) AS BOOLEAN)
            ELSE rejection IS NULL END"""
        # Imported history is not news.
        return decoded.where(accepted).where(~f.col("connection_id").startswith(CONNECTION_PREFIX))

    def _records(self, found: DataFrame) -> DataFrame:
        assert MARKET_ALERTS.topic is not None
        schema_id = registry.register(self._settings.registry, MARKET_ALERTS, topic_of(MARKET_ALERTS))
        prefix = bytes([MAGIC]) + schema_id.to_bytes(4, "big")
        body = to_avro(f.struct(*found.columns), avro_text(MARKET_ALERTS))
        return found.select(
            f.concat_ws("|", *MARKET_ALERTS.topic.key).cast("binary").alias("key"),
            f.concat(f.lit(bytearray(prefix)), body).alias("value"),
        )

    def _sink(self) -> Mapping[str, str]:
        return {
            "kafka.bootstrap.servers": self._settings.broker.bootstrap,
            "topic": topic_of(MARKET_ALERTS),
            "kafka.acks": "all",
            "kafka.linger.ms": "0",
            "kafka.buffer.memory": str(4 * 1024 * 1024),
            **security_options(self._settings.broker),
        }

    def enter_progress(self) -> bool:
        """Enter how far the last finished batch came; tell whether it is one that was not entered yet."""
        progress: Any = self.query.lastProgress if self.query else None
        if not progress:
            return False
        batch = (progress["runId"], progress["batchId"])
        if batch == self._batch:
            return False
        ends: dict[str, dict[int, int]] = {}
        for source in progress["sources"]:
            told = source["endOffset"]
            for topic, offsets in (json.loads(told) if isinstance(told, str) else told or {}).items():
                ends[topic] = {int(p): offset for p, offset in offsets.items()}
        groups.commit(self._settings.broker, GROUP, ends)
        self._batch = batch
        self.offsets |= ends
        self.batches += 1
        return True

    def revive(self) -> None:
        """Start a query again that ended because it met a schema it did not know; raise for any other end."""
        assert self.query is not None
        reason = str(self.query.exception() or "no reason given")
        met = _UNKNOWN_SCHEMA.search(reason)
        if met is None:
            lines = [line.strip() for line in reason.splitlines() if line.strip()]
            raise RetryableError(f"the alert stream ended: {lines[0]}; it goes on where its last batch ended")
        schema_id, topic = int(met[1]), met[2]
        if schema_id not in registry.schemas_of(self._settings.registry, topic):
            # No schema of this topic's: a bad record, as the streams find, too.
            self._refused.setdefault(topic, set()).add(schema_id)
        self.start()


def check_rules(settings: AlertSettings) -> None:
    """Raise TerminalError when there is nothing to watch for, or when it comes in a form that can't be read here."""
    if not settings.rules:
        raise TerminalError("alert_rules is empty: name a rule, or leave out alert_stream = true")
    # Batches are unpacked in Python, which holds rows back until a real-time batch ends.
    batched = [topic_of(d) for d in SOURCES if d.topic is not None and d.topic.framing is Framing.BATCH]
    if batched:
        raise TerminalError(f"{batched} carry many events a record; alerts within milliseconds need framing 'record'")
