"""The platform that tests run against: the real one, on its own ports and data directory, started once a session."""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import hypothesis
import pytest
from pyspark.sql import SparkSession

from assets.parity import run_audit
from contracts.errors import TapehouseError
from deploy import stack
from orchestration.prepare import MIGRATIONS, prepare
from orchestration.settings import REPOSITORY, Settings
from orchestration.values import stack_settings
from spark.session import open_session
from stores.migrations import migrate
from stores.settings import BrokerSettings, RegistrySettings, WarehouseSettings
from stores.warehouse import Warehouse, patiently

# How long an example takes is the machine's affair, and it is shared.
hypothesis.settings.register_profile("shared", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("shared")

STORES = {"kafka", "registry", "warehouse", "redis"}
# Every JVM of the tests lives for minutes: the second compiler would take a third of the machine and never pay.
os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1"
# What a shell starts in the background begins with Ctrl-C ignored, and hands that on to what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# One venue: the others' heartbeats would go to the lake all the time, and make every audit read them.
FLOW = {"replay", "collector-binance", "streams"}
# Two sessions at once need two: TEST_PORT_OFFSET.
PORT_OFFSET = int(os.environ.get("TEST_PORT_OFFSET", "20000"))


def wait_until(claim: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Poll a claim until it holds; what it asks may be away for a while."""
    end = time.monotonic() + seconds
    while True:
        try:
            if claim():
                return
        except (TapehouseError, httpx2.HTTPError):
            pass
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


@dataclass
class Platform:
    """The running platform and the few things that tests ask of it."""

    settings: Settings

    @property
    def broker(self) -> BrokerSettings:
        return self.settings.broker

    @property
    def registry(self) -> RegistrySettings:
        return self.settings.registry

    @property
    def warehouse(self) -> WarehouseSettings:
        return self.settings.warehouse

    @property
    def stack(self) -> stack.StackSettings:
        return stack_settings(self.settings)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the warehouse."""
        return Warehouse(self.warehouse).rows(sql)

    def run(self, sql: str) -> None:
        """Run a statement in the warehouse."""
        Warehouse(self.warehouse).run(sql)

    def get(self, service: str, path: str = "/health") -> dict[str, Any]:
        """Ask a service over HTTP."""
        url = f"http://127.0.0.1:{self.settings.port(service)}{path}"
        told: dict[str, Any] = httpx2.get(url, timeout=10, trust_env=False).json()
        return told

    def post(self, service: str, path: str, body: dict[str, object]) -> dict[str, Any]:
        """Tell a service over HTTP."""
        url = f"http://127.0.0.1:{self.settings.port(service)}{path}"
        answer = httpx2.post(url, json=body, timeout=60, trust_env=False)
        assert answer.status_code < 400, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def balances(self, wait_s: float = 120) -> None:
        """Audit everything that has been stored so far and claim that it balances."""
        report = run_audit(self.settings.streams, wait_s=wait_s)
        assert report.balanced, "\n".join(str(row) for row in report.rows if row.missing or row.twice)


def _start(platform: Platform, names: set[str]) -> None:
    stack.up(platform.stack, only=names, prepare=lambda: prepare(platform.settings))


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Kafka, the registry, the warehouse and Redis, with topics, schemas and tables."""
    for name in [name for name in os.environ if name.startswith("TAPEHOUSE_")]:
        del os.environ[name]
    os.environ["TAPEHOUSE_CONFIG"] = ""  # nobody's own settings file
    jars = REPOSITORY / ".venv" / "jars"
    if not (jars / "kafka").is_dir():
        pytest.fail("the JVM jars are missing: make setup")
    # One place, so that what a killed session left running is found and ended. A short one, because the
    # supervisor's socket lies below it and sockets' paths end at 107 characters.
    data_dir = Path(tempfile.gettempdir()) / f"tapehouse-tests-{os.getuid()}-{PORT_OFFSET}"
    # The archive commits more often than in production: every audit waits for it.
    settings = Settings(data_dir=data_dir, jars_dir=jars, port_offset=PORT_OFFSET, archive_interval_s=2)
    running = Platform(settings)
    with _alone(data_dir):
        stack.down(running.stack)
        shutil.rmtree(data_dir, ignore_errors=True)
        _start(running, STORES)
        yield running
        stack.down(running.stack)
        shutil.rmtree(data_dir, ignore_errors=True)


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Hold a lock that ends with this process: a second session would end the platform of the first."""
    with data_dir.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pytest.fail(
                f"another session has its platform in {data_dir}: only rooms that the Makefile calls SHARING may "
                "ask for it, or set TEST_PORT_OFFSET"
            )
        yield


@pytest.fixture(scope="session")
def flow(platform: Platform) -> Platform:
    """The whole road: the stores, the replay server, the collector and the Spark queries."""
    _start(platform, STORES | FLOW)
    return platform


@pytest.fixture(scope="session")
def spark(platform: Platform) -> Iterator[SparkSession]:
    """One Spark session for all tests: starting one takes longer than what they do with it."""
    settings = replace(platform.settings.spark, scratch_dir=platform.settings.data_dir / "rebuild")
    session = open_session("tests", settings)
    yield session
    session.stop()


@pytest.fixture(scope="session")
def warehouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarehouseSettings]:
    """A warehouse by itself, without tables, for what needs neither Kafka nor Spark."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    data = tmp_path_factory.mktemp("warehouse") / "data"
    command = [sys.executable, "-m", "deploy.warehouse_server.main", str(data), "--port", str(port)]
    process = subprocess.Popen(command, cwd=REPOSITORY)
    settings = WarehouseSettings("127.0.0.1", port)
    try:
        patiently(lambda: Warehouse(settings).value("SELECT 1"), give_up_after_s=60)
        yield settings
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session")
def new_database(warehouse_server: WarehouseSettings) -> Callable[[str], WarehouseSettings]:
    """Make a database of this name with all tables."""

    def make(name: str) -> WarehouseSettings:
        Warehouse(warehouse_server).run(f"CREATE DATABASE {name}")
        settings = replace(warehouse_server, database=name)
        migrate(Warehouse(settings), MIGRATIONS)
        return settings

    return make


@pytest.fixture(name="wait_until", scope="session")
def _wait_until() -> Callable[..., None]:
    return wait_until
