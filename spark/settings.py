"""What the streaming core is told, as values; nothing here imports Spark."""

from dataclasses import dataclass
from pathlib import Path

from stores.settings import BrokerSettings, LakeSettings, RegistrySettings, WarehouseSettings


@dataclass(frozen=True)
class SparkSettings:
    """How a session is made. `master` names a cluster in production; `ui_port` 0 turns the UI off.

    A session without `delta` can't use the lake, and is smaller. `java_options` say how the JVM keeps house.
    """

    jars_dir: Path
    scratch_dir: Path
    # More slots than cores: a batch waits for the warehouse more than it computes.
    master: str = "local[4]"
    driver_memory: str = "1g"
    ui_port: int = 0
    shuffle_partitions: int = 2
    delta: bool = True
    # To collect a gigabyte takes no time worth hiding, and no core is to spare for a collector that works beside us.
    # Tasks that copy to and from native memory hold up collections: the JVM waits and does not call it out of memory.
    java_options: str = (
        "-XX:+UseParallelGC -XX:+UnlockDiagnosticVMOptions -XX:+IgnoreUnrecognizedVMOptions "
        "-XX:GCLockerRetryAllocationCount=1000"
    )


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
    # What a backlog is worked off in: a batch has a cost of its own, whatever is in it, and a record takes some hundred
    # bytes of the worker that writes it.
    max_offsets_a_batch: int = 600_000
    # A batch of tape is held by Spark itself until it is in the lake.
    max_tape_offsets_a_batch: int = 200_000
    # Where one record may be a whole book: their bytes bound a batch, not their number.
    max_wide_offsets_a_batch: int = 20_000
