"""The weekly deep check: the last seven days with rows, rebuilt and audited, whether anything changed or not."""

from datetime import UTC, date
from typing import TYPE_CHECKING

import dagster as dg

from assets.audit import nothing_missing_nothing_twice
from assets.parity_asset import system_parity
from assets.specs import DAILY as DAILY_PARTITIONS
from assets.store import Store
from contracts.bars import BARS
from jobs import names
from jobs.parity import LAST_IN_QUEUE

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

DAYS = 7

DEEP_CHECK = dg.define_asset_job(
    names.DEEP_CHECK,
    selection=dg.AssetSelection.assets(system_parity) | dg.AssetSelection.checks(nothing_missing_nothing_twice),
    description="Rebuilds a day from the tape and audits it: what was equal once may have been changed since.",
    tags=LAST_IN_QUEUE,
)


def last_days(warehouse: "Warehouse", before: date) -> list[date]:
    """Return the last days before that one which have bars, newest first: every day with trades has."""
    rows = warehouse.rows(
        f"SELECT DISTINCT toDate(bar_time) AS day FROM {BARS.table} WHERE bar_time < toDateTime64({{before:Date}}, 6, "
        f"'UTC') ORDER BY day DESC LIMIT {DAYS}",
        {"before": before},
    )
    return [day for (day,) in rows]


@dg.schedule(
    job=DEEP_CHECK,
    name=names.DEEP_CHECK_SCHEDULE,
    cron_schedule="0 23 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="On Sundays at 23:00 UTC: rebuild and audit the last seven days that have rows, a run each, one after "
    "the other.",
)
def weekly_deep_check(
    context: dg.ScheduleEvaluationContext, store: dg.ResourceParam[Store]
) -> list[dg.RunRequest] | dg.SkipReason:
    """Ask for a run of each day: so each has its own outcome, and its own incident where it fails."""
    now = context.scheduled_execution_time.astimezone(UTC)
    first = DAILY_PARTITIONS.start.date()
    asked = [str(day) for day in last_days(store.warehouse(), now.date()) if day >= first]
    if not asked:
        return dg.SkipReason("no day that is over has rows")
    return [dg.RunRequest(run_key=f"{now:%Y-%m-%d}:{day}", partition_key=day) for day in asked]
