"""The sensor that asks for proofs: each rolled up day, one at a time, and only while nothing else waits."""

from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.parity_asset import AFTER
from jobs.parity import Waiting, rolled_up_day
from orchestration.definitions import defs


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    result = rolled_up_day(dg.build_sensor_context(instance=instance, cursor=cursor))
    assert isinstance(result, dg.SensorResult)
    return result


def asked(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def roll_up(instance: dg.DagsterInstance, *days: str) -> None:
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(AFTER, partition=day))


def test_each_rolled_up_day_is_asked_for_once_the_newest_first_and_again_when_it_was_corrected(
    instance: dg.DagsterInstance,
) -> None:
    nothing = tick(instance)
    assert (asked(nothing), nothing.skip_reason) == ([], dg.SkipReason("no day was rolled up since"))
    roll_up(instance, "2021-07-20", "2021-07-22", "2021-07-21", "2021-07-20")
    days, keys, cursor = [], set(), nothing.cursor
    for _ in range(4):
        result = tick(instance, cursor)
        cursor = result.cursor
        days += asked(result)
        keys |= {request.run_key for request in result.run_requests or []}
    assert days == ["2021-07-22", "2021-07-21", "2021-07-20"]
    roll_up(instance, "2021-07-21")
    again = tick(instance, cursor)
    assert asked(again) == ["2021-07-21"]
    assert len(keys | {request.run_key for request in again.run_requests or []}) == 4


@pytest.mark.parametrize("job", ["daily", "parity", "deep_check"])
def test_nothing_is_asked_for_while_others_run_and_no_day_is_forgotten(instance: dg.DagsterInstance, job: str) -> None:
    roll_up(instance, "2021-07-22")
    busy = instance.create_run_for_job(defs.resolve_job_def(job), status=dg.DagsterRunStatus.STARTED)
    result = tick(instance)
    assert asked(result) == []
    assert result.skip_reason == dg.SkipReason(f"a run of {job} is under way; waiting: 2021-07-22")
    instance.delete_run(busy.run_id)
    assert asked(tick(instance, result.cursor)) == ["2021-07-22"]


DAYS = st.integers(0, 9).map(lambda n: str(date(2021, 1, 1) + timedelta(days=n)))


@given(st.lists(st.one_of(DAYS, st.none()), max_size=40))
def test_whatever_the_order_every_day_is_taken_after_its_last_rollup(steps: list[str | None]) -> None:
    waiting, last, taken = Waiting(), {}, {}
    for event, step in enumerate([*steps, *[None] * 10], 1):
        waiting = Waiting.parse(waiting.text)
        if step is not None:
            waiting = waiting.heard([(step, event)])
            last[step] = event
        elif found := waiting.next():
            day, of_event, waiting = found
            taken[day] = of_event
    assert taken == last
    assert waiting.next() is None
    assert waiting.since == max(last.values(), default=0)


@pytest.mark.parametrize("text", [None, "", "x", "[]", '{"since": 1}', '{"since": 1, "days": {"today": 1}}'])
def test_a_cursor_that_cannot_be_read_starts_over(text: str | None) -> None:
    assert Waiting.parse(text) == Waiting()
