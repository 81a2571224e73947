"""Start and stop the local platform, as a whole or one process of it."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from contracts.errors import TerminalError
from deploy.java import JavaProblemError, find_java
from deploy.stack import catalog, processes, supervisor
from deploy.stack.dagster import home_of
from deploy.stack.files import write_text
from deploy.stack.progress import Progress
from deploy.stack.settings import StackSettings
from deploy.stack.startup import Startup

SMALLEST_FREE_BYTES = 512 * 1024 * 1024
LONGEST_STOP_SECONDS = 60


def up(
    settings: StackSettings,
    only: Collection[str] | None = None,
    prepare: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> None:
    """Start what does not run yet and return when all of it is healthy.

    `prepare` is called once Kafka, registry and warehouse are healthy, before what depends on topics and tables
    starts; it must be safe to repeat. Raises TapehouseError with one line that says which service, why, and what
    to do; what did become healthy keeps running.
    """
    progress = progress or Progress()
    names = catalog.chosen(settings, only)
    with locked(settings):
        services = catalog.services(settings, java())
        refuse_full_disk(settings)
        text = supervisor.configuration(settings, services.values())
        running = running_with(settings, text, progress)
        states = running.processes() if running else {}
        wanted = [services[name] for name in names]
        missing = [service for service in wanted if not states.get(service.name, {}).get("pid")]
        for service in missing:
            for path in service.needs:
                if not path.exists():
                    raise TerminalError(f"{service.name} needs {path}, which is not there: make setup")
        processes.refuse_taken_ports(missing)
        if running is None:
            write_text(supervisor.state_file(settings), settings.as_json(fingerprint(settings, text)))
            running = supervisor.start(settings, text, environment_of(settings))
        Startup(settings, running, wanted, prepare, progress).run()


def down(settings: StackSettings, progress: Progress | None = None) -> None:
    """Stop everything in order, Kafka last, and make sure that nothing is left; nothing running is fine."""
    progress = progress or Progress()
    with locked(settings):
        end_all(settings, progress)


def start_one(settings: StackSettings, name: str, progress: Progress | None = None) -> None:
    """Start one process of a platform that is up and wait until it is healthy."""
    service = catalog.services(settings, java())[catalog.chosen(settings, {name})[0]]
    Startup(settings, supervisor.Supervisor(settings), [service], None, progress or Progress()).run()


def stop_one(settings: StackSettings, name: str) -> None:
    """Stop one process in good order and keep it stopped; returns when it has ended."""
    service = catalog.services(settings, java())[catalog.chosen(settings, {name})[0]]
    supervisor.Supervisor(settings).stop([name], service.stop_seconds + supervisor.STOP_GRACE_SECONDS)


def kill(settings: StackSettings, name: str, number: signal.Signals = signal.SIGKILL) -> int:
    """Signal a process and its children as a crash would; the supervisor starts it again. Returns its pid."""
    pid = int(supervisor.Supervisor(settings).process(catalog.chosen(settings, {name})[0])["pid"])
    if not processes.kill_group(pid, number):
        raise TerminalError(f"{name} does not run, so it cannot be killed; tapehouse status shows what runs")
    return pid


def kill_all(settings: StackSettings) -> None:
    """Kill every process of the stack at once, the supervisor too, as a power cut would."""
    processes.kill(processes.marked(settings))


def java() -> Path:
    """Return the Java to use, or raise one line that says what to install."""
    try:
        return find_java(os.environ)
    except JavaProblemError as error:
        raise TerminalError(str(error)) from error


def refuse_full_disk(settings: StackSettings) -> None:
    """Raise when the data directory's disk has no room to work in."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.data_dir).free
    if free < SMALLEST_FREE_BYTES:
        raise TerminalError(
            f"the disk of {settings.data_dir} has {free // 2**20} MiB free, needed are "
            f"{SMALLEST_FREE_BYTES // 2**20}: free some, or choose another TAPEHOUSE_DATA_DIR"
        )


def environment_of(settings: StackSettings) -> dict[str, str]:
    """Return what every process is given: the caller's environment, with our settings and the stack's marker."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TAPEHOUSE_")}
    ours = {processes.MARKER: settings.marker, "DAGSTER_HOME": str(home_of(settings)), "PYTHONUNBUFFERED": "1"}
    return inherited | dict(settings.environment) | ours


def fingerprint(settings: StackSettings, text: str) -> str:
    """Return a hash of all that a running supervisord was started with."""
    return hashlib.sha256(json.dumps([text, dict(settings.environment)], sort_keys=True).encode()).hexdigest()


def running_with(settings: StackSettings, text: str, progress: Progress) -> supervisor.Supervisor | None:
    """Return the supervisord that runs with just these settings; end whatever else of this stack still runs."""
    running = supervisor.Supervisor(settings)
    if running.answers():
        if known_fingerprint(settings) == fingerprint(settings, text):
            return running
        progress.line("settings changed: the platform is restarted")
    elif left := processes.marked(settings):
        progress.line(f"{len(left)} processes are left of an earlier run: they are ended")
    else:
        return None
    end_all(settings, progress)
    return None


def known_fingerprint(settings: StackSettings) -> str:
    """Return the fingerprint that the running supervisord was started with, empty when unknown."""
    try:
        return str(json.loads(supervisor.state_file(settings).read_text())["fingerprint"])
    except (OSError, ValueError, KeyError):
        return ""


def end_all(settings: StackSettings, progress: Progress) -> None:
    """Stop the processes in order, then the supervisor, then whatever else carries the marker."""
    running = supervisor.Supervisor(settings)
    try:
        if running.answers():
            stop_in_order(settings, running, progress)
            running.call("shutdown")
            processes.ended_not(processes.marked(settings), 15)
        processes.end(processes.marked(settings), seconds=15)
    finally:
        progress.finish()
    if left := processes.marked(settings):
        pids = ", ".join(str(one.pid) for one in left)
        raise TerminalError(f"processes {pids} cannot be ended; end them by hand: kill -9 {pids.replace(',', '')}")


def stop_in_order(settings: StackSettings, running: supervisor.Supervisor, progress: Progress) -> None:
    """Stop each group of processes before the next."""
    for group in catalog.stop_order(settings):
        states = running.processes()
        alive = [name for name in group if states.get(name, {}).get("pid")]
        if not alive:
            continue
        progress.waiting([f"{name} to stop" for name in alive])
        running.stop(alive, LONGEST_STOP_SECONDS)
        for name in alive:
            progress.line(f"{name:<18} stopped")


@contextlib.contextmanager
def locked(settings: StackSettings) -> Iterator[None]:
    """Hold the stack for one `up` or `down` at a time."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    with (settings.run_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TerminalError(
                f"another tapehouse up or down is at work on {settings.data_dir}: wait for it to end"
            ) from error
        yield
