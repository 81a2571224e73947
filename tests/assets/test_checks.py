"""The suites as asset checks: one a claim, with what was found in its metadata, holding rollups back where it must."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.checks import FOLLOWED
from assets.failures import failing_by_type
from assets.specs import asset_key
from contracts.bars import BARS
from contracts.errors import RetryableError, TerminalError
from contracts.trades import TRADES
from orchestration.resources import CheckResource
from quality.suites.catalog import CHECKED, suites_of
from quality.suites.results import CheckResult, DatasetRun

DAY = "2021-07-22"
NOON = datetime(2021, 7, 22, 12, tzinfo=UTC)
ROLLUP = dg.AssetKey(["market", "bars_5m"])
NUMBER = sum(len(suite.claims) for dataset in CHECKED for suite in suites_of(dataset))


def result(dataset: str = "market.trades", name: str = "price_is_positive", **changes: Any) -> CheckResult:
    told: dict[str, Any] = {"venue": "binance", "level": "stop", "checked_count": 10, "unexpected_count": 0}
    told |= {"day": date(2021, 7, 22), "dataset": dataset, "check_name": name, "says": "It is so."}
    return CheckResult(**(told | changes))


def run_of(*results: CheckResult, dataset: str = "market.trades") -> DatasetRun:
    return DatasetRun(dataset, results[0].day, results, seconds=0.5, page=Path("var/data-docs/page.html"))


def run(location: dg.Definitions, instance: dg.DagsterInstance, **how: Any) -> dg.ExecuteInProcessResult:
    return location.resolve_job_def("daily").execute_in_process(
        instance=instance, raise_on_error=False, **({"partition_key": DAY} | how)
    )


def claims(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], Any]:
    """Return the evaluations by table and check."""
    return {
        (found.asset_key.to_user_string(), found.check_name): found for found in result.get_asset_check_evaluations()
    }


def test_every_claim_is_a_check_of_its_table_and_blocks_where_something_follows(location: Any) -> None:
    nodes = location.resolve_asset_graph()
    for dataset in CHECKED:
        for claim in (claim for suite in suites_of(dataset) for claim in suite.claims):
            spec = nodes.get_check_spec(dg.AssetCheckKey(asset_key(dataset), claim.name))
            assert spec.blocking == (claim.level == "stop" and dataset in FOLLOWED)
            assert claim.says in spec.description


def test_a_claim_that_stops_holds_the_rollups_back_and_shows_the_offending_rows(
    location: Any, instance: Any, checker: Any
) -> None:
    sample = tuple({"venue": "binance", "trade_id": str(n), "price": "0"} for n in range(3))
    broken = result(unexpected_count=3, sample=sample)
    checker.runs = [run_of(broken, result(venue="kraken"))]
    outcome = run(location, instance)
    assert not outcome.success
    check = claims(outcome)["market/trades", "price_is_positive"]
    assert (check.passed, check.blocking, check.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert check.description == "2021-07-22, binance: 3 of 10"
    assert (check.metadata["checked"].value, check.metadata["unexpected"].value) == (20, 3)
    rows = [record.data for record in check.metadata["offending_rows"].records]
    assert rows[1] == {"day": DAY, "venue": "binance", "trade_id": "1", "price": "0"}
    assert [record.data["venue"] for record in check.metadata["venues"].records] == ["binance", "kraken"]
    assert check.metadata["data_docs"].value == "http://127.0.0.1:18080/data-docs/page.html"
    assert check.metadata["seconds_of_the_dataset"].value == 0.5
    assert instance.get_materialized_partitions(ROLLUP) == set()


@pytest.mark.parametrize(
    ("dataset", "name", "level"),
    [
        ("market.books", "kind_is_snapshot_or_delta", "stop"),
        ("market.trades", "received_time_is_at_most_5_s_before_event_time", "warn"),
    ],
)
def test_a_warning_and_a_claim_that_nothing_follows_from_hold_nothing_back(
    location: Any, instance: Any, checker: Any, dataset: str, name: str, level: str
) -> None:
    checker.runs = [run_of(result(dataset, name, level=level, unexpected_count=1), dataset=dataset)]
    outcome = run(location, instance)
    assert outcome.success
    check = claims(outcome)[dataset.replace(".", "/"), name]
    severity = {"stop": dg.AssetCheckSeverity.ERROR, "warn": dg.AssetCheckSeverity.WARN}[level]
    assert (check.passed, check.severity) == (False, severity)
    assert instance.get_materialized_partitions(ROLLUP) == {DAY}


def test_a_check_with_nothing_to_look_at_passes_and_says_so(location: Any, instance: Any) -> None:
    outcome = run(location, instance)
    assert outcome.success
    mine = [check for check in claims(outcome).values() if "level" in check.metadata]
    assert len(mine) == NUMBER
    assert {(check.passed, check.description) for check in mine} == {(True, "nothing to look at")}


def test_each_day_of_a_run_is_checked_and_noted(location: Any, instance: Any, checker: Any) -> None:
    asked: list[tuple[date, list[str]]] = []

    def check(day: date, datasets: Sequence[Any], run_id: str, on_progress: Any) -> list[DatasetRun]:
        asked.append((day, [dataset.name for dataset in datasets]))
        return [run_of(result(day=day, unexpected_count=int(day.day == 23)))]

    checker.check = check
    ends = {"dagster/asset_partition_range_start": DAY, "dagster/asset_partition_range_end": "2021-07-23"}
    outcome = run(location, instance, partition_key=None, tags=ends)
    assert asked == [(date(2021, 7, day), [dataset.name for dataset in CHECKED]) for day in (22, 23)]
    found = claims(outcome)["market/trades", "price_is_positive"]
    assert found.description == "2021-07-23, binance: 1 of 10"
    for name in (["system", "check_results"], ["market", "bars"]):
        assert instance.get_materialized_partitions(dg.AssetKey(name)) == {DAY, "2021-07-23"}


@pytest.mark.parametrize(("error", "tries"), [(RetryableError("away"), 2), (TerminalError("no table"), 1)])
def test_suites_that_cannot_be_run_are_tried_again_only_where_that_helps(
    location: Any, instance: Any, checker: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    monkeypatch.setattr("assets.checks.failing_by_type", partial(failing_by_type, retry_after_s=0))
    asked: list[date] = []

    def check(day: date, *_: Any) -> list[DatasetRun]:
        asked.append(day)
        if len(asked) == 1:
            raise error
        return []

    checker.check = check
    assert run(location, instance).success == (tries == 2)
    assert len(asked) == tries


def test_the_real_suites_find_a_wrong_bar_and_keep_it(
    location: Any, instance: Any, stored: Any, make_bar: Any, checker: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    stored.warehouse.run("TRUNCATE TABLE system_check_results")
    stored.insert_trade(NOON, 1)
    stored.insert_bars([make_bar(NOON, volume=Decimal(7)), make_bar(NOON + timedelta(days=1))])
    checker.check = CheckResource(stored.store.warehouse_settings, Path("var")).check
    outcome = run(location, instance)
    check = claims(outcome)["market/bars", "volume_equals_the_trades_of_the_minute"]
    assert (check.passed, check.metadata["checked"].value) == (False, 1)
    row = check.metadata["offending_rows"].records[0].data
    assert (row["instrument"], row["bar_time"], row["volume_beyond_trades"]) == ("BTCUSDT", "2021-07-22T12:00:00", "6")
    page = check.metadata["data_docs"].value.removeprefix("http://127.0.0.1:18080/")
    assert Path("var", page).is_file()
    assert instance.get_materialized_partitions(ROLLUP) == set()
    kept = stored.warehouse.rows(
        "SELECT unexpected_count, run_id FROM system_check_results_current "
        "WHERE dataset = {d:String} AND check_name = 'volume_equals_the_trades_of_the_minute'",
        {"d": BARS.name},
    )
    assert kept == [(1, outcome.run_id)]
    assert claims(outcome)[asset_key(TRADES).to_user_string(), "price_is_positive"].passed
