"""Daily-partitioned bars of five minutes, an hour and a day."""

from datetime import date

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import AFTER_CHECKS, DAILY, ROLLUPS, WAREHOUSE_POOL, asset_key, dataset_spec
from assets.store import Store
from contracts.bars import BARS
from contracts.rollups import ROLLUPS as WIDTHS
from contracts.rollups import Rollup
from contracts.scores import SCORES
from contracts.trades import TRADES

# A run's process starts in seconds, a day is made in a fraction of one: a year is twelve runs, and one that fails costs
# at most a month.
DAYS_A_RUN = 31
DAY_S = 86_400


def _rollup_asset(rollup: Rollup) -> dg.AssetsDefinition:
    # A day whose score is too low is not rolled up: automation makes up for it once the score passes.
    deps = {asset_key(rollup.source), asset_key(SCORES)}
    if rollup.source is BARS:
        # A blocking check holds back only what depends on the checked asset itself: the audit is the trades'.
        deps.add(asset_key(TRADES))
    spec = dataset_spec(
        rollup.dataset,
        group=ROLLUPS,
        kinds={"clickhouse", "sql"},
        deps=deps,
        description="A function of the day's finer bars and of nothing else: running it again gives the same rows. A "
        "day whose audit, claims or score failed has none until they pass.",
        partitions=DAILY,
        automation=AFTER_CHECKS,
    )

    @dg.multi_asset(
        specs=[spec],
        name=rollup.dataset.table,
        pool=WAREHOUSE_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_A_RUN),
    )
    def rolled(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store]) -> dg.MaterializeResult[None]:
        from assets.day_metadata import day_metadata
        from assets.day_view import read_day
        from assets.rollup_day import replace_day

        with failing_by_type():
            warehouse, query = store.warehouse(), store.query("rollup")
            # One close a day is no picture: the day's bar is shown by the hours that it is made from.
            finer = rollup.source.table if rollup.width_s == DAY_S else ""
            for key in context.partition_keys:
                day = date.fromisoformat(key)
                count = replace_day(warehouse, query, rollup, day)
                context.log.info(f"{rollup.dataset.name} {key}: {count} bars")
                view = read_day(warehouse, rollup.dataset.table, day, closes_from=finer)
                context.add_asset_metadata(day_metadata(view), asset_key=spec.key, partition_key=key)
        return dg.MaterializeResult(asset_key=spec.key)

    return rolled


ROLLUP_ASSETS = [_rollup_asset(rollup) for rollup in WIDTHS]
