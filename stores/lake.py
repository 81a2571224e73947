"""The Delta lake: the tape that outlives Kafka."""

from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake import DeltaTable, Schema
from deltalake.exceptions import TableNotFoundError

from contracts.tape import TAPE
from stores.arrow import arrow_schema, arrow_type
from stores.settings import LakeSettings

# The table is partitioned by venue and by the UTC day of receipt.
RECEIVED_DATE = "received_date"


def tape_path(settings: LakeSettings) -> str:
    """Return where the tape's table lies."""
    return f"{settings.root.rstrip('/')}/tape"


def open_tape(settings: LakeSettings) -> DeltaTable | None:
    """Open the tape's table at its newest version; None before the first payload was archived."""
    try:
        return DeltaTable(tape_path(settings))
    except TableNotFoundError:
        return None


def ensure_tape(settings: LakeSettings) -> None:
    """Make the tape's table, or add the columns that its contract has won since.

    Several writers begin at once, and those that would each make it, or each widen it, would refuse one another.
    """
    table = open_tape(settings)
    wanted = arrow_schema(TAPE.columns).append(pa.field(RECEIVED_DATE, pa.date32()))
    if table is None:
        DeltaTable.create(tape_path(settings), wanted, mode="ignore", partition_by=["venue", RECEIVED_DATE])
        return
    known = {field.name for field in table.schema().fields}
    missing = [field for field in wanted if field.name not in known]
    if missing:
        table.alter.add_columns(list(Schema.from_arrow(pa.schema(missing)).fields))


def read_tape(
    settings: LakeSettings, columns: Sequence[str], *, since: date | None = None, rows: int = 50_000
) -> Iterator[pa.RecordBatch]:
    """Yield the tape in batches of at most `rows`, with `since` only what was received on that day or later.

    What was archived before a column existed has the contract's default in it. Nothing before the first payload was
    archived.
    """
    table = open_tape(settings)
    if table is None:
        return
    stored = table.to_pyarrow_dataset()
    condition = None if since is None else pads.field("received_date") >= pa.scalar(since)
    present = [name for name in columns if name in stored.schema.names]
    for batch in stored.to_batches(columns=present, filter=condition, batch_size=rows):
        yield pa.RecordBatch.from_arrays([_filled(batch, name) for name in columns], names=list(columns))


def _filled(batch: pa.RecordBatch, name: str) -> pa.Array:
    column = TAPE.column_index[name]
    if column.default is None:
        return batch[name]
    default = pa.scalar(column.default, arrow_type(column.type))
    if name not in batch.schema.names:
        return pa.repeat(default, batch.num_rows)
    return pc.fill_null(batch[name], default)


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
