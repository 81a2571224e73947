"""The audit of the day as asset checks, one of each market table: nothing missing, nothing twice."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import DAILY, WAREHOUSE_POOL, asset_key, days_of
from contracts.catalog import MARKET
from contracts.dataset import Dataset
from contracts.trades import TRADES

if TYPE_CHECKING:
    from quality.audit import AuditReport, AuditRow

CHECK = "nothing_missing_nothing_twice"
ROWS_SHOWN = 100


class Auditor(Protocol):
    """Compares tape, topics, ledger and tables of a day, telling `on_progress` what it is at."""

    def audit(self, day: date, on_progress: Callable[[str], None]) -> "AuditReport": ...


_COLUMNS = [
    dg.TableColumn("day", "string"),
    dg.TableColumn("check", "string"),
    dg.TableColumn("topic", "string"),
    dg.TableColumn("partition", "int"),
    dg.TableColumn("expected", "int"),
    dg.TableColumn("found", "int"),
    dg.TableColumn("missing", "int"),
    dg.TableColumn("twice", "int"),
]


def _record(day: date, row: "AuditRow") -> dg.TableRecord:
    return dg.TableRecord(
        {"day": day.isoformat()} | {column.name: getattr(row, column.name) for column in _COLUMNS[1:]}
    )


def _metadata(reports: "dict[date, AuditReport]") -> dict[str, Any]:
    rows = [(day, row) for day, report in reports.items() for row in report.rows]
    # What is wrong comes first, so that a cut table still shows it.
    rows.sort(key=lambda pair: (-(pair[1].missing + pair[1].twice), pair[0], pair[1].check, pair[1].topic))
    return {
        "days": ", ".join(day.isoformat() for day in reports),
        "missing": sum(report.missing for report in reports.values()),
        "twice": sum(report.twice for report in reports.values()),
        "comparisons": len(rows),
        "audit": dg.MetadataValue.table(
            records=[_record(day, row) for day, row in rows[:ROWS_SHOWN]], schema=dg.TableSchema(_COLUMNS)
        ),
    }


def _spec(dataset: Dataset) -> dg.AssetCheckSpec:
    # Only the trades' check holds something back: the rollups are made from them.
    stops = dataset is TRADES
    return dg.AssetCheckSpec(
        name=CHECK,
        asset=asset_key(dataset),
        blocking=stops,
        # A day of trades has an outcome of its own; what is no partitioned asset has but the last one.
        partitions_def=DAILY if stops else None,
        description=("Stops what follows in its run: e" if stops else "E")
        + f"very row of {dataset.name} on the tape of the day is stored exactly once, or is in quarantine with its "
        "reason, as tape, Kafka's offsets, ledger and tables say independently.",
    )


def _result(dataset: Dataset, reports: "dict[date, AuditReport]") -> dg.AssetCheckResult:
    mine = {day: report.of(dataset.name) for day, report in reports.items()}
    wrong = [
        f"{day.isoformat()}: {report.missing} missing, {report.twice} twice"
        for day, report in mine.items()
        if not report.balanced
    ]
    return dg.AssetCheckResult(
        asset_key=asset_key(dataset),
        check_name=CHECK,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(wrong) or "nothing is missing and nothing is there twice",
        metadata=_metadata(mine),
    )


@dg.multi_asset_check(name=CHECK, specs=[_spec(dataset) for dataset in MARKET], pool=WAREHOUSE_POOL)
def nothing_missing_nothing_twice(
    context: dg.AssetCheckExecutionContext, auditor: dg.ResourceParam[Auditor]
) -> Iterator[dg.AssetCheckResult]:
    """Audit the run's days, all tables at once, for the tape is parsed but once."""
    with failing_by_type():
        reports = {day: auditor.audit(day, context.log.info) for day in days_of(context)}
    for dataset in MARKET:
        yield _result(dataset, reports)
