"""The jobs that score: a closed day as a partition with its check, and every hour what is still changing."""

from datetime import UTC, datetime

import dagster as dg

from assets.failures import failing_by_type
from assets.scores import counted_series, quality_scores
from assets.specs import WAREHOUSE_POOL
from assets.store import Store
from jobs import names

SCORES = dg.define_asset_job(
    names.SCORES,
    selection=dg.AssetSelection.assets(quality_scores),
    description="Scores a day that is over, and checks that no instrument falls below the threshold.",
)

# The daily run scores a day whose audit and claims hold; a day that failed them needs its score most.
SCORES_SCHEDULE = dg.build_schedule_from_partitioned_job(
    SCORES,
    name=names.SCORES_SCHEDULE,
    hour_of_day=0,
    minute_of_hour=40,
    description="At 00:40 UTC: score the day that has ended, whatever its audit said.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


@dg.op(pool=WAREHOUSE_POOL)
def score_changing_days(context: dg.OpExecutionContext, store: dg.ResourceParam[Store]) -> None:
    """Score the days whose bars changed in the last hours: the running one, and those that late trades met.

    Only a day that is over is a partition, so this writes the tables and materialises nothing.
    """
    with failing_by_type():
        from quality.scoring import recent_days, score_day

        warehouse = store.warehouse()
        for day in recent_days(warehouse, datetime.now(UTC)):
            scored = score_day(warehouse, store.query, day, counted=counted_series())
            lowest = f", the lowest {scored.scores[0].score.score}" if scored.scores else ""
            context.log.info(f"{day}: {len(scored.scores)} scores{lowest}; {scored.written_scores} are new")


@dg.job(
    name=names.HOURLY_SCORES,
    description="Scores the running day as far as it goes, and again every day that late trades corrected. Nothing new "
    "is written where nothing changed.",
)
def hourly_scores() -> None:
    """Score what is changing."""
    score_changing_days()


HOURLY_SCORES_SCHEDULE = dg.ScheduleDefinition(
    name=names.HOURLY_SCORES_SCHEDULE,
    job=hourly_scores,
    cron_schedule="20 * * * *",
    execution_timezone="UTC",
    description="Every hour: score what is still changing.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

# Without it automation conditions are only words; it asks for what follows from a day whose checks passed.
AUTOMATION_SENSOR = dg.AutomationConditionSensorDefinition(
    names.AUTOMATION_SENSOR,
    target="*",
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Materialises what asks for it by its automation condition, such as what follows from scored days.",
)
