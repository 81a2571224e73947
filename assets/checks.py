"""The suites of a day as asset checks: one check a claim, on each market table and the bars."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import DAILY, QUALITY, WAREHOUSE_POOL, asset_key, dataset_spec, days_of
from assets.store import Store
from contracts.bars import BARS
from contracts.check_results import CHECK_RESULTS
from contracts.dataset import Dataset
from contracts.trades import TRADES
from quality.suites.catalog import CHECKED, suites_of
from quality.suites.claims import Claim
from serving.pages import Pages

if TYPE_CHECKING:
    from quality.suites.results import CheckResult, DatasetRun

OFFENDERS_SHOWN = 60

# The rollups are made from these: a claim about them that stops holds the rollups back.
FOLLOWED = (TRADES, BARS)


class Checker(Protocol):
    """Puts the claims about datasets to a day, and keeps what came of it."""

    def check(
        self, day: date, datasets: Sequence[Dataset], run_id: str, on_progress: Callable[[str], None]
    ) -> "list[DatasetRun]": ...


CHECK_RESULTS_ASSET = dataset_spec(
    CHECK_RESULTS,
    group=QUALITY,
    kinds={"clickhouse", "greatexpectations"},
    deps=[asset_key(dataset) for dataset in CHECKED],
    description="A day counts as materialised when its claims were put to the stored rows, whatever came of it.",
    partitions=DAILY,
)


def _claims(dataset: Dataset) -> list[Claim]:
    return [claim for suite in suites_of(dataset) for claim in suite.claims]


def _spec(dataset: Dataset, claim: Claim) -> dg.AssetCheckSpec:
    stops = claim.level == "stop" and dataset in FOLLOWED
    return dg.AssetCheckSpec(
        name=claim.name,
        asset=asset_key(dataset),
        blocking=stops,
        partitions_def=DAILY if dataset in FOLLOWED else None,
        description=f"{claim.says} {'Stops what follows in its run.' if stops else 'Holds nothing back.'}",
    )


def _offenders(results: "list[CheckResult]") -> dg.TableMetadataValue | None:
    rows = [{"day": one.day.isoformat(), **row} for one in results for row in one.sample][:OFFENDERS_SHOWN]
    if not rows:
        return None
    columns = [dg.TableColumn(name, "string") for name in dict.fromkeys(name for row in rows for name in row)]
    return dg.MetadataValue.table(records=[dg.TableRecord(row) for row in rows], schema=dg.TableSchema(columns))


_VENUE_COLUMNS = [
    dg.TableColumn("day", "string"),
    dg.TableColumn("venue", "string"),
    dg.TableColumn("checked", "int", description="Rows that were looked at."),
    dg.TableColumn("unexpected", "int", description="Rows that speak against the claim."),
]


def _by_venue(results: "list[CheckResult]") -> dg.TableMetadataValue:
    told = [(one.day.isoformat(), one.venue, one.checked_count, one.unexpected_count) for one in results]
    told.sort(key=lambda row: (-row[3], row[:2]))
    names = [column.name for column in _VENUE_COLUMNS]
    records = [dg.TableRecord(dict(zip(names, row, strict=True))) for row in told]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(_VENUE_COLUMNS))


def _result(
    dataset: Dataset, claim: Claim, runs: "list[DatasetRun]", days: list[date], pages: Pages
) -> dg.AssetCheckResult:
    found = [one for run in runs for one in run.results if one.check_name == claim.name]
    checked, unexpected = sum(one.checked_count for one in found), sum(one.unexpected_count for one in found)
    wrong = [
        f"{one.day}, {one.venue}: {one.unexpected_count:,} of {one.checked_count:,}" for one in found if not one.passed
    ]
    metadata: dict[str, Any] = {
        "days": ", ".join(day.isoformat() for day in days),
        "level": claim.level,
        "checked": checked,
        "unexpected": unexpected,
        # Claims of a dataset are put together: it is the time of all of them.
        "seconds_of_the_dataset": round(sum(run.seconds for run in runs), 3),
    }
    if found:
        metadata["venues"] = _by_venue(found)
    if offenders := _offenders(found):
        metadata["offending_rows"] = offenders
    if written := [run.page for run in runs if run.page]:
        metadata["data_docs"] = dg.MetadataValue.url(pages.url(written[-1]))
        metadata["data_docs_file"] = dg.MetadataValue.path(str(written[-1]))
    return dg.AssetCheckResult(
        asset_key=asset_key(dataset),
        check_name=claim.name,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR if claim.level == "stop" else dg.AssetCheckSeverity.WARN,
        description="; ".join(wrong) or (f"holds of {checked:,} rows" if checked else "nothing to look at"),
        metadata=metadata,
    )


@dg.multi_asset_check(
    name="claims_hold",
    specs=[_spec(dataset, claim) for dataset in CHECKED for claim in _claims(dataset)],
    can_subset=True,
    pool=WAREHOUSE_POOL,
)
def claims_hold(
    context: dg.AssetCheckExecutionContext,
    checker: dg.ResourceParam[Checker],
    store: dg.ResourceParam[Store],
    pages: dg.ResourceParam[Pages],
) -> Iterator[dg.AssetCheckResult]:
    """Put the claims about the run's days to the warehouse, all venues and tables at once.

    A day of bars is noted as made just before: the outcome of its checks is then that of what was made last.
    """
    selected = context.selected_asset_check_keys
    datasets = [dataset for dataset in CHECKED if any(key.asset_key == asset_key(dataset) for key in selected)]
    days = days_of(context)
    runs: list[DatasetRun] = []
    with failing_by_type():
        for day in days:
            if BARS in datasets:
                context.op_execution_context.log_event(_bars_of(store, day))
            of_day = checker.check(day, datasets, context.run.run_id, context.log.info)
            context.op_execution_context.log_event(_materialization(day, of_day))
            runs += of_day
    for dataset in datasets:
        mine = [run for run in runs if run.dataset == dataset.name]
        for claim in _claims(dataset):
            if dg.AssetCheckKey(asset_key(dataset), claim.name) in selected:
                yield _result(dataset, claim, mine, days, pages)


def _bars_of(store: Store, day: date) -> dg.AssetMaterialization:
    from assets.day_metadata import day_metadata
    from assets.day_view import read_day

    numbers = day_metadata(read_day(store.warehouse(), f"{BARS.table}_current", day))
    return dg.AssetMaterialization(asset_key(BARS), partition=day.isoformat(), metadata=numbers)


def _materialization(day: date, runs: "list[DatasetRun]") -> dg.AssetMaterialization:
    results = [one for run in runs for one in run.results]
    numbers = {
        "dagster/partition_row_count": len(results),
        "failed": sum(not one.passed for one in results),
        "seconds": round(sum(run.seconds for run in runs), 3),
    }
    return dg.AssetMaterialization(asset_key(CHECK_RESULTS), partition=day.isoformat(), metadata=numbers)
