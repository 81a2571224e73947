"""Indicators and features as Dagster makes them: numbers, pictures, checks that stop, and what is shown online."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from assets.feature_day import DAY as ONE_DAY
from assets.feature_day import make_day
from assets.feature_lint import lint_day
from assets.features_asset import COVERED, HONEST, KEY, LIVELY, market_features
from assets.indicator_day import make_grain
from assets.indicators_asset import COVERED as EACH_BAR
from assets.indicators_asset import KEY as INDICATORS
from assets.indicators_asset import WARMED_UP, market_indicators
from assets.report import quality_report
from assets.rollup_day import replace_day
from assets.specs import asset_key
from contracts.bars import BARS
from contracts.rollups import ROLLUPS
from features.catalog import CATALOG
from features.declared import Feature
from features.market import BARS as BAR_SOURCE
from features.sample import START, sample
from tests.features.warehouse import empty, insert

DAY = START.date() + ONE_DAY
FRAMES = sample()
FUTURE = Feature("return_1m", BAR_SOURCE, pl.col("close").shift(-1), timedelta(minutes=1), "price", "It leaks.")


class Shown:
    """Takes what is shown online."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def show(self, rows: Iterable[Any]) -> int:
        self.rows += list(rows)
        return len(self.rows)


@pytest.fixture
def filled(stored: Any) -> Iterator[Any]:
    empty(stored.warehouse)
    insert(stored.warehouse, FRAMES)
    for day in (START.date(), DAY):
        for rollup in ROLLUPS:
            replace_day(stored.warehouse, stored.store.query("rollup"), rollup, day)
    yield stored
    empty(stored.warehouse)


def made(asset: dg.AssetsDefinition, stored: Any, **resources: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Materialise the asset's day; return its metadata and its checks."""
    result = dg.materialize(
        [asset],
        partition_key=DAY.isoformat(),
        resources={"store": stored.store, **resources},
        raise_on_error=False,
        instance=dg.DagsterInstance.ephemeral(),
    )
    [event] = result.asset_materializations_for_node(asset.op.name)
    assert event.partition == DAY.isoformat()
    checks = {found.check_name: found for found in result.get_asset_check_evaluations()}
    return {name: value.value for name, value in event.metadata.items()}, checks


def test_a_day_of_indicators_tells_its_numbers_and_its_checks_pass(filled: Any) -> None:
    told, checks = made(market_indicators, filled)
    minutes = FRAMES["bars"].filter(pl.col("bar_time") >= DAY).height
    assert told["rows_1m"] == minutes
    assert told["dagster/partition_row_count"] == minutes + told["rows_5m"] + told["rows_1h"] + 2
    values = {(one["grain"], one["indicator"]): one for one in (record.data for record in told["values"].records)}
    assert values["1m", "rsi_14"]["missing"] == 0
    assert values["1h", "sma_50"]["missing"] == told["rows_1h"]
    assert 0 <= values["1m", "rsi_14"]["lowest"] < values["1m", "rsi_14"]["highest"] <= 100
    assert told["largest_series"].startswith("![indicators of 2024-03-05](data:image/png;base64,")
    assert {name: check.passed for name, check in checks.items()} == {EACH_BAR: True, WARMED_UP: True}
    assert all(check.blocking for check in checks.values())


def test_a_value_on_too_few_bars_stops_what_follows(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(*arguments: Any) -> Any:
        one = make_grain(*arguments)
        one.frame.replace_column(
            one.frame.get_column_index("sma_50"), one.frame["sma_20"].fill_null(1.0).alias("sma_50")
        )
        return one

    monkeypatch.setattr("assets.indicator_day.make_grain", hasty)
    _, checks = made(market_indicators, filled)
    assert not checks[WARMED_UP].passed
    assert checks[WARMED_UP].severity is dg.AssetCheckSeverity.ERROR
    assert "sma_50" in checks[WARMED_UP].description


def test_a_day_of_features_tells_its_numbers_shows_the_last_and_its_checks_pass(filled: Any) -> None:
    shown = Shown()
    told, checks = made(market_features, filled, vectors=shown)
    assert told["dagster/partition_row_count"] == told["new_revisions"] == 8 * 2 * 1440
    records = {record.data["feature"]: record.data for record in told["features"].records}
    assert set(records) == set(CATALOG)
    assert records["quality_score"]["missing_share"] == 0
    assert records["time_of_day_sin"]["verdict"] == "unknown"
    assert told["picture"].startswith("![features 2024-03-05](data:image/png;base64,")
    assert {check.passed for check in checks.values()} == {True}
    assert {name for name, check in checks.items() if check.blocking} == {COVERED, HONEST}
    assert set(checks) == {COVERED, HONEST, LIVELY}
    assert {(row.source, row.venue) for row in shown.rows} >= {("bars", "here"), ("books", "there")}
    assert {row.event_time.isoformat() for row in shown.rows} == {"2024-03-06T00:00:00+00:00"}
    again, _ = made(market_features, filled, vectors=shown)
    assert again["new_revisions"] == 0


def test_drift_is_told_against_the_days_before(filled: Any) -> None:
    make_day(filled.warehouse, START.date(), datetime.now(UTC))
    told, _ = made(market_features, filled, vectors=Shown())
    records = {record.data["feature"]: record.data for record in told["features"].records}
    assert records["day_of_week"]["verdict"] == "drifted"
    assert records["time_of_day_sin"]["verdict"] == "stable"


def test_a_feature_that_knows_the_future_stops_what_follows(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.catalog.FEATURES", (FUTURE, CATALOG["spread"]))
    _, checks = made(market_features, filled, vectors=Shown())
    assert not checks[HONEST].passed
    assert checks[HONEST].blocking
    assert "return_1m reads what is only known later" in checks[HONEST].description


def test_a_recording_that_was_played_later_is_linted_too(stored: Any) -> None:
    empty(stored.warehouse)
    later = {
        name: frame.with_columns(pl.col("known_time") + 700 * ONE_DAY)
        for name, frame in FRAMES.items()
        if name != "pairs"
    }
    insert(stored.warehouse, later)
    several = [
        CATALOG[name] for name in ("return_5m", "spread", "trade_sign_15m", "quality_score", "depth_imbalance_5")
    ]
    found = lint_day(stored.warehouse, DAY, [*several, FUTURE])
    empty(stored.warehouse)
    assert found.leaking == ["return_1m"]
    assert set(found.on_day) == {FUTURE.name, *(one.name for one in several)}


def test_rows_that_are_not_stored_stop_what_follows(filled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assets.feature_day.append_day", lambda *_: dict.fromkeys(("bars", "trades"), 0))
    _, checks = made(market_features, filled, vectors=Shown())
    assert not checks[COVERED].passed
    assert "bars: 0 of 2880 rows stored" in checks[COVERED].description


def test_a_day_without_anything_is_made_too(stored: Any) -> None:
    for asset, more in ((market_indicators, {}), (market_features, {"vectors": Shown()})):
        told, checks = made(asset, stored, **more)
        assert told["dagster/partition_row_count"] == 0
        assert "note" in told
        assert all(check.passed for check in checks.values())


def test_both_are_behind_the_rollups_and_before_the_report() -> None:
    assert {key.path[-1] for key in market_indicators.asset_deps[INDICATORS]} == {
        BARS.table.removeprefix("market_")
    } | {rollup.dataset.table.removeprefix("market_") for rollup in ROLLUPS}
    assert INDICATORS in market_features.asset_deps[KEY]
    assert KEY in quality_report.asset_deps[quality_report.key]


def test_the_daily_run_makes_both_and_automation_only_what_a_new_rollup_asks_for(
    stored: Any, make_bar: Any, location: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    midnight, day = datetime(2021, 7, 22, tzinfo=UTC), "2021-07-22"
    both = dg.AssetSelection.assets(INDICATORS, KEY)

    def asked(hours: int, cursor: Any = None) -> Any:
        at = midnight + timedelta(days=3, hours=hours)
        return dg.evaluate_automation_conditions(
            location, instance, asset_selection=both, evaluation_time=at, cursor=cursor
        )

    stored.insert_bars([make_bar(midnight + timedelta(minutes=m)) for m in (0, 1, 7, 600)])
    first = asked(1)
    daily = location.resolve_job_def("daily")
    assert daily.execute_in_process(instance=instance, partition_key=day).success
    assert [instance.get_materialized_partitions(key) for key in (INDICATORS, KEY)] == [{day}, {day}]
    second = asked(2, first.cursor)
    assert second.total_requested == 0
    rollups = [asset_key(rollup.dataset) for rollup in ROLLUPS]
    assert daily.execute_in_process(instance=instance, partition_key=day, asset_selection=rollups).success
    third = asked(3, second.cursor)
    assert [third.get_requested_partitions(key) for key in (INDICATORS, KEY)] == [{day}, {day}]
