"""The newcomer's way as README tells it, "Something is wrong": each of its steps, on the running platform.

The fixture `way` goes it up to the report, with the wrong row in place; each test claims what one step has to show.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from contracts.errors import TerminalError
from deploy import stack
from jobs.names import ALERTS_SENSOR, DAILY, FAILED_CHECK_SENSOR
from orchestration.launch import LOCATION, REPOSITORY, Server, run_job
from orchestration.values import environment_of

# What the first test waits for is the whole way: a backfill, checks, a daemon that looks every 30 s.
pytestmark = pytest.mark.timeout(900)

CLAIM = "volume_equals_the_trades_of_the_minute"
# The sensors look every 30 s; on a busy machine that takes longer.
NOTICED_S = 300.0
PAGES = {"pages", "dagster-webserver"}
BROWSER = which("chromium") or which("chromium-browser") or which("google-chrome")
WRONG = (
    "INSERT INTO market_bars SELECT * REPLACE (volume + 1 AS volume, revision + 1000 AS revision) "
    "FROM market_bars WHERE instrument = 'BTCUSDT' AND toDate(bar_time) = '{day}' "
    "ORDER BY bar_time, revision DESC LIMIT 1"
)
UNDONE = "DELETE FROM market_bars WHERE revision > 1000"

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Way:
    """What each step came to. `alerts` goes on growing."""

    day: date
    settings: Any
    tapehouse: Command
    backfill: "subprocess.CompletedProcess[str]"
    checks: "subprocess.CompletedProcess[str]"
    held_back: str
    incidents: "subprocess.CompletedProcess[str]"
    alerts: list[dict[str, Any]]
    report: "subprocess.CompletedProcess[str]"

    def about(self, word: str) -> list[dict[str, Any]]:
        """Return the alerts whose text has the word and is about the claim."""
        return [one for one in self.alerts if CLAIM in one["message"] and word in one["message"]]


@pytest.fixture(scope="module")
def alerts(flow: Any) -> Iterator[list[dict[str, Any]]]:
    """A receiver at the address that the platform's settings name, and what it was sent."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    address = urlsplit(flow.settings.receivers[0])
    server = ThreadingHTTPServer((str(address.hostname), int(address.port or 0)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def dagster(flow: Any, alerts: list[dict[str, Any]]) -> Iterator[None]:
    """Dagster and the pages on the session's platform. Of sensors and schedules only those of incidents run.

    The others would find the days of all tests before.
    """
    stack.up(flow.stack, only=PAGES)
    with httpx2.Client(timeout=60, trust_env=False) as client:
        switch_off(Server(client, flow.settings.dagster_url), keep={FAILED_CHECK_SENSOR, ALERTS_SENSOR})
    stack.up(flow.stack, only={"dagster-daemon"})
    yield
    for name in ("dagster-daemon", *PAGES):
        stack.stop_one(flow.stack, name)


def switch_off(server: Server, keep: set[str]) -> None:
    """Stop what starts runs by itself."""
    where = {"where": {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY}}
    asked = "query All($where: RepositorySelector!) { sensorsOrError(repositorySelector: $where) { ... on Sensors "
    asked += "{ results { name sensorState { id } } } } schedulesOrError(repositorySelector: $where) { ... on "
    asked += "Schedules { results { scheduleState { id } } } } }"
    found = server.ask(asked, where)
    for one in found["sensorsOrError"]["results"]:
        if one["name"] not in keep:
            change = "mutation Off($id: String!) { stopSensor(id: $id) { __typename } }"
            assert server.ask(change, {"id": one["sensorState"]["id"]})["stopSensor"]["__typename"] != "PythonError"
    for one in found["schedulesOrError"]["results"]:
        change = "mutation Off($id: String!) { stopRunningSchedule(id: $id) { __typename } }"
        server.ask(change, {"id": one["scheduleState"]["id"]})


@pytest.fixture(scope="module")
def tapehouse(flow: Any) -> Command:
    program = Path(sys.executable).parent / "tapehouse"
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TAPEHOUSE_")}

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program, *words],
            env=outside | environment_of(flow.settings) | {"COLUMNS": "250"},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def way(
    flow: Any, dagster: None, alerts: list[dict[str, Any]], tapehouse: Command, new_road: Any, wait_until: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Way]:  # fmt: skip
    """Go the way, with the wrong row in place until the tests are over."""
    road = new_road(tmp_path_factory.mktemp("tapes"))
    road.play(road.records(300))
    wait_until(lambda: road.stored() == 300, "300 trades stored")
    bars = f"SELECT sum(trade_count) FROM market_bars_current WHERE toDate(bar_time) = '{road.day}'"
    wait_until(lambda: flow.ask(bars) == [(300,)], "bars of 300 trades")
    day = str(road.day)
    backfill = tapehouse("backfill", "market/bars_5m", "--from", day, "--to", day, "--json")
    flow.run(WRONG.format(day=day))
    try:
        checks = tapehouse("checks", "--day", day)
        opened = (
            f"SELECT count() FROM system_incidents_current WHERE state = 'open' AND position(subject, '{CLAIM}') > 0"
        )
        wait_until(lambda: flow.ask(opened) == [(1,)], "an incident is open", NOTICED_S)
        incidents = tapehouse("incidents")
        with pytest.raises(TerminalError) as held_back:
            run_job(flow.settings.dagster_url, DAILY, day, deadline_s=300)
        wait_until(lambda: any(CLAIM in one["message"] for one in alerts), "the receiver was told", NOTICED_S)
        report = tapehouse("report", "--day", day)
        yield Way(road.day, flow.settings, tapehouse, backfill, checks, str(held_back.value), incidents, alerts, report)
    finally:
        flow.run(UNDONE)


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Open an address in a real browser and return the page as it stands once its scripts have run."""
    if BROWSER is None:
        pytest.skip("no browser: install chromium to see the pages as a user does")
    quiet = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    quiet += " --disable-component-update --disable-sync --window-size=1600,1400 --virtual-time-budget=30000"

    def opened(url: str) -> str:
        profile = tmp_path_factory.mktemp("profile")
        command = [str(BROWSER), *quiet.split(), f"--user-data-dir={profile}", "--dump-dom", url]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout

    return opened


def test_a_day_is_made_again_by_one_command(way: Way) -> None:
    assert way.backfill.returncode == 0, way.backfill.stderr
    told = json.loads(way.backfill.stdout)
    assert told["assets"] == {"market/bars_5m": {"wanted": 1, "done": 1, "failed": 0, "running": 0}}


def test_the_check_fails_and_names_the_claim_and_the_row(way: Way) -> None:
    assert way.checks.returncode == 1, way.checks.stderr
    assert f"stop market.bars binance: {CLAIM}" in way.checks.stdout
    assert f"bar_time={way.day}T00:00:00" in way.checks.stdout
    assert "volume_beyond_trades=1" in way.checks.stdout
    assert f"{way.settings.pages.base_url}/data-docs/index.html" in way.checks.stdout
    stopped = [line for line in way.checks.stdout.splitlines() if line.startswith("stop ")]
    assert len(stopped) == 1, "one wrong number makes one claim false"


def test_what_is_made_of_the_bars_is_held_back(way: Way) -> None:
    assert CLAIM in way.held_back
    assert way.settings.dagster_url in way.held_back


def test_the_incident_says_what_is_wrong_and_what_to_do(way: Way) -> None:
    assert way.incidents.returncode == 1
    (one,) = [
        one for one in json.loads(way.tapehouse("incidents", "--json").stdout)["incidents"] if CLAIM in one["subject"]
    ]
    assert one["title"] == f"{CLAIM} is false for market.bars of binance on {way.day}"
    assert "market/bars_5m" in one["downstream"]
    assert f"tapehouse checks --day {way.day} --dataset market.bars" in one["next_step"]
    page = httpx2.get(one["evidence"]["page"], timeout=20, trust_env=False)
    assert (page.status_code, CLAIM in page.text) == (200, True)
    assert CLAIM in way.incidents.stdout


def test_the_receiver_is_told_once(way: Way) -> None:
    (opened,) = way.about("what to do")
    assert opened["message"].startswith(f"{CLAIM} is false for market.bars of binance on {way.day}")


def test_the_report_says_that_the_day_cannot_be_trusted(way: Way) -> None:
    assert way.report.returncode == 0, way.report.stderr
    assert "Do not trust" in way.report.stdout
    assert f"{way.settings.pages.base_url}/reports/report-{way.day}.html" in way.report.stdout


def test_a_browser_shows_the_report_and_the_failed_check(way: Way, look: Callable[[str], str]) -> None:
    report = look(f"{way.settings.pages.base_url}/reports/report-{way.day}.html")
    verdict = way.report.stdout.splitlines()[0].removeprefix(f"{way.day}: ")
    assert verdict in report
    assert CLAIM in report
    checks = look(f"{way.settings.dagster_url}/assets/market/bars?view=checks")
    assert CLAIM in checks


def test_a_browser_shows_the_groups_in_the_order_of_the_road(way: Way, look: Callable[[str], str]) -> None:
    shown = look(f"{way.settings.dagster_url}/asset-groups")
    groups = ("1_sources", "2_streams", "3_stored", "4_rollups", "5_features", "6_quality", "7_report")
    places = [shown.find(group) for group in groups]
    assert -1 not in places
    assert places == sorted(places)


def test_when_the_row_is_gone_the_incident_closes_and_the_receiver_hears_of_it_once(
    way: Way, flow: Any, wait_until: Any
) -> None:
    flow.run(UNDONE)
    assert way.tapehouse("checks", "--day", str(way.day)).returncode == 0
    wait_until(lambda: way.about("repaired in"), "the receiver was told of the recovery", NOTICED_S)
    assert len(way.about("repaired in")) == 1
    assert len(way.about("what to do")) == 1
    every = json.loads(way.tapehouse("incidents", "--all", "--json").stdout)["incidents"]
    assert [one["state"] for one in every if CLAIM in one["subject"]] == ["closed"]
