"""Count restarts, and restart what is alive but not healthy: an event listener that supervisord runs.

Run as `python -m deploy.stack.watch <run_dir>/stack.json`. Its own log is watch.log.
"""

import os
import signal
import sys
import threading
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
    """What the watcher remembers of one process: since when it is sick, and when it was told to end."""

    pid: int = 0
    was_healthy: bool = False
    sick_since: float | None = None
    ended_at: float | None = None


class Watcher:
    """Follow supervisord's events, and ask every process how it is, twelve times in the time it may be sick."""

    def __init__(self, settings: StackSettings, services: Mapping[str, Service]) -> None:
        self.settings, self.services = settings, services
        self.interval = settings.unhealthy_seconds / 12
        self.supervisor = supervisor.Supervisor(settings)
        self.counts: dict[str, int] = {}
        self.watched = {name: Watched() for name in services}
        self.pool = ThreadPoolExecutor(max_workers=len(services) or 1)
        counts.write(settings, self.counts)

    def event(self, name: str, payload: Mapping[str, str]) -> None:
        """Take note of one event of supervisord's."""
        process = payload.get("processname", "")
        if process not in self.services:
            return
        if name == "PROCESS_STATE_EXITED":
            # What died may leave children that still hold its port: Spark's JVM outlives its Python.
            processes.kill_group(int(payload.get("pid", 0)))
            self.note(process, f"pid {payload.get('pid')} has ended, supervisord starts it again")
        elif name == "PROCESS_STATE_BACKOFF":
            self.note(process, f"ended right after its start, try {payload.get('tries')}")

    def note(self, process: str, what: str) -> None:
        """Count a restart and log why."""
        self.counts[process] = self.counts.get(process, 0) + 1
        counts.write(self.settings, self.counts)
        log(f"{process}: {what}; restart {self.counts[process]}")

    def look_forever(self) -> None:
        """Look at every process again and again; what goes wrong in one look is logged."""
        pause = threading.Event()
        while not pause.wait(self.interval):
            try:
                self.look(time.monotonic())
            except (TapehouseError, OSError) as error:
                log(f"watch: {error}")

    def look(self, now: float) -> None:
        """Ask every running process how it is, and deal with those that are not well."""
        states = self.supervisor.processes()
        running = [name for name in self.services if states.get(name, {}).get("statename") == "RUNNING"]
        answers = dict(zip(running, self.pool.map(self.ask, running), strict=True))
        for name in self.services:
            state, watched = states.get(name, {}), self.watched[name]
            if state.get("statename") == "FATAL":
                if self.sick(name, "could not be started", now):
                    self.watched[name] = Watched()
                    self.supervisor.start(name)
            elif name not in answers or state["pid"] != watched.pid:
                self.watched[name] = Watched(pid=int(state.get("pid", 0)))
            elif not answers[name]:
                self.watched[name] = Watched(watched.pid, was_healthy=True)
            elif watched.ended_at is not None:
                if now - watched.ended_at > self.services[name].stop_seconds / 3:
                    processes.kill_group(watched.pid)
            # A process that was not healthy yet has its time to start, which may be longer.
            elif (
                watched.was_healthy or state["now"] - state["start"] > self.services[name].start_seconds
            ) and self.sick(name, answers[name], now):
                watched.ended_at = now
                processes.kill_group(watched.pid, signal.SIGTERM)

    def sick(self, name: str, why: str, now: float) -> bool:
        """Remember since when a process is not well; tell whether that is too long."""
        watched = self.watched[name]
        if watched.sick_since is None:
            watched.sick_since = now
            log(f"{name}: not healthy: {why}")
        too_long = now - watched.sick_since >= self.settings.unhealthy_seconds
        if too_long:
            log(f"{name}: not healthy for {now - watched.sick_since:.0f} s ({why}): it is ended and started again")
        return too_long

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
    threading.Thread(target=watcher.look_forever, daemon=True).start()
    while True:
        headers, body = childutils.listener.wait(sys.stdin, sys.stdout)
        try:
            watcher.event(headers["eventname"], payload_of(body))
        except OSError as error:
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
