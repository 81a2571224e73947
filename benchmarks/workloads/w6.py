"""W6: labels joined with the features that were known at their moment, late rows and corrections among them; and
one vector read from Redis.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from benchmarks.environments import OURS, environment_of
from benchmarks.feature_rows import ROW, Made, judge, make
from benchmarks.measure import Watch
from benchmarks.peers.rounds import Job
from benchmarks.peers.w6_online import READS, WARM_READS
from benchmarks.platform import Platform
from benchmarks.script import Progress, Script, ScriptFailedError
from benchmarks.statistics import Result, Round

WORKLOAD, ONLINE = "W6 join", "W6 online"
ROWS, QUICK_ROWS, A_LABEL, INSTRUMENTS = 10_000_000, 500_000, 10, 1000
DEADLINE_S = 1800.0


@dataclass(frozen=True)
class System:
    """Who joins, by which script, in which environment, and how it is said to do it."""

    name: str
    script: str
    environment: str
    note: str


SYSTEMS = (
    System("tapehouse", "w6_ours", OURS, "of what was known then the newest moment, in its last revision of then"),
    System("polars", "w6_polars", OURS, "join_asof on known time: a row that was filled in late hides newer ones"),
    System("DuckDB", "w6_duckdb", "duckdb", "ASOF JOIN on known time: as polars"),
    System("pandas", "w6_pandas", "feast", "merge_asof on known time: as polars"),
    System("Feast 0.67", "w6_feast", "feast", "DuckDB offline store, event time, known time as created timestamp"),
)
ONLINE_SYSTEMS = (
    System("tapehouse", "w6_online_ours", OURS, "a hash an instrument, one HGETALL; 30 features of one source"),
    System("Feast 0.67", "w6_online_feast", "feast", "get_online_features from its Redis store"),
)


def run_w6(platform: Platform, rows: int, rounds: int, progress: Progress) -> list[Result]:
    """Let each system make the same training set from the same Parquet, and read the same vectors; warm-up first."""
    with tempfile.TemporaryDirectory(prefix="tapehouse-bench-") as name:
        folder = Path(name)
        progress.now(f"{WORKLOAD}: writing {rows:,} rows")
        made = make(folder, rows, rows // A_LABEL, min(INSTRUMENTS, max(rows // 1000, 1)))
        joined = [_measured(system, made, folder, rounds, progress) for system in SYSTEMS]
        with platform.service("redis"):
            online = [_online(system, platform, folder, rounds, progress) for system in ONLINE_SYSTEMS]
        return joined + online


def _online(system: System, platform: Platform, folder: Path, rounds: int, progress: Progress) -> Result:
    reads = WARM_READS + READS
    more = {"url": platform.settings.cache.url, "folder": str(folder)}

    def seen(told: dict[str, Any]) -> tuple[bool, str]:
        wrong = told["wrong"]
        return not wrong, f"{wrong:,} of {reads:,} vectors wrong" if wrong else "every vector as written"

    job = Job(system.script, "", "", "", {0: reads}, 1, platform.peer_port, more)
    return _played(ONLINE, "redis", system, job, rounds, progress, seen)


def _measured(system: System, made: Made, folder: Path, rounds: int, progress: Progress) -> Result:
    out = folder / f"{system.script}.parquet"
    more = {"rows": str(made.rows), "labels": str(made.labels), "out": str(out), "folder": str(folder)}

    def seen(told: dict[str, Any]) -> tuple[bool, str]:
        judged = judge(made, pl.read_parquet(out, columns=["label", ROW]))
        # The next round writes its own.
        out.unlink()
        told |= {"leaked": judged.leaked, "wrong": judged.wrong, "tried": judged.tried}
        return not judged.leaked and not judged.wrong, judged.note

    job = Job(system.script, "", "", "", {0: len(made.label_time)}, psutil.cpu_count() or 1, 0, more)
    return _played(WORKLOAD, "parquet", system, job, rounds, progress, seen)


def _played(
    workload: str,
    form: str,
    system: System,
    job: Job,
    rounds: int,
    progress: Progress,
    seen: Callable[[dict[str, Any]], tuple[bool, str]],
) -> Result:
    """Do a warm-up round and those that count; `seen` judges each by what it told, and may add to that."""
    environment = environment_of(system.environment)
    if environment.missing:
        return Result(workload, system.name, form, absent=environment.missing, note=system.note)
    script = Script(f"benchmarks.peers.{system.script}", environment, job)
    done: list[Round] = []
    absent = ""
    try:
        for number in range(rounds + 1):
            progress.now(f"{workload} {system.name}: {'warm-up' if number == 0 else f'round {number}'}")
            with Watch([script.process], []) as watch:
                told = script.round(number, DEADLINE_S)
            seconds = told.pop("ended") - told.pop("began")
            right, note = seen(told)
            said = f"{told['latency_ms']}, {note}" if "latency_ms" in told else f"{seconds:.1f} s, {note}"
            progress.done(f"{workload} {system.name} {number or 'warm-up'}: {said}")
            if number:
                done.append(Round(job.events, seconds, watch.cpu_s, 0.0, watch.peak_mb, right, note, told))
    except ScriptFailedError as error:
        absent = str(error)
        progress.done(f"{workload} {system.name}: {error}")
    finally:
        script.close()
    # What stands for all of them: the round in the middle.
    middle = sorted(done, key=lambda one: one.seconds)[len(done) // 2].details if done else {}
    return Result(workload, system.name, form, rounds=tuple(done), absent=absent, note=system.note, details=middle)
