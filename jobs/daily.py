"""The job that audits and checks a day and rolls it up, and the schedule that runs it for the day before."""

import dagster as dg

from assets.audit import nothing_missing_nothing_twice
from assets.checks import claims_hold
from assets.rollups import ROLLUP_ASSETS
from jobs import names

DAILY = dg.define_asset_job(
    names.DAILY,
    selection=dg.AssetSelection.assets(*ROLLUP_ASSETS)
    | dg.AssetSelection.checks(nothing_missing_nothing_twice, claims_hold),
    description="Audits a day's trades and puts the suites' claims to its rows. When nothing is missing, nothing there "
    "twice, and no claim about trades or bars that stops is false, makes the bars of five minutes, an hour and the "
    "day. Running it again replaces them by the same.",
)

# The sensor is quicker and knows of corrections; the schedule makes sure that every day is audited, traded on or not.
DAILY_SCHEDULE = dg.build_schedule_from_partitioned_job(
    DAILY,
    name=names.DAILY_SCHEDULE,
    hour_of_day=0,
    minute_of_hour=10,
    description="At 00:10 UTC: audit, check and roll up the day that has ended.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
