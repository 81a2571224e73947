"""W1's first stages by themselves, each with those before it: what each adds is its share of the whole path."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.peers.rounds import Job, serve
from contracts.trades import TRADES
from orchestration.settings import Settings
from spark.deliver import RECORD
from spark.session import open_session
from spark.unpacking import unpack
from stores import registry

STAGES = ("read", "hand to Python", "decode", "validate")


def _count(batches: Iterator[pa.RecordBatch], stage: str, schemas: Mapping[int, str]) -> Iterator[pa.RecordBatch]:
    """Go as far as a stage, with the whole of a partition at once as the write path does, and yield the row count."""
    records = pa.Table.from_batches(list(batches))
    if stage != "hand to Python":
        records = unpack(records, replace(TRADES, rules=()) if stage == "decode" else TRADES, schemas)
    yield pa.RecordBatch.from_pydict({"rows": [records.num_rows]})


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
            .option("kafka.max.poll.records", "5000")
            .option("kafka.max.partition.fetch.bytes", str(4 * 1024 * 1024))
            .load()
        )
        if stage != "read":
            count = partial(_count, stage=stage, schemas=registry.schemas_of(settings.registry, job.topic))
            rows = rows.selectExpr(*RECORD).mapInArrow(count, "rows long")
        rows.write.format("noop").mode("overwrite").save()
        return {"stage": stage}


if __name__ == "__main__":
    serve(Stages().run)
