"""The jobs that keep the platform small, and their schedules: retention every night, compaction every week."""

import dagster as dg

from assets.maintenance import system_seals, system_storage
from jobs import names
from jobs.parity import LAST_IN_QUEUE

RETENTION = dg.define_asset_job(
    names.RETENTION,
    selection=dg.AssetSelection.assets(system_seals),
    description="Drops the days that the last run sealed, and seals those that are over their time, rolled up, proven "
    "and backed up. What must be kept is told with the reason.",
    tags=LAST_IN_QUEUE,
)

RETENTION_SCHEDULE = dg.ScheduleDefinition(
    name=names.RETENTION_SCHEDULE,
    job=RETENTION,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    description="At 03:30 UTC: retire what is over its time.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

COMPACTION = dg.define_asset_job(
    names.COMPACTION,
    selection=dg.AssetSelection.assets(system_storage),
    description="Puts the small files of days that are over together, in the lake and in the warehouse.",
    tags=LAST_IN_QUEUE,
)

COMPACTION_SCHEDULE = dg.ScheduleDefinition(
    name=names.COMPACTION_SCHEDULE,
    job=COMPACTION,
    cron_schedule="0 4 * * 0",
    execution_timezone="UTC",
    description="On Sundays at 04:00 UTC: compact lake and warehouse.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
