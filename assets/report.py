"""The report of a day as an asset: one HTML page, its verdict and its first lines in the metadata."""

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.audit import Auditor
from assets.failures import failing_by_type
from assets.specs import AFTER_CHECKS, DAILY, OWNERS, REPORT, asset_key
from assets.store import Store
from assets.thresholds import Thresholds
from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.check_results import CHECK_RESULTS
from contracts.errors import TapehouseError
from contracts.features import FEATURES
from contracts.freshness import FRESHNESS
from contracts.gaps import GAPS
from contracts.incidents import INCIDENTS
from contracts.parity import PARITY
from contracts.quarantine import QUARANTINE
from contracts.scores import DEDUCTIONS, SCORES
from serving.pages import Pages

if TYPE_CHECKING:
    from quality.audit import AuditReport
    from quality.report.facts import Facts
    from stores.warehouse import Warehouse

DAYS_A_RUN = 31
REPORT_KEY = dg.AssetKey(["quality", "report"])
SHOWN = (*MARKET, BARS, GAPS, QUARANTINE, SCORES, DEDUCTIONS, CHECK_RESULTS, PARITY, FRESHNESS, INCIDENTS)


@dg.asset(
    key=REPORT_KEY,
    # Behind the features, which it does not show: it is the day's last word.
    deps=[asset_key(dataset) for dataset in (*SHOWN, FEATURES)],
    group_name=REPORT,
    owners=OWNERS,
    kinds={"html"},
    partitions_def=DAILY,
    # The schedule makes the page of a bad day too; by itself it is made again only when what it shows holds.
    automation_condition=AFTER_CHECKS,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_A_RUN),
    description="One page a day that needs no network: can these numbers be trusted, and what speaks against it. "
    "Scores with their deductions, gaps and refills, quarantine, bars, claims, audit, rebuild, freshness, incidents, "
    "and what changed since the day before. Making it again replaces it. `tapehouse report --day D` makes the same "
    "page.",
)
def quality_report(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[Store],
    auditor: dg.ResourceParam[Auditor],
    pages: dg.ResourceParam[Pages],
    thresholds: dg.ResourceParam[Thresholds],
) -> dg.MaterializeResult[None]:
    """Make the page of each of the run's days."""
    with failing_by_type():
        from quality.certificate import FOLDER, line
        from quality.report.reading import read_facts

        warehouse = store.warehouse()
        certificate = line(pages.data_dir / FOLDER)
        for key in context.partition_keys:
            day = date.fromisoformat(key)
            facts = read_facts(warehouse, day, min_score=thresholds.min_score)
            facts = replace(facts, audit=_audited(auditor, day, context.log), certificate=certificate)
            told = _written(warehouse, facts, pages)
            context.log.info(f"{key}: {told['verdict']}")
            context.add_asset_metadata(told, asset_key=REPORT_KEY, partition_key=key)
    return dg.MaterializeResult(asset_key=REPORT_KEY)


def _audited(auditor: Auditor, day: date, log: dg.DagsterLogManager) -> "AuditReport | None":
    try:
        return auditor.audit(day, log.info)
    except TapehouseError as error:
        # When a part of the platform is away a report is needed most: it then says that nobody audited.
        log.warning(f"the audit of {day} could not be run: {error}")
        return None


def _written(warehouse: "Warehouse", facts: "Facts", pages: Pages) -> dict[str, Any]:
    from quality.report.files import report_path, write_page
    from quality.report.page import extract, render
    from quality.report.verdict import judge

    verdict = judge(facts)
    path = report_path(pages.reports, facts.day)
    size = write_page(path, render(facts))
    told: dict[str, Any] = {
        "verdict": verdict.sentence,
        "level": verdict.level.word,
        "page": dg.MetadataValue.url(pages.url(path)),
        "file": dg.MetadataValue.path(str(path.resolve())),
        "bytes": size,
        "extract": dg.MetadataValue.md(extract(facts, verdict)),
    }
    if not facts.totals.bar_count:
        return told
    from assets.day_view import read_day
    from assets.plots import as_markdown, closes_plot

    plot = closes_plot(read_day(warehouse, f"{BARS.table}_current", facts.day))
    return told | {"closes": dg.MetadataValue.md(as_markdown(plot, f"closes of {facts.day.isoformat()}"))}
