"""The delivery ledger as it lies in the warehouse."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pyarrow as pa

from contracts.ledger import LEDGER
from stores.arrow import arrow_schema
from stores.warehouse import Warehouse


@dataclass(frozen=True)
class Delivery:
    """One closed range of offsets in one sink."""

    sink: str
    topic: str
    topic_id: str
    kafka_partition: int
    first_offset: int
    last_offset: int
    read_count: int
    stored_count: int
    duplicate_count: int
    quarantined_count: int
    content_hash: int

    @property
    def token(self) -> str:
        """The identity of the write: what it read, never a batch number."""
        return write_token(self.topic_id, self.kafka_partition, self.first_offset, self.last_offset)


def write_token(topic_id: str, partition: int, first: int, last: int) -> str:
    """Name the write of an offset range."""
    return f"{topic_id}:{partition}:{first}-{last}"


def close_ranges(warehouse: Warehouse, deliveries: Sequence[Delivery], *, now: datetime | None = None) -> None:
    """Write the ledger rows of deliveries that are wholly stored; the last step of every write."""
    if not deliveries:
        return
    closed = now or datetime.now(UTC)
    rows = [{**asdict(d), "closed_time": closed} for d in deliveries]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(LEDGER.columns))
    token = "ledger:" + "+".join(f"{d.sink}/{d.token}" for d in deliveries)
    warehouse.insert(LEDGER.table, table, token=token)


def next_offsets(warehouse: Warehouse, sink: str, topic_id: str) -> dict[int, int]:
    """Return by partition the offset after the last closed range: where a sink goes on."""
    found = warehouse.rows(
        f"SELECT kafka_partition, max(last_offset) + 1 FROM {LEDGER.table} FINAL "
        "WHERE sink = {sink:String} AND topic_id = {topic_id:String} GROUP BY kafka_partition",
        {"sink": sink, "topic_id": topic_id},
    )
    return {int(partition): int(offset) for partition, offset in found}
