"""The sensor that makes incidents of gaps that nobody repairs, and closes them when they are filled."""

from datetime import UTC, datetime

import dagster as dg

from assets.incidents import lineage_of, record_findings
from assets.store import Store
from contracts.errors import RetryableError
from jobs import names
from quality.settings import HealthSettings

SECOND = 1_000_000
KINDS = ("gap",)


@dg.sensor(
    name=names.GAP_SENSOR,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Every minute: a series with a gap that is open for longer than the setting gap_open_s, or that can't "
    "be filled, has an incident, which closes by itself when nothing is open any more.",
)
def open_gaps(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store], health: dg.ResourceParam[HealthSettings]
) -> dg.SensorResult:
    """Look at the gaps."""
    from quality.incidents import read_open
    from quality.open_gaps import findings, read_gaps

    now = int(datetime.now(UTC).timestamp() * SECOND)
    try:
        warehouse = store.warehouse()
        found = findings(
            read_gaps(warehouse, now),
            [one.subject for one in read_open(warehouse, KINDS)],
            now,
            open_after_s=health.gap_open_s,
            lineage=lineage_of(context.repository_def),
            page_of=health.page,
        )
        events = record_findings(store, found, KINDS, now)
    except RetryableError as error:
        return dg.SensorResult(skip_reason=dg.SkipReason(str(error)))
    told = "; ".join(one.title for one in found.wrong) or "no gap is open for long"
    return dg.SensorResult(skip_reason=dg.SkipReason(told), asset_events=events)
