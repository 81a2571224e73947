"""The scores as Dagster shows them: a day below the threshold stops what follows, in its run and in any other."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from assets.scores import CHECK, quality_scores
from assets.specs import AFTER_CHECKS, DAILY, asset_key
from assets.thresholds import Thresholds
from contracts.scores import BAR_SCORES, DEDUCTIONS, SCORES
from jobs.scores import SCORES as SCORES_JOB
from jobs.scores import hourly_scores
from orchestration.resources import make_resources
from orchestration.settings import Settings

DAY = "2022-06-01"
MIDNIGHT = datetime(2022, 6, 1, tzinfo=UTC)
KEY = asset_key(SCORES)


def follower() -> dg.AssetsDefinition:
    """Make an asset that follows from the scores of its day."""

    @dg.asset(deps=[KEY], partitions_def=DAILY, automation_condition=AFTER_CHECKS)
    def follows() -> None: ...

    return follows


@pytest.fixture
def location(stored: Any) -> dg.Definitions:
    """The scores with their jobs on the test's warehouse; what they are made from lies outside."""
    return built(stored, Thresholds())


def built(stored: Any, thresholds: Thresholds) -> dg.Definitions:
    return dg.Definitions(
        assets=[quality_scores],
        jobs=[SCORES_JOB, hourly_scores],
        resources={"store": stored.store, "thresholds": thresholds},
        executor=dg.in_process_executor,
    )


@pytest.fixture
def trades(stored: Any, make_bar: Any) -> Any:
    """Ten minutes with a trade each; return what stores the bars of them, the first `wrong` ones with another close."""
    for dataset in (SCORES, DEDUCTIONS, BAR_SCORES):
        stored.warehouse.run(f"TRUNCATE TABLE {dataset.table}")
    for minute in range(10):
        stored.insert_trade(MIDNIGHT + timedelta(minutes=minute, seconds=5), minute)

    def bars(wrong: int, revision: int = 1) -> None:
        one = Decimal(1)
        same = {"open": one, "high": one, "low": one, "volume": one, "notional": one, "trade_count": 1}
        stored.insert_bars(
            [
                make_bar(
                    MIDNIGHT + timedelta(minutes=m), **same, close=one + (m < wrong), revision=revision
                )
                for m in range(10)
            ]
        )  # fmt: skip

    return bars


def definitions(location: dg.Definitions) -> dg.Definitions:
    """Return the real definitions with an asset that follows."""
    job = dg.define_asset_job("scores_and_more", dg.AssetSelection.assets(KEY, "follows"), partitions_def=DAILY)
    return dg.Definitions.merge(location, dg.Definitions(assets=[follower()], jobs=[job]))


def run(defs: dg.Definitions, instance: dg.DagsterInstance, job: str = "scores", **how: Any) -> Any:
    how = how or {"partition_key": DAY}
    return defs.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **how)


def ask(defs: dg.Definitions, instance: dg.DagsterInstance, hour: int, cursor: Any = None) -> Any:
    """Let automation look at what follows, at an hour of the day after."""
    selection = dg.AssetSelection.assets("follows")
    when = MIDNIGHT + timedelta(days=1, hours=hour)
    return dg.evaluate_automation_conditions(
        defs=defs, instance=instance, asset_selection=selection, evaluation_time=when, cursor=cursor
    )


def test_a_day_that_reaches_the_threshold_passes_and_shows_its_numbers(
    trades: Any, location: Any, instance: Any
) -> None:
    trades(wrong=2)
    result = run(location, instance)
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.asset_key, check.check_name, check.passed, check.blocking) == (KEY, CHECK, True, True)
    assert check.description == "all 1 scores are at least 0.8"
    shown = {event.asset_key: event.metadata for event in result.asset_materializations_for_node("quality_scores")}
    rows = {key.path[-1]: shown[key]["dagster/partition_row_count"].value for key in shown}
    assert rows == {"scores": 1, "deductions": 1, "bar_scores": 10}
    (worst,) = shown[KEY]["worst_instruments"].value.records
    assert (worst.data["score"], worst.data["consistency"], worst.data["timeliness"]) == ("0.800000",) * 2 + (
        "1.000000",
    )
    assert str(shown[KEY]["scores"].value).startswith("![scores of 2022-06-01](data:image/png;base64,")


def test_below_the_threshold_the_check_names_the_instrument_with_its_largest_deductions(
    trades: Any, location: Any, instance: Any
) -> None:
    trades(wrong=3)
    result = run(location, instance)
    assert not result.success
    (check,) = result.get_asset_check_evaluations()
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert check.description == ("2022-06-01 binance BTCUSDT 0.700000 (bars_differ_from_trades 3 of 10: -0.300000)")
    assert (check.metadata["below"].value, check.metadata["minimum"].value) == (1, 0.8)
    assert check.metadata["offending"].value.records[0].data["instrument"] == "BTCUSDT"


def test_the_threshold_is_a_setting(trades: Any, stored: Any, instance: Any) -> None:
    trades(wrong=3)
    assert run(built(stored, Thresholds(Decimal("0.7"))), instance).success
    resources = make_resources(Settings(min_score=0.65))
    assert resources["thresholds"] == Thresholds(Decimal("0.65"))


def test_what_follows_stops_in_the_run_of_a_low_score(trades: Any, location: Any, instance: Any) -> None:
    defs = definitions(location)
    trades(wrong=3)
    result = run(defs, instance, "scores_and_more")
    assert not result.success
    assert result.asset_materializations_for_node("follows") == []
    trades(wrong=0, revision=2)
    result = run(defs, instance, "scores_and_more")
    assert result.success
    assert len(result.asset_materializations_for_node("follows")) == 1


def test_automation_asks_for_what_follows_once_the_score_passes_and_not_before(
    trades: Any, location: Any, instance: Any
) -> None:
    defs = definitions(location)
    first = ask(defs, instance, 1)
    trades(wrong=3)
    run(defs, instance)
    held = ask(defs, instance, 2, first.cursor)
    assert held.total_requested == 0
    trades(wrong=0, revision=2)
    run(defs, instance)
    assert ask(defs, instance, 3, held.cursor).total_requested == 1


def test_a_day_without_trades_has_no_scores_and_passes(trades: Any, location: Any, instance: Any, stored: Any) -> None:
    result = run(location, instance, partition_key="2022-06-03")
    assert result.success
    (check,) = result.get_asset_check_evaluations()
    assert check.description == "all 0 scores are at least 0.8"
    assert stored.warehouse.value("SELECT count() FROM system_scores") == 0


def test_several_days_in_one_run_are_judged_together(trades: Any, location: Any, instance: Any) -> None:
    trades(wrong=10)
    ends = {"dagster/asset_partition_range_start": DAY, "dagster/asset_partition_range_end": "2022-06-03"}
    result = run(location, instance, tags=ends)
    (check,) = result.get_asset_check_evaluations()
    assert check.description.startswith("2022-06-01 binance BTCUSDT 0.000000")
    assert len(result.asset_materializations_for_node("quality_scores")) == 9


def test_the_hourly_job_scores_the_days_that_changed_and_materialises_nothing(
    trades: Any, location: Any, instance: Any, stored: Any, make_bar: Any
) -> None:
    trades(wrong=0)
    stored.insert_bars([make_bar(MIDNIGHT, revision=2, known_time=datetime.now(UTC))])
    assert run(location, instance, "hourly_scores", run_config={}).success
    assert stored.warehouse.rows("SELECT toString(score) FROM system_scores_current") == [("0.9",)]
    assert instance.get_materialized_partitions(KEY) == set()
