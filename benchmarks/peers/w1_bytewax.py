"""W1 with Bytewax: fastavro a record, folded a batch, state by instrument, bars to a topic after each batch."""

import os
import subprocess
import sys
from typing import Any

import bytewax.connectors.kafka.operators as kop
import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.dataflow import Dataflow
from fastavro import parse_schema, schemaless_reader

from benchmarks.peers.folding import Partial, body, fold, merge, plain_schema, written
from benchmarks.peers.rounds import Job, read_job, serve

JOB, ROUND = "BENCH_JOB", "BENCH_ROUND"
BATCH = 10_000
Minutes = dict[int, Partial]


def flow() -> Dataflow:
    """Return the dataflow of the round that the environment names."""
    job, number = read_job(os.environ[JOB]), int(os.environ[ROUND])
    schema = parse_schema(plain_schema())
    read: Any = schemaless_reader

    def bars(messages: list[Any]) -> list[tuple[str, tuple[int, Partial]]]:
        trades = (read(body(message.value), schema, None) for message in messages)
        return [(instrument, (minute, bar)) for (instrument, minute), bar in fold(trades).items()]

    def keep(minutes: Minutes | None, found: tuple[int, Partial]) -> tuple[Minutes, list[tuple[int, Partial]]]:
        minutes = {} if minutes is None else minutes
        minute, bar = found
        if minute in minutes:
            merge(minutes[minute], bar)
        else:
            minutes[minute] = bar
        return minutes, [(minute, minutes[minute])]

    def message(item: tuple[str, tuple[int, Partial]]) -> KafkaSinkMessage:
        instrument, (minute, bar) = item
        return KafkaSinkMessage(f"{instrument}|{minute}".encode(), written(instrument, minute, bar))

    made = Dataflow("bars")
    settings = {"fetch.message.max.bytes": str(8 << 20), "queued.max.messages.kbytes": str(128 << 10)}
    source = kop.input(
        "trades",
        made,
        brokers=[job.bootstrap],
        topics=[job.topic],
        tail=False,
        batch_size=BATCH,
        add_config=settings,
    )
    partials = op.flat_map_batch("fold", source.oks, bars)
    kept = op.stateful_flat_map("keep", partials, keep)
    kop.output("bars", op.map("write", kept, message), brokers=[job.bootstrap], topic=job.out(number))
    return made


def run(job: Job, number: int) -> dict[str, Any]:
    """Run the dataflow in as many processes as the job says; Bytewax joins them by addresses."""
    environment = {**os.environ, JOB: sys.argv[1], ROUND: str(number)}
    addresses = ";".join(f"127.0.0.1:{job.port + index}" for index in range(job.processes))
    command = [sys.executable, "-m", "bytewax.run", "benchmarks.peers.w1_bytewax:flow"]
    started = [
        subprocess.Popen(
            [*command, *(["-i", str(index), "-a", addresses] if job.processes > 1 else [])], env=environment
        )
        for index in range(job.processes)
    ]
    if [code for process in started if (code := process.wait())]:
        raise SystemExit("a process of the dataflow failed")
    return {}


if __name__ == "__main__":
    serve(run)
