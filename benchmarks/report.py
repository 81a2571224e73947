"""What is left of a run: JSON for programs, a table and a plot for people."""

import json
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.statistics import Result
from orchestration.settings import REPOSITORY

FOLDER = REPOSITORY / "var" / "bench"
OF_OURS = ("pyspark", "polars", "confluent-kafka", "chdb-core")


def machine() -> dict[str, Any]:
    """Describe where it was measured."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    return {
        "cpu": model or platform.processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(psutil.getloadavg()[0], 1),
    }


def versions() -> dict[str, str]:
    """Return the versions of what we run on."""
    return {"python": platform.python_version()} | {name: version(name) for name in OF_OURS}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def merged(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put new entries in the place of old ones of the same workloads."""
    measured = {entry["workload"] for entry in new}
    kept = [entry for entry in old if entry["workload"] not in measured]
    return sorted([*kept, *new], key=lambda entry: str(entry["workload"]))


def write_report(results: Sequence[Result], quick: bool, folder: Path = FOLDER) -> None:
    """Write latest.json, latest.md and latest.png, and print the table."""
    from benchmarks.plot import rates_plot
    from benchmarks.table import markdown

    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "machine": machine(),
        "versions": versions(),
    }
    latest = folder / "latest.json"
    old = json.loads(latest.read_text()) if latest.exists() else []
    entries = merged(old, [result.as_json() | about for result in results])
    latest.write_text(json.dumps(entries, indent=2) + "\n")
    text = markdown(entries)
    (folder / "latest.md").write_text(text)
    (folder / "latest.png").write_bytes(rates_plot(entries))
    sys.stdout.write(text)
