"""The Delta lake: the tape that outlives Kafka."""

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from stores.settings import LakeSettings


def tape_path(settings: LakeSettings) -> str:
    """Return where the tape's table lies."""
    return f"{settings.root.rstrip('/')}/tape"


def open_tape(settings: LakeSettings) -> DeltaTable | None:
    """Open the tape's table at its newest version; None before the first payload was archived."""
    try:
        return DeltaTable(tape_path(settings))
    except TableNotFoundError:
        return None


def archive_app(topic_id: str, partition: int) -> str:
    """Name the writer of a partition's offsets in the table's transaction log."""
    return f"tape-archive:{topic_id}:{partition}"


def archived_offsets(settings: LakeSettings, topic_id: str, partitions: int) -> dict[int, int]:
    """Return by partition the offset after the last one that the table holds, from its own transaction log."""
    table = open_tape(settings)
    if table is None:
        return {}
    found = {p: table.transaction_version(archive_app(topic_id, p)) for p in range(partitions)}
    return {partition: last + 1 for partition, last in found.items() if last is not None}
