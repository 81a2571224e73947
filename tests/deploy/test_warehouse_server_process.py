"""The process: it owns its directory alone, survives being killed, stops cleanly, asks for its password."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from deploy.warehouse_server.engine import KEPT_FREE_BYTES


def test_a_held_directory_is_refused_in_one_line(launcher: Any, tmp_path: Path) -> None:
    first = launcher(tmp_path)
    second = subprocess.run(
        [sys.executable, "-m", "deploy.warehouse_server.main", str(tmp_path), "--port", "1"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert str(tmp_path) in second.stderr
    assert str(first.process.pid) in second.stderr
    assert first.client().command("SELECT 1") == 1
    first.stop()


def test_what_was_acknowledged_survives_a_kill(launcher: Any, tmp_path: Path, wait_until: Any) -> None:
    server = launcher(tmp_path)
    with server.client() as client:
        client.command("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
    acknowledged: list[int] = []

    def write() -> None:
        with server.client() as client:
            while True:
                client.insert("t", [[len(acknowledged)]], column_names=["id"])
                acknowledged.append(len(acknowledged))

    def until_killed() -> None:
        try:
            write()
        except Exception:
            return

    writer = threading.Thread(target=until_killed)
    writer.start()
    wait_until(lambda: len(acknowledged) > 50, "some inserts are acknowledged")
    server.stop(signal.SIGKILL)
    writer.join(30)
    again = launcher(tmp_path)
    with again.client() as client:
        stored = {row[0] for row in client.query("SELECT id FROM t").result_rows}
    assert set(acknowledged) <= stored
    assert len(stored) <= len(acknowledged) + 1
    assert again.stop() == 0


def test_a_stop_lets_a_running_query_finish(launcher: Any, tmp_path: Path, wait_until: Any) -> None:
    server = launcher(tmp_path)
    answers: list[bytes] = []

    def slow() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("POST", "/", b"SELECT sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size = 1")
        answers.append(connection.getresponse().read())

    def runs() -> bool:
        with server.client() as client:
            return bool(client.command("SELECT count() FROM system.processes WHERE query LIKE '%sleepEach%'") > 1)

    query = threading.Thread(target=slow)
    query.start()
    wait_until(runs, "the query runs")
    assert server.stop() == 0
    query.join(30)
    assert answers == [b"0\n" * 4]


def test_a_stop_does_not_wait_for_ever(launcher: Any, tmp_path: Path, wait_until: Any) -> None:
    server = launcher(tmp_path, "--grace-seconds", "1")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/", b"SELECT sum(sipHash64(number)) FROM numbers(100000000000)")

    def runs() -> bool:
        with server.client() as client:
            return bool(client.command("SELECT count() FROM system.processes WHERE query LIKE '%sipHash%'") > 1)

    wait_until(runs, "the query runs")
    assert server.stop() == 0
    assert b"QUERY_WAS_CANCELLED" in connection.getresponse().read()
    connection.close()


def test_a_password_is_asked_for_and_never_shown(launcher: Any, tmp_path: Path, free_port: Any) -> None:
    port = free_port()
    code = (
        "from pathlib import Path; from deploy.warehouse_server.main import serve; "
        f"serve(Path({str(tmp_path)!r}), '127.0.0.1', {port}, password='s3cret-word')"
    )
    server = launcher(tmp_path, port=port, code=code)
    with server.client(username="default", password="s3cret-word") as client:
        assert client.command("SELECT 1") == 1
    with pytest.raises(Exception, match="AUTHENTICATION_FAILED"):
        server.client(username="default", password="s3cret-wore")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/", b"SELECT 1")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["x-clickhouse-exception-code"]) == (401, "194")
    connection.close()
    server.process.send_signal(signal.SIGTERM)
    _, errors = server.process.communicate(timeout=30)
    assert "s3cret" not in errors


def test_the_engine_leaves_room_on_the_disk_so_that_no_write_is_cut_off(launcher: Any, tmp_path: Path) -> None:
    # Cut off by a disk that got full meanwhile, a write is acknowledged all the same, and its part can't be read.
    server = launcher(tmp_path)
    with server.client() as client:
        assert client.command("SELECT keep_free_space FROM system.disks") == KEPT_FREE_BYTES
        assert KEPT_FREE_BYTES >= 100 * 2**20
