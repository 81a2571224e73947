"""What `tapehouse status` tells: each process, its health, its memory."""

import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contracts.errors import RetryableError
from deploy.stack import catalog, counts, processes, supervisor
from deploy.stack.service import Service, UnhealthyError
from deploy.stack.settings import StackSettings

CHECK_SECONDS = 2.0
STATES = {"STARTING": "starting", "BACKOFF": "failing", "STOPPING": "stopping", "FATAL": "failed"}


@dataclass(frozen=True)
class ProcessReport:
    """One process.

    `state` is healthy, unhealthy, starting, failing (ends right after its start), stopping, failed or stopped.
    `lag` counts records that wait to be processed, None where nobody knows; `reason` says why it is not healthy.
    """

    name: str
    state: str
    pid: int | None = None
    port: int | None = None
    uptime_seconds: int | None = None
    restarts: int = 0
    lag: int | None = None
    memory_bytes: int = 0
    reason: str = ""
    log: str = ""


@dataclass(frozen=True)
class StackReport:
    """The platform at one moment; the supervisor and the watcher are counted in `memory_bytes`."""

    services: tuple[ProcessReport, ...]
    supervisor: tuple[ProcessReport, ...]
    memory_bytes: int

    @property
    def running(self) -> bool:
        """Tell whether anything runs."""
        return any(one.pid for one in (*self.services, *self.supervisor))

    @property
    def healthy(self) -> bool:
        """Tell whether every service that was started is healthy, and at least one was."""
        started = [one for one in self.services if one.state != "stopped"]
        return bool(started) and all(one.state == "healthy" for one in started)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON takes it."""
        return {"running": self.running, "healthy": self.healthy, **asdict(self)}


def status(settings: StackSettings, lags: Mapping[str, int] | None = None) -> StackReport:
    """Ask supervisord, the services and the operating system; works when nothing runs.

    `lags` gives the lag of services that do not tell it themselves at /health.
    """
    lags = lags or {}
    described = catalog.services(settings, Path("java"))
    running = supervisor.Supervisor(settings)
    states: dict[str, dict[str, Any]] = {}
    with contextlib.suppress(RetryableError):
        states = running.processes()
    restarts = counts.read(settings) if states else {}

    def report(service: Service) -> ProcessReport:
        return of_service(settings, service, states.get(service.name, {}), restarts, lags)

    with ThreadPoolExecutor(max_workers=len(described)) as pool:
        reports = tuple(pool.map(report, (described[name] for name in catalog.names(settings))))
    own = of_supervisor(settings, running, states) if states else ()
    return StackReport(reports, own, sum(one.memory_bytes for one in (*reports, *own)))


def of_service(
    settings: StackSettings,
    service: Service,
    state: Mapping[str, Any],
    restarts: Mapping[str, int],
    lags: Mapping[str, int],
) -> ProcessReport:
    """Return the report of one service, its health asked just now."""
    pid = int(state.get("pid", 0))
    name, reason, told = STATES.get(str(state.get("statename")), "stopped"), "", {}
    if pid:
        try:
            told = dict(service.check(CHECK_SECONDS))
            name = "healthy"
        except UnhealthyError as error:
            reason = str(error)
            name = "unhealthy" if state["statename"] == "RUNNING" else name
    elif name == "failed":
        reason = str(state.get("spawnerr") or "ended too often")
    lag = told.get("lag", lags.get(service.name))
    return ProcessReport(
        name=service.name,
        state=name,
        pid=pid or None,
        port=service.ports[0] if service.ports else None,
        uptime_seconds=int(state["now"] - state["start"]) if pid else None,
        restarts=restarts.get(service.name, 0),
        lag=int(lag) if isinstance(lag, int | float) else None,
        memory_bytes=processes.memory(pid) if pid else 0,
        reason=reason,
        log=str(settings.log(service.name)),
    )


def of_supervisor(
    settings: StackSettings, running: supervisor.Supervisor, states: Mapping[str, Mapping[str, Any]]
) -> tuple[ProcessReport, ...]:
    """Return the reports of supervisord itself and of its watcher."""
    watch = states.get(supervisor.WATCH, {})
    watch_pid, pid = int(watch.get("pid", 0)), int(running.call("getPID"))
    watcher = ProcessReport(
        name=supervisor.WATCH,
        state="healthy" if watch.get("statename") == "RUNNING" else "starting",
        pid=watch_pid or None,
        memory_bytes=processes.memory(watch_pid) if watch_pid else 0,
        log=str(settings.log(supervisor.WATCH)),
    )
    daemon = ProcessReport(
        name="supervisord",
        state="healthy",
        pid=pid,
        memory_bytes=processes.memory(pid, children=False),
        log=str(settings.log("supervisord")),
    )
    return (daemon, watcher)
