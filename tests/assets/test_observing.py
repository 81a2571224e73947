"""What observing notes of the tables and processes, in Dagster, on the real warehouse."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.processes import ProcessView
from assets.specs import asset_key
from contracts.catalog import DATASETS
from contracts.check_results import CHECK_RESULTS
from contracts.dataset import Type
from contracts.features import FEATURES
from contracts.gaps import GAPS, MARKS
from contracts.indicators import INDICATORS
from contracts.parity import PARITY
from contracts.rollups import ROLLUPS
from contracts.scores import BAR_SCORES, DEDUCTIONS, SCORES
from contracts.seals import SEALS
from orchestration.definitions import build
from stores.arrow import arrow_schema

NOON = datetime(2021, 7, 22, 12, tzinfo=UTC)
TRADES, BARS = dg.AssetKey(["market", "trades"]), dg.AssetKey(["market", "bars"])


class StubProcesses:
    """Streams that run, a collector that does not, and two that nobody has heard of."""

    def view(self, _: Any) -> dict[str, ProcessView]:
        stream = {"lag": 12, "rows_per_s": 80.5, "rows": 700, "batches": 9, "offsets": {"0": 700}}
        streams = {"market.trades": stream | {"last_batch": "2026-11-21T08:00:01.000Z"}, "tape.binance": stream}
        healthy = ProcessView("streams", "healthy", uptime_s=60, restarts=2, health={"streams": streams})
        stopped = ProcessView("collector-binance", "stopped", reason="ended too often")
        return {"streams": healthy, "collector-binance": stopped}


@pytest.fixture
def observing(stored: Any) -> dg.Definitions:
    resources = {"auditor": object(), "checker": object(), "rebuilder": object()}
    return build({"store": stored.store, "processes": StubProcesses(), **resources})


def observe(observing: dg.Definitions, instance: dg.DagsterInstance, **how: Any) -> dg.ExecuteInProcessResult:
    result = observing.resolve_job_def("observe").execute_in_process(instance=instance, **how)
    assert result.success
    return result


def noted(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    found = {}
    for event in result.all_events:
        if event.event_type is dg.DagsterEventType.ASSET_OBSERVATION:
            observation = event.asset_observation_data.asset_observation
            found[observation.asset_key.to_user_string()] = {k: v.value for k, v in observation.metadata.items()}
    return found


def days(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], Any]:
    """Return what was noted by day."""
    found = {}
    for event in result.all_events:
        if event.event_type is not dg.DagsterEventType.ASSET_OBSERVATION:
            continue
        noted_one = event.asset_observation_data.asset_observation
        if noted_one.partition and "dagster/partition_row_count" in noted_one.metadata:
            found[noted_one.asset_key.to_user_string(), noted_one.partition] = noted_one.metadata
    return found


def test_streams_show_lag_rate_and_last_batch_and_a_dead_process_shows_why(observing: Any, instance: Any) -> None:
    found = noted(observe(observing, instance))
    trades = found["streams/market_trades"]
    assert {name: trades[name] for name in ("state", "lag", "rows_per_s", "restarts", "uptime_s")} == {
        "state": "healthy",
        "lag": 12,
        "rows_per_s": 80.5,
        "restarts": 2,
        "uptime_s": 60,
    }
    assert trades["last_batch"] == datetime(2026, 11, 21, 8, 0, 1, tzinfo=UTC).timestamp()
    assert found["streams/system_quarantine"] == {"state": "healthy", "restarts": 2, "uptime_s": 60}
    assert found["collector/kraken"]["state"] == "unknown"
    assert found["collector/binance"] == {"state": "stopped", "restarts": 0, "reason": "ended too often"}


def test_every_stored_table_is_noted_also_when_it_is_empty(observing: Any, instance: Any) -> None:
    found = noted(observe(observing, instance))
    counts = {name: told["dagster/row_count"] for name, told in found.items() if "dagster/row_count" in told}
    made = (*(rollup.dataset for rollup in ROLLUPS), SCORES, DEDUCTIONS, BAR_SCORES, CHECK_RESULTS, PARITY)
    made += (INDICATORS, FEATURES, SEALS)
    tables = [d for d in DATASETS if d not in (MARKS, *made)]
    assert counts == dict.fromkeys((asset_key(dataset).to_user_string() for dataset in tables), 0)


def test_gaps_are_noted_as_they_stand_now_not_by_their_revisions(observing: Any, instance: Any, stored: Any) -> None:
    moment = {column.name: NOON for column in GAPS.columns if column.type is Type.TIMESTAMP}
    empty = {column.name: "" if column.type is Type.STRING else 0 for column in GAPS.columns} | moment
    told = [
        {"gap_number": number, "revision": revision, "state": state, "missing_count": missing, "kind": "trade_ids"}
        for number, revision, state, missing in [(1, 1, "open", 9), (1, 2, "filled", 0), (2, 1, "open", 5)]
    ]
    stored._insert(GAPS.table, arrow_schema(GAPS.columns), [empty | {"venue": "kraken"} | row for row in told])
    try:
        found = noted(observe(observing, instance))["system/gaps"]
    finally:
        stored.warehouse.run(f"TRUNCATE TABLE {GAPS.table}")
    assert (found["open_gaps"], found["unfillable_gaps"]) == (1, 0)
    standing = {record.data["state"]: record.data["missing"] for record in found["gaps"].records}
    assert standing == {"open": 5, "filled": 0}


def test_a_changed_day_is_noted_once_and_again_when_it_changes(
    observing: Any, instance: Any, stored: Any, make_bar: Any, corrected: Any
) -> None:
    bar = make_bar(NOON)
    stored.insert_trade(NOON, 1)
    stored.insert_trade(NOON, 1)
    stored.insert_trade(NOON, 2)
    stored.insert_bars([bar])
    first = days(observe(observing, instance))
    assert set(first) == {("market/trades", "2021-07-22"), ("market/bars", "2021-07-22")}
    assert first["market/trades", "2021-07-22"]["dagster/partition_row_count"].value == 2
    assert "closes" in first["market/bars", "2021-07-22"]
    assert days(observe(observing, instance)) == {}
    stored.insert_bars([corrected(bar, known_time=bar.known_time + timedelta(seconds=1))])
    assert set(days(observe(observing, instance))) == set(first)
    # A materialisation would reset the outcome of the checks that stand there.
    assert instance.get_materialized_partitions(BARS) == instance.get_materialized_partitions(TRADES) == set()


def test_days_beyond_one_observation_are_noted_by_the_next(
    observing: Any, instance: Any, stored: Any, make_bar: Any
) -> None:
    stored.insert_bars(
        [make_bar(NOON + timedelta(days=n), known_time=NOON + timedelta(days=n // 3)) for n in range(34)]
    )
    sizes = [len({day for _, day in days(observe(observing, instance))}) for _ in range(3)]
    # 31 a time, and those that changed at the same moment as the last of them.
    assert sizes == [33, 1, 0]


def test_observing_one_partition_notes_that_day(observing: Any, instance: Any, stored: Any, make_bar: Any) -> None:
    stored.insert_bars([make_bar(NOON), make_bar(NOON + timedelta(days=1))])
    found = days(observe(observing, instance, partition_key="2021-07-23"))
    assert ("market/bars", "2021-07-23") in found
    assert all(day == "2021-07-23" for _, day in found)
