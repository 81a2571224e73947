"""The job that audits, checks and scores a day and makes what follows from it, and the schedule for the day before."""

import dagster as dg

from assets.audit import nothing_missing_nothing_twice
from assets.checks import claims_hold
from assets.features_asset import market_features
from assets.indicators_asset import market_indicators
from assets.rollups import ROLLUP_ASSETS
from assets.scores import quality_scores
from jobs import names

DAILY = dg.define_asset_job(
    names.DAILY,
    selection=dg.AssetSelection.assets(quality_scores, *ROLLUP_ASSETS, market_indicators, market_features)
    | dg.AssetSelection.checks(nothing_missing_nothing_twice, claims_hold),
    description="Audits a day's trades, puts the suites' claims to its rows and scores it. When nothing is missing, "
    "nothing there twice, no claim about trades or bars that stops is false and no score below the threshold, makes "
    "the bars of five minutes, an hour and the day, then the indicators of all bars and the features. Running it again "
    "replaces bars and indicators by the same, and appends no feature that did not change.",
    # Before what automation asks for: reports and proofs can wait, bars are waited for.
    tags={"dagster/priority": "1"},
)

# The sensor is quicker and knows of corrections; the schedule makes sure that every day is audited, traded on or not.
DAILY_SCHEDULE = dg.build_schedule_from_partitioned_job(
    DAILY,
    name=names.DAILY_SCHEDULE,
    hour_of_day=0,
    minute_of_hour=10,
    description="At 00:10 UTC: audit, check, score and roll up the day that has ended.",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
