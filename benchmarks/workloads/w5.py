"""W5: how our path grows: cores, partitions, instruments, and a backlog that must not show in memory."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psutil

from benchmarks.events import Shape, make_events
from benchmarks.oracle import right_answer
from benchmarks.platform import Platform
from benchmarks.script import Progress
from benchmarks.statistics import Result
from benchmarks.workloads.w1 import SYSTEMS, run_w1

WORKLOAD = "W5"
USUAL = Shape(count=0)


@dataclass(frozen=True)
class Case:
    """One point of the measurement; `cores` 0 is all there are."""

    name: str
    count: int
    partitions: int = USUAL.partitions
    instruments: int = USUAL.instruments
    cores: int = 0


def cases(count: int, backlog: int) -> list[Case]:
    """List what is measured, `count` trades each and `backlog` once."""
    return [
        Case("1 core", count, cores=1),
        Case("2 cores", count, cores=2),
        *(Case(f"{n} partition{'s' * (n > 1)}", count, partitions=n) for n in (1, 8, 16)),
        *(Case(f"{n} instruments", count, instruments=n) for n in (10, 1000)),
        Case("backlog", backlog),
    ]


def run_w5(platform: Platform, chosen: Sequence[Case], rounds: int, progress: Progress) -> list[Result]:
    """Measure our path at each case, warmed up, with a topic of its own shape."""
    found = []
    # The archive would do as much in each case: what it costs stands in W1.
    platform.make_tape_anew()
    for case in chosen:
        events = make_events(Shape(case.count, instruments=case.instruments, partitions=case.partitions))
        platform.make_trades_anew(case.partitions)
        platform.load_trades(events, progress.now)
        progress.done(f"{WORKLOAD} {case.name}: {case.count:,} trades in Kafka")
        with _bound(platform, case.cores) as cores:
            ours = replace(SYSTEMS[0], cores=cores)
            (result,) = run_w1(platform, events, right_answer(events), rounds, 1, progress, [ours])
        peaks = [at[1] for one in result.rounds for at in one.details["memory_mb"]]
        note = f"{case.partitions} partitions, {case.instruments} instruments"
        if peaks:
            note += f"; memory {peaks[0]:,.0f} MiB as a round began, at most {max(peaks):,.0f}"
        found.append(replace(result, workload=WORKLOAD, system=f"tapehouse, {case.name}", note=note))
    return found


@contextmanager
def _bound(platform: Platform, count: int) -> Iterator[tuple[int, ...]]:
    """Bind the warehouse, which works for us, to so many cores; the script is bound to the same. 0: to none."""
    every = tuple(psutil.Process().cpu_affinity() or ())
    cores = every[:count] if count else ()
    warehouse = platform.process("warehouse").pid
    if cores:
        _bind(warehouse, cores)
    try:
        yield cores
    finally:
        if cores:
            _bind(warehouse, every)


def _bind(pid: int, cores: Sequence[int]) -> None:
    # All threads of the process: psutil would bind the first alone.
    command = ["taskset", "--all-tasks", "--cpu-list", "--pid", ",".join(map(str, cores)), str(pid)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
