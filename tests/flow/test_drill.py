"""A short drill on the platform of the tests: what it reports, and that it reports what is wrong."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from deploy import stack
from orchestration.drill.faults import FULL_S
from orchestration.drill.plan import TRADES, Fault
from orchestration.drill.platform import player_of
from orchestration.drill.run import hold
from orchestration.drill.site import Site
from orchestration.settings import BARS_QUERY
from sources.derive import derive
from spark.comparison import Comparison, Scratch
from spark.rebuild import rebuild_day
from stores.warehouse import Warehouse

# A day of its own: other tests play other days.
DAY = date(2022, 3, 1)
# Two faults, each with its wait and its audit.
pytestmark = pytest.mark.timeout(600)
PROCESSES = {"kafka", "registry", "warehouse", "redis", "replay", "collector-binance", "streams"}


@pytest.fixture
def site(flow: Any, tmp_path: Any) -> Iterator[Site]:
    flow.post("collector-binance", "/forget", {})
    found = Site(flow.settings, PROCESSES, player_of(flow.settings, tmp_path, DAY))
    yield found
    found.player.pause()


@pytest.fixture
def rebuild(flow: Any, spark: Any) -> Any:
    def rebuilt(day: date) -> list[Comparison]:
        streams, scratch = flow.settings.streams, Scratch.of(day, "drill")
        tables = rebuild_day(
            spark, lake=streams.lake, warehouse_settings=streams.warehouse, derive=derive, day=day,
            bars_query=BARS_QUERY.read_text(), scratch=scratch,
        )  # fmt: skip
        scratch.drop(Warehouse(streams.warehouse))
        return tables

    return rebuilt


def test_a_short_drill_balances_and_tells_what_it_could_not_do(site: Site, rebuild: Any) -> None:
    plan = [
        Fault("gap", TRADES, 7),
        Fault("kill", "dagster-daemon-of-another-platform"),
        Fault("disk", "warehouse"),
    ]
    report = hold(site, plan, seed=1, day=DAY, rebuild=rebuild)
    told = report.as_dict()
    assert report.failure == ""
    assert [(one["kind"], one["target"]) for one in told["faults"]] == [
        (fault.kind, fault.target) for fault in plan if "daemon" not in fault.target
    ]
    assert [(one["kind"], one["target"]) for one in told["not_injected"]] == [("kill", plan[1].target)]
    assert (told["missing"], told["twice"], told["bars_equal"], told["open_gaps"]) == (0, 0, True, [])
    assert report.balanced
    by_kind = {one["kind"]: one["seconds_to_recover"] for one in told["faults"]}
    assert by_kind["disk"] > FULL_S, "it counts from the fault's begin, not from its end"


def test_a_drill_that_loses_a_row_is_not_balanced(site: Site, rebuild: Any) -> None:
    one = f"toDate(event_time) = '{DAY}' ORDER BY venue_sequence LIMIT 1"
    warehouse = Warehouse(site.settings.warehouse)

    def rebuilt_after_a_loss(day: date) -> list[Comparison]:
        (row,) = warehouse.rows(f"SELECT venue_sequence FROM market_trades FINAL WHERE {one}")
        lost = f"toDate(event_time) = '{DAY}' AND venue_sequence = {row[0]}"
        warehouse.run(f"CREATE TABLE drill_kept ENGINE = Memory AS SELECT * FROM market_trades FINAL WHERE {lost}")
        warehouse.run(f"ALTER TABLE market_trades DELETE WHERE {lost} SETTINGS mutations_sync = 2")
        try:
            return list(rebuild(day))
        finally:
            warehouse.run("INSERT INTO market_trades SELECT * FROM drill_kept")
            warehouse.run("DROP TABLE drill_kept")

    report = hold(site, [Fault("duplicate", TRADES, 5)], seed=1, day=DAY, rebuild=rebuilt_after_a_loss)
    assert (report.missing, report.twice, report.bars_equal, report.balanced) == (0, 0, False, False)
    assert any("market.trades" in finding for finding in report.as_dict()["findings"])
    assert stack.status(site.stack).healthy
