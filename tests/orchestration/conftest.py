"""A real warehouse with the real tables, and a real Dagster (web server and daemon) on it, without any JVM."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa
import pytest

from assets.specs import WAREHOUSE_POOL
from contracts.bars import BARS
from deploy.stack.dagster import instance, limit_pools
from orchestration.prepare import MIGRATIONS
from orchestration.settings import USUAL_PORTS, Settings
from orchestration.values import environment_of, stack_settings
from stores.arrow import arrow_schema
from stores.migrations import migrate
from stores.settings import WarehouseSettings
from stores.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
DEADLINE_S = 300.0

# The rollups as they are, and an asset with a partition a venue; without the sensor and the schedules, which would
# start runs of their own.
LOCATION = """
import dagster as dg
from assets.rollups import ROLLUP_ASSETS
from orchestration.resources import make_resources

DAYS = dg.DailyPartitionsDefinition(start_date="2021-01-01", timezone="UTC")
VENUES = dg.StaticPartitionsDefinition(["binance", "kraken"])


@dg.asset(key=["test", "by_venue"], partitions_def=dg.MultiPartitionsDefinition({"day": DAYS, "venue": VENUES}))
def by_venue() -> None:
    pass


defs = dg.Definitions(assets=[*ROLLUP_ASSETS, by_venue], resources=make_resources(), executor=dg.in_process_executor)
"""
WORKSPACE = """
load_from:
  - python_file:
      relative_path: location.py
      location_name: tapehouse
"""


def _free_port(base: int = 0) -> int:
    """Return a free port; with `base`, one that a service of that usual port gets by some offset."""
    for _ in range(100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", base + 23_000 + secrets.randbelow(5_000) if base else 0))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("no free port")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _until(claim: Callable[[], bool], what: str, seconds: float = DEADLINE_S) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def _limit_warehouse_pool(url: str, limit: int) -> None:
    query = f'mutation {{ setConcurrencyLimit(concurrencyKey: "{WAREHOUSE_POOL}", limit: {limit}) }}'
    httpx2.post(f"{url}/graphql", json={"query": query}, timeout=30, trust_env=False).raise_for_status()


def _end(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


@dataclass(frozen=True)
class Answering:
    """The warehouse under test."""

    settings: WarehouseSettings
    warehouse: Warehouse

    def insert_bars(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert one-minute bars; what a row leaves out is the same for all."""
        usual: dict[str, Any] = {
            "venue": "binance",
            "instrument": "BTCUSDT",
            "id_space": "spot.trade",
            **dict.fromkeys(("open", "high", "low", "close"), 10),
            **dict.fromkeys(("volume", "notional", "trade_count", "revision"), 1),
            "state": "final",
            "known_time": datetime(2026, 1, 1, tzinfo=UTC),
        }
        table = pa.Table.from_pylist([usual | row for row in rows], schema=arrow_schema(BARS.columns))
        self.warehouse.insert(BARS.table, table, token=secrets.token_hex(8))


@pytest.fixture(scope="session")
def answering(warehouse_server: WarehouseSettings) -> Answering:
    """A warehouse server with all tables in its own database."""
    warehouse = Warehouse(warehouse_server)
    migrate(warehouse, MIGRATIONS)
    return Answering(warehouse_server, warehouse)


def environment(settings: Settings) -> dict[str, str]:
    """Return the caller's environment with just these settings of ours."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TAPEHOUSE_")}
    return outside | environment_of(settings)


@pytest.fixture(scope="session")
def tapehouse(answering: Answering) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a command on the test's warehouse; `settings` are others than those."""
    usual = Settings(warehouse_host=answering.settings.host, warehouse_port=answering.settings.port)

    def run(
        *words: str, settings: Settings = usual, text: bool = True, **more: Any
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [BIN / "python", "-m", "orchestration.cli", *words],
            env=environment(settings),
            cwd=ROOT,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=text,
            timeout=DEADLINE_S,
            check=False,
            **more,
        )

    return run


@dataclass(frozen=True)
class Dagster:
    """A running web server with its daemon."""

    settings: Settings
    url: str
    process: "Callable[..., subprocess.Popen[str]]"


@pytest.fixture(scope="session")
def dagster(answering: Answering, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dagster]:
    """A web server and a daemon on the real rollups, with the platform's own dagster.yaml."""
    home = tmp_path_factory.mktemp("platform")
    port = _free_port(USUAL_PORTS["dagster"])
    settings = Settings(
        data_dir=home,
        port_offset=port - USUAL_PORTS["dagster"],
        warehouse_host=answering.settings.host,
        warehouse_port=answering.settings.port,
    )
    folder = home / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(instance(stack_settings(settings)))
    (folder / "location.py").write_text(LOCATION)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    given = environment(settings) | {"DAGSTER_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    started: list[subprocess.Popen[str]] = []

    def process(*command: str | Path, **more: Any) -> "subprocess.Popen[str]":
        one = subprocess.Popen(command, cwd=ROOT, env=given, text=True, **more)
        started.append(one)
        return one

    with (folder / "log").open("w") as log:
        workspace = ("-w", str(folder / "workspace.yaml"))
        try:
            process(BIN / "dagster-webserver", "-h", "127.0.0.1", "-p", str(port), *workspace, stdout=log, stderr=log)
            url = f"http://127.0.0.1:{port}"
            _until(lambda: _answers(f"{url}/server_info"), f"the web server answers: {folder / 'log'}")
            # Not the platform's own limit, so that two runs show whether it holds.
            _limit_warehouse_pool(url, 1)
            limit_pools(url)
            process(BIN / "dagster-daemon", "run", *workspace, stdout=log, stderr=log)
            yield Dagster(settings, url, process)
        finally:
            for one in reversed(started):
                if one.poll() is None:
                    _end(one)
