"""What a collector costs: messages a second, CPU seconds a million messages, memory over ten replays and with Kafka
frozen for a minute. `python -m benchmarks.collector`; starts its own Kafka, registry, replay server and collector.
"""

import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil

from deploy import stack
from orchestration.prepare import apply_topics
from orchestration.settings import Settings
from orchestration.values import stack_settings

VENUE = "binance"
REPLAYS = 10
FREEZE_S = 60.0
PORT_OFFSET = 35_000


class Bench:
    """A running platform without Spark and warehouse, and what is read off it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stack = stack_settings(settings)
        self.name = f"collector-{VENUE}"

    def ask(self, method: str, service: str, path: str, body: dict[str, object] | None = None) -> dict[str, Any]:
        """Ask a service over HTTP."""
        url = f"http://127.0.0.1:{self.settings.port(service)}{path}"
        answer = httpx2.request(method, url, json=body, timeout=90, trust_env=False)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def process(self) -> psutil.Process:
        """Return the collector's process."""
        return psutil.Process(next(s.pid for s in stack.status(self.stack).services if s.name == self.name))

    def ready(self, seconds: float = 60.0) -> None:
        """Wait until the collector listens: before, it has nothing to forget."""
        end = time.monotonic() + seconds
        while self.ask("GET", self.name, "/health")["status"] != "running":
            if time.monotonic() > end:
                raise SystemExit(f"the collector does not listen within {seconds:.0f} s")
            time.sleep(0.1)

    def play(self) -> None:
        """Begin to play the tape as fast as the collector takes it."""
        self.ask("POST", self.name, "/forget", {})
        self.ask("POST", "replay", "/play", {"speed": "max", "partial": True})

    def finished(self, seconds: float = 600.0) -> None:
        """Wait until everything was played and Kafka has all of it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.ask("GET", "replay", "/status")["state"] == "finished":
                told = self.ask("GET", self.name, "/health")
                if told["lag"] == 0:
                    return
            time.sleep(0.1)
        raise SystemExit(f"not finished within {seconds:.0f} s")


def measure(bench: Bench) -> None:
    """Play and print."""
    process = bench.process()
    bench.ready()
    sys.stdout.write(f"{'replay':>6}{'messages':>10}{'a second':>10}{'CPU s a million':>17}{'memory MiB':>12}\n")
    for number in range(1, REPLAYS + 1):
        messages = bench.ask("GET", bench.name, "/health")["messages"]
        cpu, began = sum(process.cpu_times()[:2]), time.monotonic()
        bench.play()
        bench.finished()
        seconds = time.monotonic() - began
        count = bench.ask("GET", bench.name, "/health")["messages"] - messages
        cost = (sum(process.cpu_times()[:2]) - cpu) / count * 1e6
        memory = process.memory_info().rss / 2**20
        sys.stdout.write(f"{number:>6}{count:>10,}{count / seconds:>10,.0f}{cost:>17.0f}{memory:>12.0f}\n")
        sys.stdout.flush()
    freeze(bench, process)


def freeze(bench: Bench, process: psutil.Process) -> None:
    """Stop Kafka's process for a while amid a replay and watch the collector's memory."""
    bench.play()
    time.sleep(1.0)
    before = process.memory_info().rss / 2**20
    stack.kill(bench.stack, "kafka", signal.SIGSTOP)
    most = before
    end = time.monotonic() + FREEZE_S
    while time.monotonic() < end:
        most = max(most, process.memory_info().rss / 2**20)
        time.sleep(0.5)
    told = bench.ask("GET", bench.name, "/health")
    stack.kill(bench.stack, "kafka", signal.SIGCONT)
    bench.finished()
    after = process.memory_info().rss / 2**20
    sys.stdout.write(
        f"Kafka frozen for {FREEZE_S:.0f} s: memory {before:.0f} MiB before, at most {most:.0f} during, {after:.0f} "
        f"after; {told['lag']:,} payloads waited, reading paused {told['pauses']} times; all of it arrived later\n"
    )


def main() -> None:
    """Start what is needed, measure, stop it."""
    folder = Path(tempfile.mkdtemp(prefix="tapehouse-bench-"))
    settings = Settings(data_dir=folder, port_offset=PORT_OFFSET, venues=(VENUE,))
    bench = Bench(settings)
    try:
        stack.up(bench.stack, only={"kafka", "registry"})
        apply_topics(settings)
        stack.up(bench.stack, only={"kafka", "registry", "replay", bench.name})
        measure(bench)
    finally:
        stack.down(bench.stack)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
