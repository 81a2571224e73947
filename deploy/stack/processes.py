"""What the operating system knows: who carries the stack's marker, who holds a port, how much memory is used."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import psutil
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed

from contracts.errors import TerminalError
from deploy.stack.service import Service
from deploy.stack.settings import StackSettings

MARKER = "TAPEHOUSE_STACK"
INVISIBLE = "its holder is not visible"
CLOSING_S = 5.0


def marked(settings: StackSettings) -> list[psutil.Process]:
    """Return every live process of this stack, supervised or orphaned; never the caller or who started it."""
    wanted = f"{MARKER}={settings.marker}".encode()
    caller = psutil.Process()
    own = {caller.pid, *(parent.pid for parent in caller.parents())}
    found = []
    for process in psutil.process_iter():
        if process.pid in own:
            continue
        with contextlib.suppress(OSError, psutil.Error):
            if wanted in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                found.append(process)
    return found


def end(processes: Iterable[psutil.Process], seconds: float) -> None:
    """Ask the processes to end, and kill those that have not after `seconds`."""
    asked = list(processes)
    for process in asked:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    kill(ended_not(asked, seconds))


def kill(processes: Iterable[psutil.Process]) -> None:
    """Kill the processes; none of them gets to start another meanwhile."""
    found = list(processes)
    for act in (psutil.Process.suspend, psutil.Process.kill):
        for process in found:
            with contextlib.suppress(psutil.Error):
                act(process)
    ended_not(found, 10)


def ended_not(processes: Iterable[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the processes to end; return those that have not in time.

    An orphan that has ended stays as a zombie until the first process of the system takes note, which can take long.
    """
    left = list(processes)
    deadline = time.monotonic() + seconds
    while left := [process for process in left if alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def alive(process: psutil.Process) -> bool:
    """Tell whether a process still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def kill_group(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Signal the process group that supervisord made for `pid`; tell whether anything was left of it."""
    if pid <= 1:
        return False
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def refuse_taken_ports(services: Iterable[Service]) -> None:
    """Raise unless every port of these services can be bound on loopback; the message names the holder."""
    for service in services:
        for port in service.ports:
            again = retry_if_exception(partial(_closing, port))
            try:
                Retrying(retry=again, stop=stop_after_delay(CLOSING_S), wait=wait_fixed(0.1), reraise=True)(_bind, port)
            except OSError as error:
                raise TerminalError(
                    f"port {port} for {service.name} cannot be had ({error.strerror}): {holder(port)}; stop that, "
                    "or move all ports with TAPEHOUSE_PORT_OFFSET (default 10000, e.g. 20000)"
                ) from error


def _closing(port: int, _: BaseException) -> bool:
    """Tell whether nobody holds the port: a killed process is gone before the kernel has closed its sockets."""
    return holder(port) == INVISIBLE


def _bind(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers themselves do: a connection of the last run that lingers is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def holder(port: int) -> str:
    """Name the process that listens on the port, as far as one may see."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return INVISIBLE
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
            if connection.pid is None:
                return "held by a process of another user"
            try:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline())[:80] or process.name()
            except psutil.Error:
                return f"held by process {connection.pid}"
            return f"held by process {connection.pid} ({command})"
    return INVISIBLE


def memory(pid: int, children: bool = True) -> int:
    """Return the bytes that a process (with its children) holds, shared pages counted in part (PSS) where readable."""
    try:
        process = psutil.Process(pid)
        tree = [process, *(process.children(recursive=True) if children else ())]
    except psutil.Error:
        return 0
    total = 0
    for one in tree:
        try:
            total += int(one.memory_full_info().pss)
        except (psutil.Error, AttributeError):
            with contextlib.suppress(psutil.Error):
                total += int(one.memory_info().rss)
    return total
