"""Count restarts, and restart what is alive but not healthy: an event listener that supervisord runs.

Run as `python -m deploy.stack.watch <run_dir>/stack.json`. Its own log is watch.log.
"""

import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor import childutils

from contracts.errors import TapehouseError
from deploy.stack import catalog, counts, processes, supervisor
from deploy.stack.service import Service, UnhealthyError
from deploy.stack.settings import StackSettings

CHECK_SECONDS = 3.0


@dataclass
class Watched:
    """What the watcher remembers of one process: which one, and since when it has not been healthy."""

    pid: int = 0
    was_healthy: bool = False
    sick_since: float | None = None


class Watcher:
    """Follow supervisord's events; `clock` is monotonic seconds."""

    def __init__(self, settings: StackSettings, services: Mapping[str, Service]) -> None:
        self.settings, self.services = settings, services
        self.supervisor = supervisor.Supervisor(settings)
        self.counts: dict[str, int] = {}
        self.watched = {name: Watched() for name in services}
        self.pool = ThreadPoolExecutor(max_workers=len(services) or 1)
        self.save()

    def save(self) -> None:
        """Write the counts for `tapehouse status`."""
        counts.write(self.settings, self.counts)

    def event(self, name: str, payload: Mapping[str, str]) -> None:
        """Take note of one event of supervisord's."""
        process = payload.get("processname", "")
        if name.startswith("TICK"):
            self.tick(time.monotonic())
        elif process not in self.services:
            return
        elif name == "PROCESS_STATE_EXITED":
            # What died may leave children that still hold its port: Spark's JVM outlives its Python.
            processes.kill_group(int(payload.get("pid", 0)))
            self.note(process, f"pid {payload.get('pid')} ended by itself, supervisord starts it again")
        elif name == "PROCESS_STATE_BACKOFF":
            self.note(process, f"ended right after its start, try {payload.get('tries')}")

    def note(self, process: str, what: str) -> None:
        """Count a restart and log why."""
        self.counts[process] = self.counts.get(process, 0) + 1
        self.save()
        log(f"{process}: {what}; restart {self.counts[process]}")

    def tick(self, now: float) -> None:
        """Ask every running process how it is; restart who has been sick too long."""
        states = self.supervisor.processes()
        running = [name for name in self.services if states.get(name, {}).get("statename") == "RUNNING"]
        answers = dict(zip(running, self.pool.map(self.ask, running), strict=True))
        for name, watched in self.watched.items():
            state = states.get(name, {})
            if state.get("statename") == "FATAL":
                self.sick(name, "could not be started", now)
            elif name not in answers or state["pid"] != watched.pid:
                self.watched[name] = Watched(pid=int(state.get("pid", 0)))
            elif not answers[name]:
                watched.was_healthy, watched.sick_since = True, None
            elif watched.was_healthy or state["now"] - state["start"] > self.services[name].start_seconds:
                self.sick(name, answers[name], now)

    def sick(self, name: str, why: str, now: float) -> None:
        """Remember since when, and restart after the time that the settings allow."""
        watched = self.watched[name]
        if watched.sick_since is None:
            watched.sick_since = now
            log(f"{name}: not healthy: {why}")
        elif now - watched.sick_since >= self.settings.unhealthy_seconds:
            self.watched[name] = Watched()
            self.note(name, f"not healthy for {now - watched.sick_since:.0f} s ({why}), restarted")
            seconds = self.services[name].stop_seconds + supervisor.STOP_GRACE_SECONDS
            self.supervisor.stop([name], seconds)
            self.supervisor.start(name)

    def ask(self, name: str) -> str:
        """Return why a service is not healthy, empty when it is."""
        try:
            self.services[name].check(CHECK_SECONDS)
        except UnhealthyError as error:
            return str(error)
        return ""


def log(line: str) -> None:
    """Write to the watcher's log; stdout belongs to supervisord's protocol."""
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main(state: Path) -> None:
    """Serve supervisord's events until it ends."""
    settings = StackSettings.from_json(state.read_text())
    watcher = Watcher(settings, catalog.services(settings, Path("java")))
    while True:
        headers, body = childutils.listener.wait(sys.stdin, sys.stdout)
        try:
            watcher.event(headers["eventname"], payload_of(body))
        except (TapehouseError, OSError) as error:
            log(f"{headers['eventname']}: {error}")
        childutils.listener.ok(sys.stdout)


def payload_of(body: str) -> dict[str, Any]:
    """Return the key:value pairs of an event."""
    return dict(pair.split(":", 1) for pair in body.split() if ":" in pair)


if __name__ == "__main__":
    # supervisord ends its listeners by SIGTERM, or by closing stdin when it is killed itself.
    try:
        main(Path(sys.argv[1]))
    except (KeyboardInterrupt, BrokenPipeError, KeyError):
        os._exit(0)
