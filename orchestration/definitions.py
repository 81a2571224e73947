"""The code location: everything that the Dagster UI shows and runs."""

import warnings

import dagster as dg

from orchestration.resources import make_resources


def build(resources: dict[str, object]) -> dg.Definitions:
    """Put assets, checks, jobs, schedules and the sensor together with these resources."""
    with warnings.catch_warnings():
        # Observables and backfill policies carry the label since 1.5; Dagster's version is locked.
        warnings.simplefilter("ignore", category=dg.BetaWarning)
        from assets.audit import nothing_missing_nothing_twice
        from assets.rollups import ROLLUP_ASSETS
        from assets.streams import MARKS_ASSET, VENUE_ASSETS, observe_processes
        from assets.tables import observe_market, observe_tables
        from jobs.closed_day import closed_day
        from jobs.daily import DAILY, DAILY_SCHEDULE
        from jobs.observe import OBSERVE, OBSERVE_SCHEDULE
        from jobs.restart import restart_process

        return dg.Definitions(
            assets=[*VENUE_ASSETS, MARKS_ASSET, observe_processes, observe_market, observe_tables, *ROLLUP_ASSETS],
            asset_checks=[nothing_missing_nothing_twice],
            jobs=[DAILY, OBSERVE, restart_process],
            schedules=[DAILY_SCHEDULE, OBSERVE_SCHEDULE],
            sensors=[closed_day],
            resources=resources,
            # The work is the warehouse's: a process a step would take longer to start than to run.
            executor=dg.in_process_executor,
        )


defs = build(make_resources())
