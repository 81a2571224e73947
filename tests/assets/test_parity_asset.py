"""The proof of a day as Dagster runs it: the check that stops, its incident, and who may start it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from assets.parity_asset import AFTER, CHECK
from assets.report import REPORT_KEY
from assets.specs import SPARK_POOL, asset_key
from contracts.bars import BARS
from contracts.parity import PARITY
from contracts.trades import TRADES
from jobs.deep_check import weekly_deep_check
from jobs.incidents import failed_check
from serving.pages import Pages
from spark.comparison import Comparison, InstrumentComparison
from spark.differences import Difference, TapePlace
from stores.seals import TapeRetiredError

DAY = "2021-07-22"
EQUAL = InstrumentComparison(TRADES.name, "binance", "ETHUSDT", 9, 9, 5, 5)
PLACE = TapePlace(int(datetime(2021, 7, 22, 1, tzinfo=UTC).timestamp()) * 1_000_000, "c-1", 7, 2)
DIFFERENCE = Difference("trade_id 3: price is 2 in the tables, 1 on the tape", PLACE.received_time - 5, PLACE)
WRONG = InstrumentComparison(TRADES.name, "binance", "BTCUSDT", 5, 5, 1, 2, DIFFERENCE)
OF_BARS = [replace(one, dataset=BARS.name, streamed_count=1, rebuilt_count=1) for one in (EQUAL, EQUAL)]


@pytest.fixture
def broken() -> list[Comparison]:
    return [Comparison.of(TRADES, [EQUAL, WRONG]), Comparison.of(BARS, OF_BARS)]


def run(location: dg.Definitions, instance: dg.DagsterInstance, job: str = "parity") -> dg.ExecuteInProcessResult:
    found = location.resolve_job_def(job)
    return found.execute_in_process(instance=instance, partition_key=DAY, raise_on_error=False)


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (found,) = (one for one in result.get_asset_check_evaluations() if one.check_name == CHECK)
    return found


def test_an_equal_day_is_materialised_with_its_numbers(location: Any, instance: Any, rebuilder: Any) -> None:
    rebuilder.found = [Comparison.of(TRADES, [EQUAL]), Comparison.of(BARS, OF_BARS)]
    result = run(location, instance)
    assert result.success
    assert rebuilder.asked == [(date(2021, 7, 22), result.run_id)]
    (event,) = result.asset_materializations_for_node("system_parity")
    told: dict[str, Any] = {name: value.value for name, value in event.metadata.items()}
    assert event.partition == DAY
    assert (told["share_equal"], told["rows_compared"]) == (1.0, 11)
    assert [record.data["table"] for record in told["tables"].records] == [TRADES.name, BARS.name]
    assert "different" not in told
    check = check_of(result)
    assert (check.passed, check.partition) == (True, DAY)
    assert check.description == "all 3 are equal, by instrument and dataset"


def test_a_day_whose_tape_was_retired_keeps_what_it_came_to(location: Any, instance: Any, rebuilder: Any) -> None:
    def gone(*_: Any) -> Any:
        raise TapeRetiredError("the tape was retired up to 2021-08-01")

    rebuilder.rebuild = gone
    result = run(location, instance)
    assert result.success
    (event,) = result.asset_materializations_for_node("system_parity")
    assert event.metadata["note"].value == "the tape was retired up to 2021-08-01"
    assert check_of(result).passed


def test_a_difference_fails_the_check_that_stops_and_names_the_trade_and_its_place(
    location: Any, instance: Any, rebuilder: Any, broken: Any
) -> None:
    rebuilder.found = broken
    result = run(location, instance)
    assert not result.success
    check = check_of(result)
    assert (check.passed, check.blocking, check.severity) == (False, True, dg.AssetCheckSeverity.ERROR)
    assert check.description == (
        "1 of 4 differ; first on 2021-07-22, market.trades of binance BTCUSDT: trade_id 3: price is 2 in the tables, "
        "1 on the tape (connection c-1, message 7, index 2, received 2021-07-22 01:00:00.000000)"
    )
    told: dict[str, Any] = {name: value.value for name, value in check.metadata.items()}
    place = told["connection_id"], told["message_number"], told["message_index"], told["received_time"]
    assert place == ("c-1", 7, 2, PLACE.received_time / 1e6)
    assert (told["share_equal"], told["unequal"], told["compared"]) == (0.75, 1, 4)
    (row,) = (record.data for record in told["different"].records)
    assert (row["instrument"], row["streamed"]) == ("BTCUSDT", 5)


def test_a_failed_proof_is_an_incident_until_the_day_is_proven(
    location: Any, instance: Any, rebuilder: Any, broken: Any, stored: Any
) -> None:
    def tick(cursor: str | None) -> Any:
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            resources={"store": stored.store, "pages": Pages()},
            repository_def=location.get_repository_def(),
        )
        return failed_check(context)

    def incidents() -> list[tuple[Any, ...]]:
        return stored.warehouse.rows(  # type: ignore[no-any-return]
            "SELECT kind, subject, state, severity, position(evidence, 'c-1') > 0 FROM system_incidents_current"
        )

    rebuilder.found = broken
    run(location, instance)
    first = tick(None)
    subject = f"check/system.parity/{CHECK}/{DAY}"
    assert incidents() == [("check", subject, "open", "error", 1)]
    rebuilder.found = [Comparison.of(TRADES, [EQUAL])]
    run(location, instance)
    tick(first.cursor)
    assert incidents() == [("check", subject, "closed", "error", 1)]


def test_the_deep_check_rebuilds_a_day_whose_audit_failed(
    location: Any, instance: Any, rebuilder: Any, auditor: Any
) -> None:
    from quality.audit import AuditReport, AuditRow

    auditor.report = AuditReport([AuditRow("tape to tables", "tape.binance", 0, 5, 4, 1, 0, TRADES.name)])
    result = run(location, instance, "deep_check")
    assert not result.success
    assert [str(day) for day, _ in rebuilder.asked] == [DAY]
    assert [str(day) for day in auditor.asked] == [DAY]
    assert check_of(result).passed


def test_the_deep_check_takes_the_last_seven_days_that_have_rows_and_are_over(
    stored: Any, make_bar: Any, location: Any, instance: Any
) -> None:
    def asked() -> Any:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2021, 8, 1, 23, tzinfo=UTC),
            resources={"store": stored.store},
        )
        return weekly_deep_check(context)

    assert asked() == dg.SkipReason("no day that is over has rows")
    days = [datetime(2021, 8, 1, 3, tzinfo=UTC) - timedelta(days=number) for number in (0, 1, 2, 5, 6, 7, 8, 30, 40)]
    stored.insert_bars([make_bar(day) for day in [*days, datetime(2020, 12, 31, tzinfo=UTC)]])
    requests = asked()
    assert [one.partition_key for one in requests] == [str(day.date()) for day in days[1:8]]
    assert len({one.run_key for one in requests}) == 7


def test_the_proof_waits_in_the_pool_of_spark_and_goes_last_and_the_report_follows_it(location: Any) -> None:
    graph = location.resolve_asset_graph()
    node = graph.get(asset_key(PARITY))
    assert node.pools == {SPARK_POOL}
    assert AFTER in node.parent_keys
    # Its blocking audit must not keep a rebuild from a day that needs one.
    assert asset_key(TRADES) not in node.parent_keys
    assert asset_key(PARITY) in graph.get(REPORT_KEY).parent_keys
    for name in ("parity", "deep_check"):
        assert int(location.resolve_job_def(name).tags["dagster/priority"]) < 0
