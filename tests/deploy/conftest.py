"""Start the real warehouse server as a process of its own on a free loopback port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 30


def _free_port() -> int:
    """Ask the kernel for a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until(claim: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Poll a claim until it holds or its deadline passes."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"


@dataclass
class Server:
    """One running server."""

    process: subprocess.Popen[str]
    port: int
    data_dir: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def client(self, **options: Any) -> Any:
        """Open a clickhouse-connect client as a user would."""
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, **options)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.process.stderr.read() if self.process.stderr else ""
        try:
            with urllib.request.urlopen(f"{self.url}ping", timeout=1) as answer:
                return bool(answer.read() == b"Ok.\n")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def resident_bytes(self) -> int:
        """Give the process's own memory, without the pages of the library file."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("RssAnon:")[1].split()[0]) * 1024

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(DEADLINE_SECONDS)


def launch(data_dir: Path, *extra: str, port: int | None = None, code: str | None = None) -> Server:
    """Start a server without waiting for it."""
    port = port or _free_port()
    arguments = (
        ["-c", code] if code else ["-m", "deploy.warehouse_server.main", str(data_dir), "--port", str(port), *extra]
    )
    # A zone far from UTC: the server must not take it over.
    environment = {**os.environ, "TZ": "America/New_York", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    return Server(process, port, data_dir)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Hand out the function, since tests cannot import this module."""
    return _free_port


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Hand out the function, since tests cannot import this module."""
    return _wait_until


@pytest.fixture(scope="session")
def launcher() -> Iterator[Callable[..., Server]]:
    """Start servers that are killed when the tests end, whatever happened."""
    started: list[Server] = []

    def start(data_dir: Path, *extra: str, **options: Any) -> Server:
        server = launch(data_dir, *extra, **options)
        started.append(server)
        _wait_until(server.answers, "the server answers /ping")
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate(timeout=DEADLINE_SECONDS)


@pytest.fixture(scope="session")
def server(launcher: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One server for all tests that do not stop it."""
    return launcher(tmp_path_factory.mktemp("warehouse dir"))


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    """Open a default clickhouse-connect client on an empty database of its own."""
    name = f"t{time.monotonic_ns()}"
    with server.client() as admin:
        admin.command(f"CREATE DATABASE {name}")
    with server.client(database=name) as client:
        yield client
    with server.client() as admin:
        admin.command(f"DROP DATABASE {name}")
