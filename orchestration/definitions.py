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
        from assets.features_asset import NoVectors, market_features
        from assets.incidents import observe_incidents
        from assets.indicators_asset import market_indicators
        from assets.maintenance import system_seals, system_storage
        from assets.parity_asset import system_parity
        from assets.report import quality_report
        from assets.rollups import ROLLUP_ASSETS
        from assets.scores import quality_scores
        from assets.streams import MARKS_ASSET, VENUE_ASSETS, observe_processes
        from assets.tables import observe_market, observe_tables
        from assets.thresholds import RetentionWishes, Thresholds
        from jobs.alerts import alerts
        from jobs.closed_day import closed_day
        from jobs.daily import DAILY, DAILY_SCHEDULE
        from jobs.deep_check import DEEP_CHECK, weekly_deep_check
        from jobs.freshness import freshness
        from jobs.gaps import open_gaps
        from jobs.incidents import failed_check
        from jobs.maintenance import COMPACTION, COMPACTION_SCHEDULE, RETENTION, RETENTION_SCHEDULE
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
                market_indicators,
                market_features,
                quality_report,
                quality_scores,
                system_parity,
                system_seals,
                system_storage,
            ],
            asset_checks=[nothing_missing_nothing_twice, claims_hold],
            jobs=[
                DAILY,
                OBSERVE,
                restart_process,
                REPORT,
                SCORES,
                hourly_scores,
                PARITY,
                DEEP_CHECK,
                RETENTION,
                COMPACTION,
            ],
            schedules=[
                DAILY_SCHEDULE,
                OBSERVE_SCHEDULE,
                REPORT_SCHEDULE,
                SCORES_SCHEDULE,
                HOURLY_SCORES_SCHEDULE,
                weekly_deep_check,
                RETENTION_SCHEDULE,
                COMPACTION_SCHEDULE,
            ],
            sensors=[
                closed_day,
                rolled_up_day,
                freshness,
                open_gaps,
                stream_lag_or_death,
                failed_check,
                alerts,
                AUTOMATION_SENSOR,
            ],
            resources={
                "health": HealthSettings(),
                "thresholds": Thresholds(),
                "pages": Pages(),
                "vectors": NoVectors(),
                "wishes": RetentionWishes(),
                **resources,
            },
            # The work is the warehouse's: a process a step would take longer to start than to run.
            executor=dg.in_process_executor,
        )


defs = build(make_resources())
