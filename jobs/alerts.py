"""The sensor that tells the receivers of incidents: once when one opens, once when it closes."""

from datetime import UTC, datetime

import dagster as dg

from assets.store import Store
from contracts.errors import RetryableError
from jobs import names
from quality.settings import HealthSettings


@dg.sensor(
    name=names.ALERTS_SENSOR,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the receivers of the setting alert_urls when an incident opens and when it closes, each once, "
    "with at most ten messages in ten minutes. What could not be sent is tried again, after pauses that grow.",
)
def alerts(
    context: dg.SensorEvaluationContext, store: dg.ResourceParam[Store], health: dg.ResourceParam[HealthSettings]
) -> dg.SensorResult:
    """Send what is owed."""
    if not health.alert_urls:
        return dg.SensorResult(skip_reason=dg.SkipReason("nobody is to be told: TAPEHOUSE_ALERT_URLS is empty"))
    from quality.receivers import send_owed

    try:
        made = send_owed(store.warehouse(), health.alert_urls, int(datetime.now(UTC).timestamp() * 1_000_000))
    except RetryableError as error:
        return dg.SensorResult(skip_reason=dg.SkipReason(str(error)))
    for one in made:
        if one.detail:
            context.log.warning(f"{one.receiver} was not told that {one.incident_id} {one.event}: {one.detail}")
    told = ", ".join(f"{one.receiver}: {one.incident_id} {one.event} {one.state}" for one in made)
    return dg.SensorResult(skip_reason=dg.SkipReason(told or "everybody was told of everything"))
