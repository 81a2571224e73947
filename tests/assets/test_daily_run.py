"""The daily job, as Dagster runs it, on the real warehouse."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from assets.audit import CHECK
from assets.specs import asset_key
from contracts.catalog import MARKET
from contracts.errors import RetryableError, TerminalError

DAY = "2021-07-22"
MIDNIGHT = datetime(2021, 7, 22, tzinfo=UTC)
ROLLUPS = [dg.AssetKey(["market", f"bars_{suffix}"]) for suffix in ("5m", "1h", "1d")]


@pytest.fixture
def bars(stored: Any, make_bar: Any) -> None:
    stored.insert_bars([make_bar(MIDNIGHT + timedelta(minutes=m)) for m in (0, 1, 7, 600)])


def run(location: dg.Definitions, instance: dg.DagsterInstance, **how: Any) -> dg.ExecuteInProcessResult:
    return location.resolve_job_def("daily").execute_in_process(instance=instance, raise_on_error=False, **how)


def unbalanced(dataset: str = "market.trades") -> Any:
    from quality.audit import AuditReport, AuditRow

    good = [AuditRow("kafka to ledger", dataset, p, 9, 9, 0, 0, dataset) for p in range(4)]
    return AuditReport([*good, AuditRow("tape to tables", "tape.binance", 2, 9, 7, 3, 1, dataset)])


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return the evaluations of the audit by table."""
    return {
        found.asset_key.to_user_string(): found
        for found in result.get_asset_check_evaluations()
        if found.check_name == CHECK
    }


def test_a_balanced_day_is_rolled_up_with_its_numbers(bars: None, location: Any, instance: Any, auditor: Any) -> None:
    result = run(location, instance, partition_key=DAY)
    assert result.success
    assert [str(day) for day in auditor.asked] == [DAY]
    checks = checks_of(result)
    assert set(checks) == {asset_key(dataset).to_user_string() for dataset in MARKET}
    assert all(check.passed for check in checks.values())
    counts = {}
    for key in ROLLUPS:
        (event,) = result.asset_materializations_for_node("_".join(key.path))
        assert event.partition == DAY
        counts[key.path[-1]] = event.metadata["dagster/partition_row_count"].value
        assert str(event.metadata["closes"].value).startswith("![closes of 2021-07-22](data:image/png;base64,")
        assert event.metadata["largest_series"].value.records[0].data["instrument"] == "BTCUSDT"  # type: ignore[union-attr]
    assert counts == {"bars_5m": 3, "bars_1h": 2, "bars_1d": 1}


def test_a_failed_audit_stops_the_rollups_and_shows_what_is_wrong_first(
    bars: None, location: Any, instance: Any, auditor: Any, stored: Any
) -> None:
    auditor.report = unbalanced()
    result = run(location, instance, partition_key=DAY)
    assert not result.success
    check = checks_of(result)["market/trades"]
    assert (check.passed, check.blocking, check.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert check.description == "2021-07-22: 3 missing, 1 twice"
    first = check.metadata["audit"].records[0].data
    assert (first["check"], first["partition"], first["missing"]) == ("tape to tables", 2, 3)
    assert instance.get_materialized_partitions(ROLLUPS[0]) == set()
    assert stored.rollup("5m") == []


def test_a_fault_of_another_table_is_told_there_and_holds_no_bars_back(
    bars: None, location: Any, instance: Any, auditor: Any, stored: Any
) -> None:
    auditor.report = unbalanced("market.books")
    result = run(location, instance, partition_key=DAY)
    assert result.success
    checks = checks_of(result)
    assert {name for name, check in checks.items() if not check.passed} == {"market/books"}
    assert not checks["market/books"].blocking
    assert checks["market/books"].severity is dg.AssetCheckSeverity.ERROR
    assert len(stored.rollup("5m")) == 3


def test_several_days_in_one_run_each_get_their_own_numbers(
    stored: Any, make_bar: Any, location: Any, instance: Any, auditor: Any
) -> None:
    stored.insert_bars([make_bar(MIDNIGHT), make_bar(MIDNIGHT + timedelta(days=2)), make_bar(MIDNIGHT, venue="other")])
    ends = {"dagster/asset_partition_range_start": DAY, "dagster/asset_partition_range_end": "2021-07-24"}
    result = run(location, instance, tags=ends)
    assert result.success
    assert len(auditor.asked) == 3
    counts = {
        event.partition: event.metadata["dagster/partition_row_count"].value
        for event in result.asset_materializations_for_node("market_bars_1d")
    }
    assert counts == {DAY: 2, "2021-07-23": 0, "2021-07-24": 1}


def test_an_audit_that_cannot_be_made_fails_the_run_at_once(
    bars: None, location: Any, instance: Any, auditor: Any
) -> None:
    auditor.error = TerminalError("no topic is called market.trades")
    assert not run(location, instance, partition_key=DAY).success
    assert len(auditor.asked) == 1


def test_an_audit_that_meets_a_service_away_is_tried_again(
    bars: None, location: Any, instance: Any, auditor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assets.failures.RETRY_AFTER_S", 0.0)
    error, auditor.error = RetryableError("Kafka does not answer"), None
    answers = iter([error, None])
    audit = auditor.audit

    def flaky(day: Any, on_progress: Any) -> Any:
        auditor.error = next(answers)
        return audit(day, on_progress)

    monkeypatch.setattr(auditor, "audit", flaky)
    assert run(location, instance, partition_key=DAY).success
    assert len(auditor.asked) == 2


def test_bars_of_a_badly_scored_day_wait_for_its_score_and_no_other_day_waits_with_them(
    stored: Any, make_bar: Any, location: Any, instance: Any, corrected: Any
) -> None:
    """A minute's bar that its trade contradicts costs the whole score of a day of one minute."""

    def asked(hours: int, cursor: Any = None) -> Any:
        return dg.evaluate_automation_conditions(
            location,
            instance,
            asset_selection=dg.AssetSelection.assets(ROLLUPS[0]),
            evaluation_time=MIDNIGHT + timedelta(days=3, hours=hours),
            cursor=cursor,
        )

    one = Decimal(1)
    right = dict.fromkeys(("open", "high", "low", "close", "volume", "notional"), one) | {"trade_count": 1}
    days = [MIDNIGHT, MIDNIGHT + timedelta(days=1)]
    for number, day in enumerate(days):
        stored.insert_trade(day + timedelta(seconds=5), number)
    bars = [make_bar(day, **right) for day in days]
    stored.insert_bars([replace(bars[0], close=Decimal(2)), bars[1]])
    first = asked(1)
    assert not run(location, instance, partition_key=DAY).success
    assert run(location, instance, partition_key="2021-07-23").success
    assert instance.get_materialized_partitions(ROLLUPS[0]) == {"2021-07-23"}
    held = asked(2, first.cursor)
    assert held.total_requested == 0
    stored.insert_bars([corrected(bars[0])])
    location.resolve_job_def("scores").execute_in_process(instance=instance, partition_key=DAY)
    assert asked(3, held.cursor).get_requested_partitions(ROLLUPS[0]) == {DAY}
