"""The local platform with its real parts, each stack on ports and data of its own."""

import contextlib
import dataclasses
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from redis import Redis
from rich.console import Console

from contracts.errors import TerminalError
from deploy import stack
from deploy.stack import StackSettings, processes
from deploy.stack.catalog import names
from deploy.stack.progress import Progress
from deploy.stack.supervisor import Supervisor
from orchestration.settings import REPOSITORY, USUAL_PORTS

PYTHON = Path(sys.executable)


def free_ports() -> dict[str, int]:
    """Return a free port for each service, below those that the system gives to outgoing connections."""
    free: list[int] = []
    for port in random.sample(range(20_000, 32_000), 200):
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            free.append(port)
    return dict(zip(USUAL_PORTS, free, strict=False))


def settings_in(folder: Path, **changed: object) -> StackSettings:
    settings = StackSettings(
        data_dir=folder / "data",
        jars_dir=REPOSITORY / ".venv" / "jars",
        ports=free_ports(),
        python=PYTHON,
        repository=REPOSITORY,
    )
    return dataclasses.replace(settings, **changed)  # type: ignore[arg-type]


def until(claim: Callable[[], bool], seconds: float = 60) -> None:
    """Poll until the claim holds."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def report_of(settings: StackSettings, name: str) -> stack.ProcessReport:
    return next(one for one in stack.status(settings).services if one.name == name)


def redis_of(settings: StackSettings) -> Redis:
    return Redis(host="127.0.0.1", port=settings.ports["redis"], socket_timeout=30)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackSettings]:
    """A stack of Redis alone: up in a second."""
    settings = settings_in(tmp_path_factory.mktemp("small"))
    stack.up(settings, only={"redis"})
    yield settings
    stack.down(settings)
    assert processes.marked(settings) == []


@pytest.fixture
def away(tmp_path: Path) -> Iterator[StackSettings]:
    """A stack that is not up yet."""
    settings = settings_in(tmp_path)
    yield settings
    stack.down(settings)


def test_the_platform_listens_on_loopback_alone_and_keeps_its_data_after_kill_9_of_everything(
    away: StackSettings,
) -> None:
    engines = {"kafka", "registry", "redis"}
    prepared: list[str] = []
    stack.up(away, only=engines, prepare=lambda: prepared.append("called"))
    assert prepared == ["called"]
    # A busy machine may let one of the many questions of a status run out of time.
    until(lambda: {one.name for one in stack.status(away).services if one.state == "healthy"} == engines)
    for process in processes.marked(away):
        for connection in process.net_connections("inet"):
            if connection.status == psutil.CONN_LISTEN:
                assert connection.laddr.ip in ("127.0.0.1", "::ffff:127.0.0.1")

    bootstrap = f"127.0.0.1:{away.ports['kafka']}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    producer.produce("kept", b"one")
    assert producer.flush(30) == 0
    registry = SchemaRegistryClient(
        {
            "url": f"http://127.0.0.1:{away.ports['registry']}/apis/ccompat/v7",
            "timeout": 30,
        }
    )
    known = Schema('{"type": "record", "name": "Kept", "fields": [{"name": "x", "type": "int"}]}', "AVRO")
    ids = [registry.register_schema(f"{subject}-value", known) for subject in ("first", "second")]
    redis_of(away).set("kept", "one")
    until(lambda: redis_of(away).info("persistence")["aof_pending_bio_fsync"] == 0)

    # Killed in the very moment in which the last id was given out.
    last = registry.register_schema("last-value", Schema('{"type": "string"}', "AVRO"))
    stack.kill_all(away)
    assert processes.marked(away) == []
    assert not stack.status(away).running

    stack.up(away, only=engines)
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics("kept", timeout=30)
    assert len(metadata.topics["kept"].partitions) == 1
    registry = SchemaRegistryClient(
        {
            "url": f"http://127.0.0.1:{away.ports['registry']}/apis/ccompat/v7",
            "timeout": 30,
        }
    )
    assert [registry.get_latest_version(f"{subject}-value").schema_id for subject in ("first", "second")] == ids
    assert registry.get_latest_version("last-value").schema_id == last
    assert registry.register_schema("later-value", Schema('{"type": "long"}', "AVRO")) > last
    assert redis_of(away).get("kept") == b"one"


def test_a_second_up_leaves_what_runs_alone(small: StackSettings) -> None:
    before = report_of(small, "redis").pid
    stack.up(small, only={"redis"})
    assert report_of(small, "redis").pid == before


def test_a_killed_process_is_started_again_and_counted(small: StackSettings) -> None:
    before = report_of(small, "redis")
    killed = stack.kill(small, "redis")
    assert killed == before.pid
    until(lambda: report_of(small, "redis").restarts == before.restarts + 1)
    until(lambda: report_of(small, "redis").state == "healthy")
    assert report_of(small, "redis").pid != killed


def test_one_process_stops_and_starts_without_the_others(small: StackSettings) -> None:
    redis_of(small).set("kept", "two")
    stack.stop_one(small, "redis")
    assert report_of(small, "redis").state == "stopped"
    assert stack.status(small).running
    stack.start_one(small, "redis")
    assert redis_of(small).get("kept") == b"two"


def test_what_a_killed_supervisor_left_behind_is_ended_before_a_new_start(small: StackSettings) -> None:
    orphan = psutil.Process(report_of(small, "redis").pid)
    psutil.Process(int(Supervisor(small).call("getPID"))).kill()
    until(lambda: not stack.status(small).running)
    assert processes.alive(orphan)
    stack.up(small, only={"redis"})
    assert not processes.alive(orphan)
    assert report_of(small, "redis").state == "healthy"


def test_a_process_that_is_alive_but_does_not_answer_is_restarted_and_logged(away: StackSettings) -> None:
    impatient = dataclasses.replace(away, unhealthy_seconds=2.0)
    stack.up(impatient, only={"redis"})
    # The watcher judges who was healthy before: it has asked more often than `up` and this test.
    until(lambda: redis_of(away).info("commandstats").get("cmdstat_ping", {}).get("calls", 0) > 5)
    hung = report_of(impatient, "redis")
    psutil.Process(hung.pid).suspend()
    until(lambda: report_of(impatient, "redis").restarts > hung.restarts)
    until(lambda: report_of(impatient, "redis").state == "healthy")
    assert report_of(impatient, "redis").pid != hung.pid
    assert "redis: not healthy for" in impatient.log("watch").read_text()


def test_a_taken_port_is_named_with_its_service_its_holder_and_a_way_out(small: StackSettings, tmp_path: Path) -> None:
    holder = report_of(small, "redis").pid
    other = dataclasses.replace(small, data_dir=tmp_path / "other")
    with pytest.raises(TerminalError) as raised:
        stack.up(other, only={"redis"})
    message = str(raised.value)
    assert f"port {small.ports['redis']} for redis" in message
    assert f"process {holder}" in message
    assert "TAPEHOUSE_PORT_OFFSET" in message
    assert processes.marked(other) == []


def test_two_stacks_do_not_disturb_each_other(small: StackSettings, away: StackSettings) -> None:
    before = report_of(small, "redis").pid
    stack.up(away, only={"redis"})
    stack.down(away)
    assert processes.marked(away) == []
    assert report_of(small, "redis").pid == before


def test_changed_settings_restart_the_platform(away: StackSettings) -> None:
    stack.up(away, only={"redis"})
    before = report_of(away, "redis").pid
    changed = dataclasses.replace(away, environment={"TAPEHOUSE_DEMO_SPEED": "2"})
    stack.up(changed, only={"redis"})
    after = report_of(changed, "redis").pid
    assert after != before
    assert after is not None
    environment = psutil.Process(after).environ()
    assert environment["TAPEHOUSE_DEMO_SPEED"] == "2"
    assert environment["TAPEHOUSE_STACK"] == str(away.data_dir)


def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log(away: StackSettings) -> None:
    folder = away.data_dir / "redis" / "appendonlydir"
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where Redis wants a directory")
    with pytest.raises(TerminalError, match=r"redis did not start: .*appendonlydir.*redis\.log") as raised:
        stack.up(away, only={"redis"})
    assert "\n" not in str(raised.value)
    assert report_of(away, "redis").pid is None


def test_a_service_whose_program_is_missing_asks_for_the_set_up(away: StackSettings, tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match=r"registry needs .* make setup"):
        stack.up(dataclasses.replace(away, jars_dir=tmp_path), only={"registry"})


def test_an_unknown_service_is_refused_with_the_names_that_exist(away: StackSettings) -> None:
    with pytest.raises(TerminalError, match="no such service: kafak; there are: kafka, registry"):
        stack.up(away, only={"kafak"})


@pytest.mark.parametrize(
    ("version", "said"),
    [("11.0.22", "version 11, needed is 17"), ("1.8.0_392", "version 8, needed is 17"), (None, "Java is missing")],
)
def test_java_that_is_too_old_or_missing_is_one_clear_line(
    away: StackSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None, said: str
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    if version:
        java = programs / "java"
        java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        java.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(TerminalError, match=said) as raised:
        stack.up(away, only={"redis"})
    assert "install openjdk-17-jre-headless" in str(raised.value)


def test_a_full_disk_is_one_clear_line(away: StackSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(TerminalError, match="has 1 MiB free, needed are 512"):
        stack.up(away, only={"redis"})


def test_the_command_line_tells_the_status_of_a_platform_that_is_down(tmp_path: Path) -> None:
    done = tapehouse(tmp_path, "status", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 3
    assert not told["running"]
    described = settings_in(tmp_path, venues=("binance", "coinbase", "kraken"))
    assert [one["name"] for one in told["services"]] == list(names(described))
    assert {one["state"] for one in told["services"]} == {"stopped"}
    assert tapehouse(tmp_path, "down").returncode == 0


def test_the_command_line_ends_in_one_line_and_not_in_a_traceback(tmp_path: Path) -> None:
    done = tapehouse(tmp_path, "up", "--only", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip().startswith("no such service: nothing")
    assert len(done.stderr.strip().splitlines()) == 1
    wrong = tapehouse(tmp_path, "status", TAPEHOUSE_PORT_OFFSET="many")
    assert wrong.returncode == 1
    assert "TAPEHOUSE_PORT_OFFSET='many'" in wrong.stderr
    assert len(wrong.stderr.strip().splitlines()) == 1
    assert tapehouse(tmp_path, "upp").returncode == 2


def test_the_supervisors_socket_fits_also_in_a_deep_folder(tmp_path: Path) -> None:
    settings = settings_in(tmp_path / ("deep" * 30) / "50% of it")
    try:
        stack.up(settings, only={"redis"})
        assert report_of(settings, "redis").state == "healthy"
    finally:
        stack.down(settings)


def test_waiting_is_told_in_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(Console(stderr=True, force_terminal=False))
    progress.waiting(["kafka"])
    progress.spoke -= 60
    progress.waiting(["kafka"])
    progress.waiting(["kafka"])
    assert capsys.readouterr().err.count("waiting for kafka") == 1


def tapehouse(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line on a stack of its own."""
    ours = {"TAPEHOUSE_DATA_DIR": str(folder / "data"), "TAPEHOUSE_PORT_OFFSET": "41000"}
    return subprocess.run(
        [str(PYTHON.parent / "tapehouse"), *arguments],
        env={**os.environ, **ours, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
