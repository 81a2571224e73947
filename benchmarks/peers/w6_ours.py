"""W6 with Tapehouse: the training set as `tapehouse features build` makes it."""

from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.peers.rounds import Job, serve
from features.training import training_set


def run(job: Job, number: int) -> dict[str, Any]:
    """Read rows and labels, write the labels with the features that were known then."""
    labels = pl.read_parquet(job.more["labels"])
    rows = pl.read_parquet(job.more["rows"])
    training_set(labels, {"bench": rows}).write_parquet(Path(job.more["out"]))
    return {"round": number}


if __name__ == "__main__":
    serve(run)
