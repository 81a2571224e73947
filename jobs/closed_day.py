"""The sensor that rolls a day up once it has closed, and again when late trades corrected it."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from assets.specs import DAILY as DAILY_PARTITIONS
from assets.store import Store
from contracts.errors import RetryableError
from jobs import names
from jobs.closing import SECOND, ChangedDay, Closing, Cursor, plan
from jobs.daily import DAILY

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

PARTITION_TAG = "dagster/partition"
REASONS_SHOWN = 5
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def read_changed(warehouse: "Warehouse", query: str, since: int) -> list[ChangedDay]:
    """Read the days that changed after `since`; `query` is the text of rollup_days.sql."""
    return [
        ChangedDay(day, int(known), int(slowest)) for day, known, slowest in warehouse.rows(query, {"since": since})
    ]


def _running(instance: dg.DagsterInstance) -> set[date]:
    runs = instance.get_runs(dg.RunsFilter(job_name=names.DAILY, statuses=UNFINISHED))
    return {date.fromisoformat(run.tags[PARTITION_TAG]) for run in runs if PARTITION_TAG in run.tags}


def _result(closing: Closing) -> dg.SensorResult:
    requests = [
        dg.RunRequest(
            # A change of a day has one key, however often it is asked for.
            run_key=f"{one.day.isoformat()}:{one.known}",
            partition_key=one.day.isoformat(),
            tags={"tapehouse/known_time": datetime.fromtimestamp(one.known / SECOND, UTC).isoformat()},
        )
        for one in closing.due
    ]
    more = len(closing.waiting) - REASONS_SHOWN
    reasons = [*closing.waiting[:REASONS_SHOWN], *([f"and {more} more days"] if more > 0 else [])]
    skipped = "; ".join(reasons) or "no closed day has bars that were not rolled up"
    return dg.SensorResult(
        run_requests=requests, skip_reason=None if requests else dg.SkipReason(skipped), cursor=closing.cursor.text
    )


@dg.sensor(
    job=DAILY,
    name=names.CLOSED_DAY_SENSOR,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the job for a day that has closed by its venues' clocks, or by ours when they fell silent, and "
    "once more for each correction by late trades. A day whose audit failed is not asked for again until its bars "
    "change: run it from its partition when the cause is gone.",
)
def closed_day(context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store]) -> dg.SensorResult:
    """Ask for runs of the days that are due."""
    cursor = Cursor.parse(context.cursor)
    try:
        changed = read_changed(store.warehouse(), store.query("rollup_days"), cursor.since)
    except RetryableError as error:
        return dg.SensorResult(skip_reason=dg.SkipReason(str(error)), cursor=cursor.text)
    now = int(datetime.now(UTC).timestamp() * SECOND)
    first = DAILY_PARTITIONS.start.date()
    return _result(plan(changed, cursor, now, first_day=first, running=_running(context.instance)))
