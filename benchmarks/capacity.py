"""What a rate needs in cores, partitions, executors and shards: arithmetic on what was measured and what is assumed."""

import json
import math
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.report import FOLDER

TARGET_RATE, TARGET_INSTRUMENTS = 1_000_000, 6_000


@dataclass(frozen=True)
class Measured:
    """Readings of one machine: CPU seconds a million events, events a second of one partition, bytes an event."""

    streams_cpu_s: float
    warehouse_cpu_s: float
    broker_cpu_s: float
    partition_rate: float
    topic_bytes: float
    table_bytes: float


@dataclass(frozen=True)
class Assumed:
    """What was not measured here: how full a core may be, the sizes of machines, copies, readers of each record."""

    busy: float = 0.6
    executor_cores: int = 4
    shard_cores: int = 16
    copies: int = 3
    shard_copies: int = 2
    readers: int = 3


@dataclass(frozen=True)
class Need:
    """What it comes to. Bytes are of one second on all brokers' network, and of one day on disk, copies included."""

    stream_cores: int
    executors: int
    partitions: int
    shards: int
    broker_cores: int
    network_bytes: float
    topic_bytes_a_day: float
    table_bytes_a_day: float
    instruments_a_partition: int


def need(rate: float, instruments: int, measured: Measured, assumed: Assumed) -> Need:
    """Return what a rate of events a second needs."""
    million = rate / 1e6
    stream_cores = math.ceil(million * measured.streams_cpu_s / assumed.busy)
    executors = math.ceil(stream_cores / assumed.executor_cores)
    # A task reads one partition: as many as keep up, and as many as there are cores, so that none idles.
    wanted = max(rate / (measured.partition_rate * assumed.busy), executors * assumed.executor_cores)
    partitions = math.ceil(wanted / executors) * executors
    day = rate * 86_400
    return Need(
        stream_cores=stream_cores,
        executors=executors,
        partitions=partitions,
        shards=math.ceil(million * measured.warehouse_cpu_s / assumed.busy / assumed.shard_cores),
        broker_cores=math.ceil(million * measured.broker_cpu_s * assumed.copies / assumed.busy),
        network_bytes=rate * measured.topic_bytes * (assumed.copies + assumed.readers),
        topic_bytes_a_day=day * measured.topic_bytes * assumed.copies,
        table_bytes_a_day=day * measured.table_bytes * assumed.shard_copies,
        instruments_a_partition=math.ceil(instruments / partitions),
    )


def measured_in(entries: list[dict[str, Any]]) -> Measured:
    """Take the readings from what `make bench` left; StopIteration where W1 of ours or W5 with one partition lacks."""
    w1 = next(e for e in entries if e["workload"] == "W1" and e["system"] == "tapehouse")
    one = next(e for e in entries if e["workload"] == "W5" and e["system"] == "tapehouse, 1 partition")
    details = w1["details"]
    return Measured(
        streams_cpu_s=details["cpu_s_per_million"]["streams"],
        warehouse_cpu_s=details["cpu_s_per_million"]["warehouse"],
        broker_cpu_s=w1["broker_cpu_s_per_million"],
        partition_rate=one["events_per_s"]["median"],
        topic_bytes=details["bytes_an_event"]["topic"],
        table_bytes=details["bytes_an_event"]["table"],
    )


def markdown(rate: float, instruments: int, measured: Measured, assumed: Assumed) -> str:
    """Return what a rate needs as a table, behind each figure the reading or the assumption that it rests on."""
    found = need(rate, instruments, measured, assumed)
    m, a = measured, assumed
    million, day = rate / 1e6, rate * 86_400
    full = f"a core {a.busy:.0%} busy (assumed)"
    rows = [
        (
            "cores for the streams",
            f"{found.stream_cores:,}",
            f"{million:g} M/s x {m.streams_cpu_s:.2f} CPU-s a million (W1, JVM and Python workers), {full}",
        ),
        ("executors", f"{found.executors:,}", f"of {a.executor_cores} cores (assumed)"),
        (
            "partitions of market.trades",
            f"{found.partitions:,}",
            f"one keeps up with {m.partition_rate:,.0f}/s (W5, one partition), {a.busy:.0%} of it used; at least one a "
            "core, the same number for each executor",
        ),
        ("instruments a partition", f"{found.instruments_a_partition:,}", f"{instruments:,}, spread by key"),
        (
            "ClickHouse shards",
            f"{found.shards:,}",
            f"{million:g} M/s x {m.warehouse_cpu_s:.2f} CPU-s a million (W1, the warehouse), {full}, "
            f"{a.shard_cores} cores each (assumed); {a.shard_copies} copies of each beside that",
        ),
        (
            "cores for the brokers",
            f"{found.broker_cores:,}",
            f"{million:g} M/s x {m.broker_cpu_s:.2f} CPU-s a million (W1, reading alone) x {a.copies} copies, {full}",
        ),
        (
            "network of the brokers",
            f"{found.network_bytes / 1e9:,.2f} GB/s",
            f"{m.topic_bytes:.0f} bytes an event (measured, lz4) x ({a.copies} copies + {a.readers} readers, assumed)",
        ),
        (
            "Kafka's disks, a day",
            f"{found.topic_bytes_a_day / 1e12:,.1f} TB",
            f"{day / 1e9:,.1f} G events x {m.topic_bytes:.0f} bytes x {a.copies} copies",
        ),
        (
            "ClickHouse's disks, a day",
            f"{found.table_bytes_a_day / 1e12:,.1f} TB",
            f"{day / 1e9:,.1f} G events x {m.table_bytes:.0f} bytes (measured) x {a.shard_copies} copies",
        ),
    ]
    lines = ["| what | how much | because |", "| --- | ---: | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def main() -> None:
    """Print what the targets need, from the last run."""
    measured = measured_in(json.loads((FOLDER / "latest.json").read_text()))
    sys.stdout.write(markdown(TARGET_RATE, TARGET_INSTRUMENTS, measured, Assumed()) + "\n")


if __name__ == "__main__":
    main()
