"""Backfills as a user starts, cancels and resumes them, on a real Dagster and a real warehouse."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import httpx2
import pytest

from assets.rollups import ROLLUP_ASSETS
from assets.specs import SPARK_POOL, WAREHOUSE_POOL
from contracts.errors import TerminalError
from deploy.stack.dagster import POOLS
from orchestration.backfill import Backfill, Backfills, connected, days_between
from orchestration.cli.backfill import _interrupted

FIRST = datetime(2021, 3, 1, tzinfo=UTC)

# A run is a process, and a daemon looks for work every few seconds: on a busy machine that adds up.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def backfills(dagster: Any) -> Iterator[Backfills]:
    with connected(dagster.url) as found:
        yield found


@pytest.fixture
def run(dagster: Any, tapehouse: Any) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    return lambda *words: tapehouse("backfill", *words, settings=dagster.settings)


@pytest.fixture(scope="module")
def bars(answering: Any) -> None:
    """A bar at noon of every day."""
    noon = FIRST + timedelta(hours=12)
    answering.insert_bars([{"bar_time": noon + timedelta(days=day)} for day in range(100)])


def days_with_bars(answering: Any, suffix: str) -> int:
    return int(answering.warehouse.value(f"SELECT uniq(toDate(bar_time)) FROM market_bars_{suffix}"))


def until(claim: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.2)


def spans(dagster: Any, backfill_id: str) -> list[tuple[float, float]]:
    """Return when the runs of a backfill started and ended, the first one first."""
    query = (
        "query Spans($tag: ExecutionTag!) { runsOrError(filter: {tags: [$tag]}) "
        "{ ... on Runs { results { startTime endTime } } } }"
    )
    tag = {"key": "dagster/backfill", "value": backfill_id}
    asked = {"query": query, "variables": {"tag": tag}}
    answer = httpx2.post(f"{dagster.url}/graphql", json=asked, timeout=20, trust_env=False).json()
    return sorted((run["startTime"], run["endTime"]) for run in answer["data"]["runsOrError"]["results"])


def test_one_run_makes_a_month_and_the_pool_lets_one_in_at_a_time(
    run: Any, dagster: Any, answering: Any, bars: None
) -> None:
    answering.warehouse.run("TRUNCATE TABLE market_bars_5m")
    done = run("market/bars_5m", "--from", "2021-03-01", "--to", "2021-04-03", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["assets"] == {"market/bars_5m": {"wanted": 34, "done": 34, "failed": 0, "running": 0}}
    assert list(told["runs"].values()) == ["SUCCESS"] * 2
    assert days_with_bars(answering, "5m") == 34
    assert "market/bars_5m 34 of 34" in done.stderr
    first, second = spans(dagster, told["id"])
    assert first[1] <= second[0]
    listed = json.loads(run("list", "--json").stdout)
    assert [one["status"] for one in listed if one["id"] == told["id"]] == ["completed_success"]
    assert told["id"] in run("list").stdout


def test_what_follows_is_made_too_when_asked_for(run: Any, answering: Any, bars: None) -> None:
    for suffix in ("1h", "1d"):
        answering.warehouse.run(f"TRUNCATE TABLE market_bars_{suffix}")
    done = run("start", "market/bars_5m", "--from", "2021-03-01", "--to", "2021-03-03", "--downstream", "--json")
    assert done.returncode == 0, done.stderr
    assert {name: one["done"] for name, one in json.loads(done.stdout)["assets"].items()} == {
        "market/bars_5m": 3,
        "market/bars_1h": 3,
        "market/bars_1d": 3,
    }
    assert (days_with_bars(answering, "1h"), days_with_bars(answering, "1d")) == (3, 3)


def test_a_failed_backfill_says_why_and_resuming_makes_what_is_left(
    run: Any, answering: Any, bars: None, backfills: Backfills
) -> None:
    answering.warehouse.run("RENAME TABLE market_bars_1d TO market_bars_1d_away")
    try:
        done = run("market/bars_1d", "--from", "2021-03-01", "--to", "2021-03-02")
    finally:
        answering.warehouse.run("RENAME TABLE market_bars_1d_away TO market_bars_1d")
    assert done.returncode == 1
    assert "market_bars_1d: the warehouse refused to" in done.stderr
    assert "/runs/" in done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("mend that, then: tapehouse backfill resume ")
    failed = said.split()[-1]
    resumed = run("resume", failed, "--json")
    assert resumed.returncode == 0, resumed.stderr
    told = json.loads(resumed.stdout)
    assert told["id"] != failed
    assert told["assets"]["market/bars_1d"]["done"] == 2
    again = run("resume", told["id"])
    assert (again.returncode, again.stderr) == (1, f"backfill {told['id']} has made all 2 partitions: none is left\n")


def test_ctrl_c_cancels_what_nobody_can_be_asked_about_and_the_rest_can_be_resumed(
    dagster: Any, backfills: Backfills, bars: None
) -> None:
    started = dagster.process(
        *(sys.executable, "-m", "orchestration.cli", "backfill", "market/bars_5m"),
        *("--from", "2021-03-01", "--to", "2021-06-08"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    running: list[Backfill] = []

    def one_runs() -> bool:
        running[:] = [one for one in backfills.recent() if not one.over]
        return bool(running) and bool(backfills.state(running[0].id).runs)

    until(one_runs)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=300)
    assert started.returncode == 130, err
    state = backfills.state(running[0].id)
    assert state.status == "CANCELED"
    assert not {"STARTED", "QUEUED", "STARTING", "NOT_STARTED"} & set(state.runs.values())
    left = 100 - state.assets["market/bars_5m"].done
    assert left > 0
    assert f"tapehouse backfill resume {state.id}" in err
    assert state.id in out
    resumed = backfills.resume(state.id)
    until(lambda: backfills.state(resumed).assets["market/bars_5m"].wanted == left)
    assert backfills.cancel(resumed).status == "CANCELED"


def test_what_is_over_can_be_watched_and_is_not_changed_by_cancelling(run: Any, backfills: Backfills) -> None:
    over = next(one for one in backfills.recent() if one.succeeded)
    assert run("watch", over.id).returncode == 0
    done = run("cancel", over.id)
    assert (done.returncode, "completed_success" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("market/bars_5", "--from", "2021-03-01", "--to", "2021-03-02"),
            "no asset 'market/bars_5' can be backfilled; valid: market/bars_1d, market/bars_1h, market/bars_5m",
        ),
        (
            ("market/bars_5m", "--from", "2021-03-02", "--to", "2021-03-01"),
            "--from 2021-03-02 is after --to 2021-03-01",
        ),
        (
            ("market/bars_5m", "--from", "2020-12-31", "--to", "2021-03-01"),
            "market/bars_5m has no partition 2020-12-31; valid: 2021-01-01 to ",
        ),
        (
            ("market/bars_5m", "--from", "2021-03-01", "--to", "2999-01-01"),
            "has no partition 2999-01-01; valid: 2021-01-01 to ",
        ),
        (
            ("market/bars_5m", "--from", "2021-03-01", "--to", "2021-03-02", "--venue", "nasdaq"),
            "no venue is called 'nasdaq'; valid: binance, coinbase, kraken",
        ),
        (("resume", "abc"), "Dagster knows no backfill 'abc'"),
        (("cancel", "abc"), "Dagster knows no backfill 'abc'"),
    ],
)
def test_what_cannot_be_done_is_one_line_that_names_what_can(run: Any, words: tuple[str, ...], told: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert told in done.stderr


def test_a_day_of_all_venues_is_said_to_be_that(run: Any, bars: None) -> None:
    words = ("market/bars_1d", "--from", "2021-03-01", "--to", "2021-03-01")
    done = run(*words, "--venue", "kraken", "--no-wait", "--json")
    assert done.returncode == 0, done.stderr
    assert "market/bars_1d makes a day of all venues at once, kraken's with the others'" in done.stderr
    assert json.loads(done.stdout)["venue"] == "kraken"


@pytest.mark.parametrize(("venue", "found"), [(("--venue", "kraken"), 2), ((), 4)])
def test_a_venue_chooses_its_partitions_where_an_asset_has_them(run: Any, venue: tuple[str, ...], found: int) -> None:
    done = run("test/by_venue", "--from", "2021-03-01", "--to", "2021-03-02", *venue, "--no-wait", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["partitions"], done.stderr) == (found, "")


def test_a_venue_without_partitions_is_named_with_those_that_have_some(run: Any) -> None:
    done = run("test/by_venue", "--from", "2021-03-01", "--to", "2021-03-02", "--venue", "coinbase")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "has no partition of 'coinbase'; valid: binance, kraken" in done.stderr


@dataclass
class Cancelling:
    """Backfills of which one is cancelled or not."""

    cancelled: list[str] = field(default_factory=list)

    def cancel(self, backfill_id: str) -> Backfill:
        self.cancelled.append(backfill_id)
        now = datetime.now(UTC)
        return Backfill(backfill_id, "CANCELED", "x", "http://x", now, now, 1, {}, {})


@pytest.mark.parametrize(("somebody", "answer", "cancelled"), [(True, True, 1), (True, False, 0), (False, False, 1)])
def test_ctrl_c_asks_whom_it_can(
    somebody: bool, answer: bool, cancelled: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: somebody, raising=False)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: answer)
    found = Cancelling()
    _interrupted(cast(Any, found), "abc", False)
    assert len(found.cancelled) == cancelled
    assert f"tapehouse backfill {'resume' if cancelled else 'watch'} abc" in capsys.readouterr().err


def test_wrong_usage_is_two_and_no_platform_one_clear_line(tapehouse: Any) -> None:
    assert tapehouse("backfill", "market/bars_5m", "--from", "yesterday", "--to", "2021-03-01").returncode == 2
    assert tapehouse("backfill", "market/bars_5m").returncode == 2
    from orchestration.settings import Settings

    done = tapehouse("backfill", "list", settings=Settings(port_offset=29_999))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "is the platform up? tapehouse status" in done.stderr


def test_a_pool_gets_its_limit_and_one_that_was_set_before_is_kept(dagster: Any) -> None:
    query = "{ instance { concurrencyLimits { concurrencyKey limit } } }"
    answer = httpx2.post(f"{dagster.url}/graphql", json={"query": query}, timeout=20, trust_env=False).json()
    limits = {one["concurrencyKey"]: one["limit"] for one in answer["data"]["instance"]["concurrencyLimits"]}
    # The fixture has set the warehouse's before the platform came to it.
    assert limits == POOLS | {"warehouse": 1}
    assert POOLS["warehouse"] != 1


def test_what_writes_to_the_warehouse_or_starts_spark_waits_in_a_pool_that_has_a_limit() -> None:
    assert {WAREHOUSE_POOL, SPARK_POOL} == set(POOLS)
    for asset in ROLLUP_ASSETS:
        assert asset.op.pool == WAREHOUSE_POOL


@pytest.mark.parametrize(("first", "last", "found"), [(1, 3, 3), (2, 2, 1), (1, 1, 1)])
def test_both_ends_are_included(first: int, last: int, found: int) -> None:
    keys = [f"2021-01-0{day}" for day in (1, 2, 3)]
    assert len(days_between("a", keys, date(2021, 1, first), date(2021, 1, last))) == found


def test_an_asset_without_partitions_yet_says_so() -> None:
    with pytest.raises(TerminalError, match="only a day that is over"):
        days_between("a", [], date(2021, 1, 1), date(2021, 1, 1))
