"""The streams as a process: starts the queries, answers for their health, ends when one of them fails."""

import re
import signal
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
from pyspark.sql.streaming.query import StreamingQuery

from contracts.errors import RetryableError, TapehouseError, TerminalError
from spark.bars import BarKeeper
from spark.book_snapshots import BookKeeper
from spark.clocks import VenueClocks
from spark.session import open_session
from spark.settings import SparkSettings, StreamSettings
from spark.streams import StreamRunner, streams_of
from stores import broker, registry
from stores.migrations import table_differences
from stores.warehouse import Warehouse, patiently


def _lag(settings: StreamSettings, progress: dict[str, dict[str, Any]]) -> dict[str, int]:
    """Count by topic the records that Kafka holds and the ledger does not."""
    known = dict(progress)
    ends = broker.ends_of(settings.broker, list(known))
    return {
        topic: sum(end - state["offsets"].get(p, 0) for p, end in ends[topic].items()) for topic, state in known.items()
    }


def _health(settings: StreamSettings, runner: StreamRunner) -> dict[str, Any]:
    try:
        lags = _lag(settings, runner.progress)
    except TapehouseError as error:
        return {"status": "degraded", "detail": str(error), "streams": runner.progress}
    queries = list(runner.queries)
    status = "starting" if runner.waiting else "ok"
    if not all(query.isActive for query in queries):
        status = "failed"
    last: dict[str, Any] = {str(query.name): query.lastProgress or {} for query in queries}
    streams = {
        topic: {
            **state,
            "lag": lags[topic],
            "rows_per_s": last.get(topic, {}).get("processedRowsPerSecond"),
            "last_batch": last.get(topic, {}).get("timestamp"),
        }
        for topic, state in list(runner.progress.items())
        if topic in lags
    }
    return {"status": status, "waiting": runner.waiting, "lag": sum(lags.values()), "streams": streams}


def _answer(port: int, settings: StreamSettings, runner: StreamRunner) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = _health(settings, runner)
            # Who asked may have given up; that is no error of ours, and no ten lines in the log.
            with suppress(ConnectionError):
                self.send_response(200 if body["status"] in ("starting", "ok") else 503)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))

        def log_message(self, *_: object) -> None:
            """Say nothing: a line for every health check would bury the others."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="health").start()


def serve(settings: StreamSettings, spark_settings: SparkSettings, bars_query: Path, port: int) -> None:
    """Run the streams until told to stop; raises what ended a query, for the supervisor to start them again."""
    stopping = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopping.set())
    spark = open_session("tapehouse-streams", spark_settings)
    patiently(lambda: _prepared(settings))
    bars = BarKeeper(Warehouse(settings.warehouse), bars_query, VenueClocks())
    books = BookKeeper(Warehouse(settings.warehouse), settings.book_snapshot_s)
    patiently(bars.resume)
    patiently(books.resume)
    runner = StreamRunner(spark, settings, bars, books)
    runner.start()
    _answer(port, settings, runner)
    try:
        _watch(runner, bars, books, stopping)
    finally:
        for query in runner.queries:
            query.stop()
        spark.stop()


def _prepared(settings: StreamSettings) -> None:
    """Raise RetryableError unless topics, schemas and tables are there."""
    topics = {stream.topic for stream in streams_of(settings)}
    if missing := topics - set(broker.topic_names(settings.broker)):
        raise RetryableError(f"topics {sorted(missing)} do not exist; `tapehouse topics --apply` makes them")
    try:
        for topic in topics:
            registry.schemas_of(settings.registry, topic)
    except TerminalError as error:
        raise RetryableError(f"not all schemas are registered: {error}; `tapehouse topics --apply` does it") from error
    if differences := table_differences(Warehouse(settings.warehouse)):
        raise RetryableError(f"{'; '.join(differences)}; `tapehouse migrate` applies what is missing")


def _watch(runner: StreamRunner, bars: BarKeeper, books: BookKeeper, stopping: threading.Event) -> None:
    last_tick = time.monotonic()
    while not stopping.wait(0.5):
        runner.start_due()
        for query in runner.queries:
            if not query.isActive:
                raise _ended(query)
        if time.monotonic() - last_tick >= 5:
            bars.tick()
            books.tick()
            last_tick = time.monotonic()


def _ended(query: StreamingQuery) -> RetryableError:
    lines = [line.strip() for line in str(query.exception() or "no reason given").splitlines() if line.strip()]
    # Below Spark's own wrapping stands the error that Python raised: its last "package.Name: message".
    own = (line for line in lines if "pyspark" not in line)
    causes = [line for line in own if re.match(r"[\w.]+(Error|Exception|Invalid)\w*: ", line)]
    reason = causes[-1] if causes else lines[0]
    return RetryableError(f"stream {query.name} ended: {reason}; it starts again where the ledger ends")
