"""The alert stream as a process: its own session, the references kept fresh, health, an end when the query ends."""

import signal
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from contracts.alerts import MARKET_ALERTS
from contracts.errors import RetryableError, TapehouseError, TerminalError
from spark.alert_settings import AlertSettings
from spark.alert_stream import SOURCES, AlertStream, check_rules, topic_of
from spark.references import ReferenceFile, read_closes, references
from spark.session import open_session
from spark.settings import SparkSettings
from stores import broker, registry
from stores.warehouse import Warehouse, patiently

# A real-time query holds one slot a partition for good; the references are read beside it.
SPARE_SLOTS = 2
# How many batches may fail to end before the process is called stuck.
LATE_BATCHES = 4
# When, in the course of a batch, the references of the next one are read.
REFRESH_AT = 0.7


class Vitals:
    """What the process tells of itself, from its first moment: Spark comes up behind it, and holds up nobody."""

    def __init__(self, settings: AlertSettings) -> None:
        self._settings = settings
        self.parts: tuple[AlertStream, ReferenceFile] | None = None
        self.last_batch = time.monotonic()

    def health(self) -> dict[str, Any]:
        """Return status, lag by topic up to the last finished batch, and the state of the references."""
        if self.parts is None:
            return {"status": "starting"}
        stream, file = self.parts
        quiet = time.monotonic() - self.last_batch
        stuck = quiet > LATE_BATCHES * self._settings.batch_s + 60
        try:
            lags = {
                topic: sum(end - known.get(p, 0) for p, end in broker.end_offsets(self._settings.broker, topic).items())
                for topic, known in list(stream.offsets.items())
            }
        except TapehouseError as error:
            return {"status": "degraded", "detail": str(error)}
        return {
            "status": "stuck" if stuck else "starting" if not stream.batches else "ok",
            "detail": file.problem,
            "batches": stream.batches,
            "seconds_since_batch": round(quiet, 1),
            "behind_last_batch": lags,
            "rules": [rule.name for rule in self._settings.rules],
            "references": file.count,
            "references_age_s": _age(file.refreshed),
        }


def _age(moment: datetime | None) -> float | None:
    return None if moment is None else round((datetime.now(UTC) - moment).total_seconds(), 1)


def _answer(port: int, vitals: Vitals) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = vitals.health()
            self.send_response(200 if body["status"] in ("starting", "ok") else 503)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))

        def log_message(self, *_: object) -> None:
            """Say nothing: a line for every health check would bury the others."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="health").start()


def serve(settings: AlertSettings, spark_settings: SparkSettings, port: int) -> None:
    """Run the alert stream until told to stop; raises what ended the query, for the supervisor to start it again."""
    stopping = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopping.set())
    check_rules(settings)
    vitals = Vitals(settings)
    _answer(port, vitals)
    slots = patiently(lambda: _prepared(settings)) + SPARE_SLOTS
    if spark_settings.master.startswith("local"):
        spark_settings = replace(spark_settings, master=f"local[{slots}]")
    spark = open_session("tapehouse-alert-stream", spark_settings)
    query, warehouse = settings.references_query.read_text(), Warehouse(settings.warehouse)
    file = ReferenceFile(
        settings.scratch_dir / "references",
        lambda: references(read_closes(warehouse, query), settings.same_quotes, settings.nearest),
    )
    patiently(file.resume)
    stream = AlertStream(spark, settings, file)
    stream.start()
    vitals.parts, vitals.last_batch = (stream, file), time.monotonic()
    try:
        _watch(settings, stream, file, vitals, stopping)
    finally:
        # What a query that is cut off says of it is no news.
        spark.sparkContext.setLogLevel("OFF")
        if stream.query is not None:
            stream.query.stop()
        spark.stop()


def _prepared(settings: AlertSettings) -> int:
    """Return how many partitions are read; RetryableError unless topics and schemas are there."""
    topics = [topic_of(dataset) for dataset in (*SOURCES, MARKET_ALERTS)]
    if missing := set(topics) - set(broker.topic_names(settings.broker)):
        raise RetryableError(f"topics {sorted(missing)} do not exist; `tapehouse topics --apply` makes them")
    try:
        for topic in topics:
            registry.schemas_of(settings.registry, topic)
    except TerminalError as error:
        raise RetryableError(f"not all schemas are registered: {error}; `tapehouse topics --apply` does it") from error
    return sum(len(broker.end_offsets(settings.broker, topic_of(dataset))) for dataset in SOURCES)


def _watch(
    settings: AlertSettings, stream: AlertStream, file: ReferenceFile, vitals: Vitals, stopping: threading.Event
) -> None:
    refresh_at = None
    while not stopping.wait(0.5):
        assert stream.query is not None
        if not stream.query.isActive:
            stream.revive()
            vitals.last_batch = time.monotonic()
        if patiently(stream.enter_progress):
            vitals.last_batch = time.monotonic()
            refresh_at = vitals.last_batch + REFRESH_AT * settings.batch_s
        if refresh_at is not None and time.monotonic() >= refresh_at:
            refresh_at = None
            _refresh(file)


def _refresh(file: ReferenceFile) -> None:
    try:
        file.refresh()
    except RetryableError:
        # The old ones stay; the health tells how old they are, and why.
        return
