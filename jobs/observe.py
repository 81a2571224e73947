"""The job that notes how processes and tables are, every few minutes."""

import dagster as dg

from assets.incidents import observe_incidents
from assets.streams import observe_processes
from assets.tables import observe_market, observe_tables
from jobs import names

OBSERVE = dg.define_asset_job(
    names.OBSERVE,
    selection=dg.AssetSelection.assets(
        observe_processes, observe_market, observe_tables, observe_incidents
    ).without_checks(),
    description="Notes lag, rates and restarts of collector and streams, and the row counts of what they write, with "
    "a partition's numbers for each closed day that changed.",
)

OBSERVE_SCHEDULE = dg.ScheduleDefinition(
    name=names.OBSERVE_SCHEDULE,
    job=OBSERVE,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    description="Every five minutes: note how processes and tables are.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
