"""The maintenance jobs as Dagster runs them: what was retired and compacted is told at their assets."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from contracts.seals import SEALS

OLD = datetime(2021, 7, 22, tzinfo=UTC)


def metadata(location: Any, instance: Any, job: str) -> dict[str, Any]:
    result = location.resolve_job_def(job).execute_in_process(instance=instance)
    assert result.success
    (event,) = [one for one in result.all_events if one.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION]
    told: dict[str, Any] = event.step_materialization_data.materialization.metadata
    return told


def test_the_retention_job_tells_what_keeps_a_day(stored: Any, location: Any, instance: Any) -> None:
    stored.insert_trade(OLD, 1)
    told = metadata(location, instance, "retention")
    assert {name: told[f"{name}_partitions"].value for name in ("dropped", "sealed", "kept")} == {
        "dropped": 0, "sealed": 0, "kept": 1,
    }  # fmt: skip
    (record,) = told["partitions"].records
    assert (record.data["dataset"], record.data["partition"], record.data["state"]) == (
        "market.trades", "2021-07-22", "kept",
    )  # fmt: skip
    assert "market.bars holds 0 of 1 trades of binance BTCUSDT on 2021-07-22" in record.data["reason"]
    assert stored.warehouse.value(f"SELECT count() FROM {SEALS.table}") == 0


def test_the_compaction_job_tells_files_bytes_and_their_cost(stored: Any, location: Any, instance: Any) -> None:
    for number in range(4):
        stored.insert_trade(OLD + timedelta(seconds=number), number)
    told = metadata(location, instance, "compaction")
    assert told["compacted_partitions"].value == 0, "written a moment ago"
    assert told["files_after"].value <= told["files_before"].value
    (trades,) = [one.data for one in told["tables"].records if one.data["table"] == "market_trades"]
    assert trades["rows"] == 4
    assert trades["bytes_a_million"] == round(trades["bytes_after"] * 250_000)
