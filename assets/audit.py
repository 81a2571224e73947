"""The audit of the day as an asset check: nothing missing, nothing twice."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import asset_key
from contracts.trades import TRADES

if TYPE_CHECKING:
    from quality.audit import AuditReport, AuditRow

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


def _days(context: dg.AssetCheckExecutionContext) -> list[date]:
    """Return the run's days; run by itself, from the asset's page, the check takes yesterday."""
    run = context.op_execution_context
    if run.has_partition_key or run.has_partition_key_range:
        return [date.fromisoformat(key) for key in run.partition_keys]
    return [datetime.now(UTC).date() - timedelta(days=1)]


@dg.asset_check(
    asset=asset_key(TRADES),
    name="nothing_missing_nothing_twice",
    blocking=True,
    description="Stops what follows in its run: every trade on the tape of the day is stored exactly once, or is in "
    "quarantine with its reason, as tape, Kafka's offsets, ledger and tables say independently.",
)
def nothing_missing_nothing_twice(
    context: dg.AssetCheckExecutionContext, auditor: dg.ResourceParam[Auditor]
) -> dg.AssetCheckResult:
    """Audit the run's days."""
    with failing_by_type():
        reports = {day: auditor.audit(day, context.log.info) for day in _days(context)}
    wrong = [
        f"{day.isoformat()}: {report.missing} missing, {report.twice} twice"
        for day, report in reports.items()
        if not report.balanced
    ]
    return dg.AssetCheckResult(
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(wrong) or "nothing is missing and nothing is there twice",
        metadata=_metadata(reports),
    )
