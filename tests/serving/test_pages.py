"""The pages as a browser and as somebody who is not meant to see more of them: the real server, as a process."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

from orchestration.settings import USUAL_PORTS, Settings
from orchestration.values import environment_of
from serving.pages import Pages

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60.0
REPORT = "<h1>1,234 bars</h1>"


@dataclass(frozen=True)
class Running:
    """A server, and the folder that it must not show more of than two folders."""

    url: str
    pages: Pages
    process: "subprocess.Popen[bytes]"

    def get(self, path: str, **headers: str) -> httpx2.Response:
        return httpx2.get(f"{self.url}{path}", headers=headers, timeout=20, trust_env=False)

    def raw(self, path: str) -> bytes:
        """Ask for a path just as it is: clients put `..` in order before they ask."""
        address = self.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1])), 20) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            return b"".join(iter(lambda: connection.recv(65_536), b""))


def free_port() -> int:
    """Return a free port that a service of that usual port gets by some offset."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port)).close()
            return port
    raise AssertionError("no free port")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    port = free_port()
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), port_offset=port - USUAL_PORTS["pages"])
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TAPEHOUSE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "serve", "pages"],
        cwd=ROOT,
        env=outside | environment_of(settings),
    )
    one = Running(f"http://127.0.0.1:{port}", settings.pages, process)
    try:
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                assert one.get("/health").json() == {"status": "running"}
                break
            except httpx2.HTTPError:
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.1)
        yield one
    finally:
        process.kill()
        process.wait(10)


def test_before_anything_was_written_the_index_says_what_writes_it(running: Running) -> None:
    shown = running.get("/").text
    assert "tapehouse report --day D" in shown
    assert "tapehouse checks --day D" in shown


def test_a_page_is_served_at_the_address_that_is_told_and_the_index_leads_to_it(running: Running) -> None:
    for day in ("2024-08-07", "2024-08-08"):
        (running.pages.reports / f"report-{day}.html").write_text(REPORT)
    page = running.pages.docs / "validations" / "a b" / "day.html"
    page.parent.mkdir(parents=True)
    for written in (page, running.pages.docs / "index.html"):
        written.write_text("held")
    shown = running.get("/").text
    assert shown.index("/reports/report-2024-08-08.html") < shown.index("/reports/report-2024-08-07.html")
    assert "href='/data-docs/'" in shown
    report = httpx2.get(running.pages.url(running.pages.reports / "report-2024-08-08.html"), trust_env=False)
    assert (report.status_code, report.text) == (200, REPORT)
    assert report.headers["content-type"].startswith("text/html")
    docs = running.pages.url(page)
    assert docs.endswith("/data-docs/validations/a%20b/day.html")
    assert httpx2.get(docs, trust_env=False).text == "held"
    assert running.get("/data-docs/").text == "held"
    missing = running.get("/reports/report-1999-01-01.html")
    assert (missing.status_code, "All pages" in missing.text) == (404, True)


def test_nothing_else_of_the_data_directory_is_shown(running: Running) -> None:
    secret = running.pages.data_dir / "run" / "secret.json"
    secret.parent.mkdir(exist_ok=True)
    secret.write_text("hunter2")
    (running.pages.reports / "link.html").symlink_to(secret)
    (running.pages.docs / "linked").symlink_to(secret.parent)
    tried = ("/run/secret.json", "/reports/link.html", "/data-docs/linked/secret.json", "/reports/")
    for path in tried:
        assert running.get(path).status_code == 404, path
    climbing = ("/reports/../run/secret.json", "/reports/%2e%2e/run/secret.json", "/reports//etc/passwd")
    for path in climbing:
        answer = running.raw(path)
        assert b" 404 " in answer.splitlines()[0], path
        assert b"hunter2" not in answer and b"root:" not in answer


def test_it_is_read_only_on_loopback_and_under_no_other_name(running: Running) -> None:
    url = f"{running.url}/reports/new.html"
    assert httpx2.put(url, content=b"x", trust_env=False).status_code == 405
    assert httpx2.delete(url, trust_env=False).status_code == 405
    assert running.get("/", Host="rebound.example").status_code == 400
    listening = [one for one in psutil.Process(running.process.pid).net_connections("inet") if one.status == "LISTEN"]
    assert [one.laddr.ip for one in listening] == ["127.0.0.1"]


def test_only_pages_have_an_address(running: Running) -> None:
    with pytest.raises(ValueError, match="neither a report"):
        running.pages.url(running.pages.data_dir / "run" / "summary.json")


def test_it_ends_well_when_told_to(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
