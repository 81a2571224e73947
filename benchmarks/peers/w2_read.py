"""W2's first half: records of many trades read, decoded and judged in Spark, and no more."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.peers.rounds import Job, serve
from contracts.trades import TRADES
from orchestration.settings import Settings
from spark.deliver import RECORD
from spark.session import open_session
from spark.unpacking import unpack
from stores import registry


def _summed(batches: Iterator[pa.RecordBatch], schemas: Mapping[int, str]) -> Iterator[pa.RecordBatch]:
    """Yield of each part how many trades were accepted, and the sum of their sequences."""
    for batch in batches:
        rows = unpack(pa.Table.from_batches([batch]), TRADES, schemas)
        accepted = rows.filter(pc.is_null(rows["rejection"]))
        total = pc.sum(accepted["venue_sequence"]).as_py() or 0
        yield pa.RecordBatch.from_pydict({"rows": [accepted.num_rows], "total": [total]})


class Reading:
    """The session stays between rounds; each reads the whole topic."""

    def __init__(self) -> None:
        self._spark: Any = None

    def run(self, job: Job, _: int) -> dict[str, Any]:
        """Read, decode and judge every trade and tell how many there were."""
        settings = Settings(data_dir=Path(job.more["data_dir"]), port_offset=job.more["port_offset"])
        if self._spark is None:
            self._spark = open_session("bench", settings.spark)
        records = (
            self._spark.read.format("kafka")
            .option("kafka.bootstrap.servers", job.bootstrap)
            .option("subscribe", job.topic)
            .option("startingOffsets", "earliest")
            .option("endingOffsets", json.dumps({job.topic: {str(p): end for p, end in job.ends.items()}}))
            .option("kafka.max.partition.fetch.bytes", str(4 * 1024 * 1024))
            .load()
        )
        summed = partial(_summed, schemas=registry.schemas_of(settings.registry, job.topic))
        told = records.selectExpr(*RECORD).mapInArrow(summed, "rows long, total long").collect()
        return {"rows": sum(row["rows"] for row in told), "total": sum(row["total"] for row in told)}


if __name__ == "__main__":
    serve(Reading().run)
