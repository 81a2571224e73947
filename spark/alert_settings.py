"""What the alert stream is told, as values; nothing here imports Spark."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from contracts.alert_rules import AlertRule
from stores.settings import BrokerSettings, RegistrySettings, WarehouseSettings


@dataclass(frozen=True)
class AlertSettings:
    """Where the alert stream reads and writes, and by which rules.

    `batch_s` is how long a real-time batch lasts. No event waits for its end; but only then is entered how far it came,
    and the next one, which reads the newest references, is planned while nothing is judged. A reference counts for
    events at most `nearest` away from it.
    """

    broker: BrokerSettings
    registry: RegistrySettings
    warehouse: WarehouseSettings
    scratch_dir: Path
    references_query: Path
    rules: tuple[AlertRule, ...]
    same_quotes: tuple[str, ...]
    batch_s: int = 60
    nearest: timedelta = timedelta(minutes=15)
