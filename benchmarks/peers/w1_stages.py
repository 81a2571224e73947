"""W1's first stages by themselves, each with those before it: what each adds is its share of the whole path."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.peers.rounds import Job, serve
from contracts.trades import TRADES
from orchestration.settings import Settings
from spark.decode import decode
from spark.session import open_session
from stores import registry

STAGES = ("read", "decode", "validate", "hand to Python")


def _count(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pydict({"rows": [sum(batch.num_rows for batch in batches)]})


class Stages:
    """The session stays between rounds; round n does stage n modulo their number, over the whole topic."""

    def __init__(self) -> None:
        self._spark: Any = None

    def run(self, job: Job, number: int) -> dict[str, Any]:
        """Do one stage and those before it and throw the result away."""
        settings = Settings(data_dir=Path(job.more["data_dir"]), port_offset=job.more["port_offset"])
        if self._spark is None:
            self._spark = open_session("bench", settings.spark)
        stage = STAGES[number % len(STAGES)]
        rows = (
            self._spark.read.format("kafka")
            .option("kafka.bootstrap.servers", job.bootstrap)
            .option("subscribe", job.topic)
            .option("startingOffsets", "earliest")
            .option("endingOffsets", json.dumps({job.topic: {str(p): end for p, end in job.ends.items()}}))
            .option("kafka.max.poll.records", "20000")
            .option("kafka.max.partition.fetch.bytes", str(17 * 1024 * 1024))
            .load()
        )
        if stage != "read":
            dataset = replace(TRADES, rules=()) if stage == "decode" else TRADES
            rows = decode(rows, dataset, registry.schemas_of(settings.registry, job.topic))
        if stage == "hand to Python":
            rows = rows.mapInArrow(_count, "rows long")
        rows.write.format("noop").mode("overwrite").save()
        return {"stage": stage}


if __name__ == "__main__":
    serve(Stages().run)
