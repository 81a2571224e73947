"""Proofs that compose the rooms: the audit, and the rebuild of a day from the tape."""

import uuid
from collections.abc import Callable
from datetime import date
from pathlib import Path

from quality.audit import AuditReport, AuditSources, audit
from sources.derive import derive
from spark.comparison import Comparison, Scratch
from spark.settings import SparkSettings, StreamSettings
from stores.seals import require_tape
from stores.warehouse import Warehouse


def run_audit(
    streams: StreamSettings,
    *,
    day: date | None = None,
    wait_s: float = 90.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """Compare tape, Kafka, ledger and tables; see quality.audit."""
    sources = AuditSources(streams.broker, Warehouse(streams.warehouse), streams.lake, streams.venues, derive)
    return audit(sources, day=day, wait_s=wait_s, on_progress=on_progress)


def run_rebuild(
    streams: StreamSettings,
    spark_settings: SparkSettings,
    bars_query: Path,
    day: date,
    *,
    run_id: str = "",
    keep: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[Comparison]:
    """Rebuild a day from the lake's tape in a Spark session of its own and compare it with what was streamed.

    What it came to is kept in system.parity, under `run_id` or one of its own. TapeRetiredError where there is no tape
    any more.
    """
    from spark.parity import record_parity
    from spark.rebuild import rebuild_day
    from spark.session import open_session

    warehouse = Warehouse(streams.warehouse)
    require_tape(warehouse, day)
    on_progress("starting Spark")
    scratch = Scratch.of(day, uuid.uuid4().hex[:8])
    spark = open_session(f"tapehouse-rebuild-{day}", spark_settings)
    try:
        found = rebuild_day(
            spark,
            lake=streams.lake,
            warehouse_settings=streams.warehouse,
            derive=derive,
            day=day,
            bars_query=bars_query.read_text(),
            scratch=scratch,
            on_progress=on_progress,
        )
    finally:
        spark.stop()
        if not keep:
            scratch.drop(warehouse)
    record_parity(warehouse, day, found, run_id or f"command-{uuid.uuid4()}")
    return found
