"""The job that makes a day's report, and the schedule that makes it for the day before."""

import dagster as dg

from assets.report import quality_report
from jobs import names

REPORT = dg.define_asset_job(
    names.REPORT,
    selection=dg.AssetSelection.assets(quality_report).without_checks(),
    description="Makes the page that says how far a day's numbers can be trusted. Making it again replaces it.",
)

# An hour after midnight the day's last refills, its rollups and its scores are there.
REPORT_SCHEDULE = dg.build_schedule_from_partitioned_job(
    REPORT,
    name=names.REPORT_SCHEDULE,
    hour_of_day=1,
    minute_of_hour=0,
    description="At 01:00 UTC: the report of the day that has ended.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
