"""The sensor as Dagster evaluates it: requests, run keys, reasons, cursor."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from contracts.errors import RetryableError, TerminalError
from jobs.closed_day import closed_day

DAY = date(2021, 7, 22)
KNOWN = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)


class StubWarehouse:
    """Answers the query for changed days as the real one does."""

    def __init__(self) -> None:
        self.days: dict[date, int] = {}
        self.error: Exception | None = None

    def rows(self, _: str, parameters: dict[str, int]) -> list[tuple[date, int, int]]:
        if self.error:
            raise self.error
        found = [(day, known, KNOWN) for day, known in self.days.items() if known > parameters["since"]]
        return sorted(found, key=lambda row: row[1])


@pytest.fixture
def warehouse() -> StubWarehouse:
    return StubWarehouse()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(warehouse: StubWarehouse, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    store = SimpleNamespace(warehouse=lambda: warehouse, query=lambda name: name)
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"store": store})
    result: Any = closed_day(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_a_correction_asks_again_under_another_key(warehouse: StubWarehouse, instance: Any) -> None:
    warehouse.days[DAY] = KNOWN
    first = tick(warehouse, instance)
    (request,) = first.run_requests or []
    assert (request.partition_key, request.run_key) == ("2021-07-22", f"2021-07-22:{KNOWN}")
    second = tick(warehouse, instance, first.cursor)
    assert not second.run_requests
    assert second.skip_reason == dg.SkipReason("no closed day has bars that were not rolled up")
    warehouse.days[DAY] = KNOWN + 1
    (again,) = tick(warehouse, instance, second.cursor).run_requests or []
    assert again.run_key == f"2021-07-22:{KNOWN + 1}"


def test_a_day_with_a_run_under_way_waits_for_it(warehouse: StubWarehouse, instance: Any) -> None:
    warehouse.days[DAY] = KNOWN
    from orchestration.definitions import defs

    job = defs.resolve_job_def("daily")
    instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "2021-07-22"})
    result = tick(warehouse, instance)
    assert not result.run_requests
    assert result.skip_reason == dg.SkipReason("2021-07-22: a run of it is under way")


def test_today_is_never_asked_for(warehouse: StubWarehouse, instance: Any) -> None:
    today = datetime.now(UTC).date()
    warehouse.days[today + timedelta(days=1)] = KNOWN
    result = tick(warehouse, instance)
    assert not result.run_requests
    assert "the day is not over" in str(result.skip_reason)


def test_a_warehouse_that_is_away_is_a_reason_to_wait(warehouse: StubWarehouse, instance: Any) -> None:
    warehouse.error = RetryableError("the warehouse did not answer")
    result = tick(warehouse, instance, '{"done": {}, "since": 7}')
    assert (result.skip_reason, result.cursor) == (
        dg.SkipReason("the warehouse did not answer"),
        '{"done": {}, "since": 7}',
    )


def test_a_missing_table_fails_the_tick(warehouse: StubWarehouse, instance: Any) -> None:
    warehouse.error = TerminalError("no table market_bars")
    with pytest.raises(TerminalError):
        tick(warehouse, instance)
