"""The code location: everything that the Dagster UI shows and runs."""

import warnings

import dagster as dg

from orchestration.resources import make_resources
from quality.settings import HealthSettings
from serving.pages import Pages


def build(resources: dict[str, object]) -> dg.Definitions:
    """Put assets, checks, jobs, schedules and the sensor together with these resources."""
    with warnings.catch_warnings():
        # Observables and backfill policies are called beta, checks of a partition preview; Dagster's version is locked.
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        warnings.simplefilter("ignore", category=dg.PreviewWarning)
        from assets.audit import nothing_missing_nothing_twice
        from assets.checks import CHECK_RESULTS_ASSET, claims_hold
        from assets.incidents import observe_incidents
        from assets.parity_asset import system_parity
        from assets.report import quality_report
        from assets.rollups import ROLLUP_ASSETS
        from assets.scores import quality_scores
        from assets.streams import MARKS_ASSET, VENUE_ASSETS, observe_processes
        from assets.tables import observe_market, observe_tables
        from assets.thresholds import Thresholds
        from jobs.alerts import alerts
        from jobs.closed_day import closed_day
        from jobs.daily import DAILY, DAILY_SCHEDULE
        from jobs.deep_check import DEEP_CHECK, weekly_deep_check
        from jobs.freshness import freshness
        from jobs.incidents import failed_check
        from jobs.observe import OBSERVE, OBSERVE_SCHEDULE
        from jobs.parity import PARITY, rolled_up_day
        from jobs.report import REPORT, REPORT_SCHEDULE
        from jobs.restart import restart_process
        from jobs.scores import AUTOMATION_SENSOR, HOURLY_SCORES_SCHEDULE, SCORES, SCORES_SCHEDULE, hourly_scores
        from jobs.stream_health import stream_lag_or_death

        return dg.Definitions(
            assets=[
                *VENUE_ASSETS,
                MARKS_ASSET,
                observe_processes,
                observe_market,
                observe_tables,
                observe_incidents,
                CHECK_RESULTS_ASSET,
                *ROLLUP_ASSETS,
                quality_report,
                quality_scores,
                system_parity,
            ],
            asset_checks=[nothing_missing_nothing_twice, claims_hold],
            jobs=[DAILY, OBSERVE, restart_process, REPORT, SCORES, hourly_scores, PARITY, DEEP_CHECK],
            schedules=[
                DAILY_SCHEDULE,
                OBSERVE_SCHEDULE,
                REPORT_SCHEDULE,
                SCORES_SCHEDULE,
                HOURLY_SCORES_SCHEDULE,
                weekly_deep_check,
            ],
            sensors=[
                closed_day,
                rolled_up_day,
                freshness,
                stream_lag_or_death,
                failed_check,
                alerts,
                AUTOMATION_SENSOR,
            ],
            resources={"health": HealthSettings(), "thresholds": Thresholds(), "pages": Pages(), **resources},
            # The work is the warehouse's: a process a step would take longer to start than to run.
            executor=dg.in_process_executor,
        )


defs = build(make_resources())
