"""W4 with our own query: the bars of a day from the stored trades, by the warehouse."""

from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.peers.rounds import Job, serve
from contracts.bars import BARS
from orchestration.settings import BARS_QUERY, Settings
from spark.comparison import Scratch
from spark.rebuild import make_bars
from stores.warehouse import Warehouse


def run(job: Job, number: int) -> dict[str, Any]:
    """Make the bars of the scratch tables again."""
    settings = Settings(data_dir=Path(job.more["data_dir"]), port_offset=job.more["port_offset"])
    warehouse = Warehouse(settings.warehouse)
    scratch = Scratch.of(date.fromisoformat(job.more["day"]), job.more["scratch"])
    warehouse.run(f"TRUNCATE TABLE {scratch.table(BARS)}")
    make_bars(warehouse, BARS_QUERY.read_text(), scratch)
    return {"round": number}


if __name__ == "__main__":
    serve(run)
