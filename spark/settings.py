"""What the streaming core is told, as values; nothing here imports Spark."""

from dataclasses import dataclass
from pathlib import Path

from stores.settings import BrokerSettings, LakeSettings, RegistrySettings, WarehouseSettings


@dataclass(frozen=True)
class SparkSettings:
    """How a session is made. `master` names a cluster in production; `ui_port` 0 turns the UI off."""

    jars_dir: Path
    scratch_dir: Path
    # More slots than cores: a batch waits for the warehouse more than it computes.
    master: str = "local[4]"
    driver_memory: str = "1g"
    ui_port: int = 0
    shuffle_partitions: int = 2


@dataclass(frozen=True)
class StreamSettings:
    """Where the streams read and write, and how much at once."""

    broker: BrokerSettings
    registry: RegistrySettings
    warehouse: WarehouseSettings
    lake: LakeSettings
    scratch_dir: Path
    venues: tuple[str, ...]
    write_interval_s: float = 1.0
    slow_interval_s: float = 5.0
    archive_interval_s: float = 30.0
    book_snapshot_s: float = 60.0
    max_offsets_a_batch: int = 200_000
    # Where one record may be a whole book: their bytes bound a batch, not their number.
    max_wide_offsets_a_batch: int = 20_000
