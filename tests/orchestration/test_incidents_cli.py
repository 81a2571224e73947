"""`tapehouse incidents` and `tapehouse alert`, as a person and as a program see them."""

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contracts.incidents import INCIDENTS
from orchestration.settings import Settings
from quality.incidents import SECOND, Finding, reconcile
from quality.stored import append

ROOT = Path(__file__).resolve().parents[2]
NOON = 1_700_000_000 * SECOND


@pytest.fixture
def empty(answering: Any) -> Iterator[Any]:
    answering.warehouse.run(f"TRUNCATE TABLE {INCIDENTS.table}")
    yield answering.warehouse
    answering.warehouse.run(f"TRUNCATE TABLE {INCIDENTS.table}")


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A webhook: its port, and what it was told."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], told
    server.shutdown()
    server.server_close()


def test_incidents_show_what_is_open_and_with_all_what_was(empty: Any, tapehouse: Any) -> None:
    none = tapehouse("incidents")
    assert (none.returncode, none.stdout.strip()) == (0, "no incident is open")
    wrong = [
        Finding("a", "stale", "trades are stale", "ask the venue", severity="warn", downstream=("x", "y")),
        Finding("b", "audit", "rows are missing", "look at it", affected_rows=12_345, evidence={"missing": 12_345}),
    ]
    opened = reconcile([], wrong, (), NOON)
    append(empty, INCIDENTS, map(asdict, opened))
    shown = tapehouse("incidents")
    assert shown.returncode == 1, "an error is open"
    assert shown.stdout.index("rows are missing") < shown.stdout.index("trades are stale")
    assert "12,345" in shown.stdout and "ask the venue" in shown.stdout
    append(empty, INCIDENTS, map(asdict, reconcile(opened, [], {"b"}, NOON + 90 * SECOND)))
    after = tapehouse("incidents", "--json")
    assert after.returncode == 0, "a warning alone is no failure"
    (one,) = json.loads(after.stdout)["incidents"]
    assert (one["downstream"], one["closed_time"], one["repair_s"]) == (["x", "y"], None, None)
    every = json.loads(tapehouse("incidents", "--all", "--json").stdout)["incidents"]
    assert [(told["state"], told["repair_s"]) for told in every] == [("open", None), ("closed", 90.0)]
    assert every[1]["evidence"] == {"missing": 12_345}
    assert every[1]["closed_time"] == "2023-11-14T22:14:50+00:00"


def test_a_test_alert_reaches_the_receivers_and_names_the_one_it_does_not(tapehouse: Any, heard: Any) -> None:
    port, told = heard
    good = f"json://127.0.0.1:{port}/x"
    done = tapehouse("alert", "--test", settings=Settings(alert_urls=(good,)))
    assert done.returncode == 0, done.stderr
    assert [one["title"] for one in told] == ["Tapehouse test alert"]
    listed = tapehouse("alert", settings=Settings(alert_urls=(good,)))
    assert (listed.returncode, len(told)) == (0, 1), "without --test nothing is sent"
    secret = "json://user:secret@127.0.0.1:9/x"
    away = tapehouse("alert", "--test", "--json", settings=Settings(alert_urls=(good, secret)))
    assert away.returncode == 1
    assert [one["sent"] for one in json.loads(away.stdout)["receivers"]] == [True, False]
    assert "secret" not in away.stdout + away.stderr


def test_the_receiver_to_try_it_with_prints_what_it_is_told(tapehouse: Any) -> None:
    command = [sys.executable, "-u", "-m", "orchestration.cli", "alert", "--listen", "--port", "0"]
    listener = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout is not None
        found = re.search(r"json://127\.0\.0\.1:\d+", listener.stdout.readline())
        assert found is not None
        done = tapehouse("alert", "--test", settings=Settings(alert_urls=(found.group(),)))
        assert done.returncode == 0, done.stderr
        assert "Tapehouse test alert" in listener.stdout.readline()
        assert listener.stdout.readline().startswith("This is a test.")
        port = found.group().rsplit(":")[-1]
        taken = tapehouse("alert", "--listen", "--port", port)
        assert (taken.returncode, f"port {port} can't be listened at" in taken.stderr) == (1, True)
        listener.send_signal(signal.SIGINT)
        assert listener.wait(30) == 130
    finally:
        listener.kill()
        listener.wait(10)


def test_nobody_to_tell_and_a_wrong_address_are_said_in_one_line(tapehouse: Any) -> None:
    nobody = tapehouse("alert", "--test", settings=Settings(live=True))
    assert nobody.returncode == 1
    assert "TAPEHOUSE_ALERT_URLS" in nobody.stderr and nobody.stderr.count("\n") == 1
    wrong = tapehouse("alert", settings=Settings(alert_urls=("carrier-pigeon://roof",)))
    assert wrong.returncode == 1
    assert "alert_urls[0]" in wrong.stderr and wrong.stderr.count("\n") == 1
