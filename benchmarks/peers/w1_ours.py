"""W1 with our own streams: every query of the streams process, so that the archive runs beside the trades."""

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.peers.rounds import Job, serve
from contracts.bars import BARS
from contracts.dataset import BATCH_EVENTS
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.trades import TRADES
from orchestration.settings import BARS_QUERY, Settings
from spark.bars import BarKeeper
from spark.book_snapshots import BookKeeper
from spark.clocks import VenueClocks
from spark.session import open_session
from spark.streams import StreamRunner
from stores.lake import tape_path
from stores.warehouse import Warehouse

WRITTEN = (TRADES, BARS, LEDGER, QUARANTINE)


class Ours:
    """The session stays between rounds; tables, ledger and lake are emptied, so that each begins at offset 0."""

    def __init__(self) -> None:
        self._spark: Any = None

    def run(self, job: Job, _: int) -> dict[str, Any]:
        """Run the streams until the ledger holds the whole topic."""
        settings = Settings(
            data_dir=Path(job.more["data_dir"]),
            port_offset=job.more["port_offset"],
            venues=tuple(job.more["venues"]),
            **job.more.get("settings", {}),
        )
        if self._spark is None:
            self._spark = open_session("bench", settings.spark)
        warehouse = Warehouse(settings.warehouse)
        for dataset in WRITTEN:
            warehouse.run(f"TRUNCATE TABLE {dataset.table}")
        shutil.rmtree(tape_path(settings.lake), ignore_errors=True)
        bars = BarKeeper(Warehouse(settings.warehouse), BARS_QUERY, VenueClocks())
        books = BookKeeper(Warehouse(settings.warehouse), settings.book_snapshot_s)
        streams = settings.streams
        if job.more.get("batched"):
            # As streams_of() has it for a topic whose contract says so; the trades' own does not.
            streams = replace(streams, max_offsets_a_batch=streams.max_offsets_a_batch // BATCH_EVENTS)
        runner = StreamRunner(self._spark, streams, bars, books)
        began = time.monotonic()
        runner.start()
        try:
            while runner.progress[job.topic]["offsets"] != job.ends:
                if not all(query.isActive for query in runner.queries):
                    raise SystemExit("; ".join(str(query.exception()) for query in runner.queries))
                runner.start_due()
                time.sleep(0.05)
            ended = time.monotonic()
        finally:
            for query in runner.queries:
                query.stop()
        told = dict(runner.progress[job.topic])
        archived = sum(state["rows"] for topic, state in runner.progress.items() if topic.startswith("tape."))
        return {"began": began, "ended": ended, "progress": told, "archived": archived}


if __name__ == "__main__":
    serve(Ours().run)
