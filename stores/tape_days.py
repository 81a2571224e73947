"""The tape's days in the lake, by venue and day of receipt: what they hold, and dropping them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import xxhash

from stores.lake import RECEIVED_DATE, open_tape
from stores.settings import LakeSettings

SPARK_SEED = 42  # of Spark's xxhash64, which the archive computes
_HASHES = 1 << 64


@dataclass(frozen=True)
class TapeDay:
    """A partition of the tape's table, from its own log."""

    venue: str
    day: date
    files: int
    rows: int
    bytes: int


@dataclass(frozen=True)
class TapePart:
    """What one partition of a topic has in a day: rows, and the sum of its payloads' hashes modulo 2^64."""

    topic_id: str
    kafka_partition: int
    rows: int
    content_hash: int


def tape_days(lake: LakeSettings) -> list[TapeDay]:
    """Return what the tape holds by venue and day, without reading it."""
    table = open_tape(lake)
    if table is None:
        return []
    files = pl.DataFrame(pl.from_arrow(pa.table(table.get_add_actions(flatten=True))))
    if files.height == 0:
        return []
    found = (
        files.group_by(venue="partition.venue", day=f"partition.{RECEIVED_DATE}")
        .agg(pl.len(), pl.col("num_records").sum(), pl.col("size_bytes").sum())
        .sort("venue", "day")
    )
    return [TapeDay(str(v), day, int(n), int(rows or 0), int(size)) for v, day, n, rows, size in found.iter_rows()]


def tape_rows(lake: LakeSettings, venue: str, day: date, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield a day's rows in batches; of a column that the table does not have yet, none."""
    table = open_tape(lake)
    if table is None:
        return
    mine = (pads.field("venue") == venue) & (pads.field(RECEIVED_DATE) == pa.scalar(day))
    yield from table.to_pyarrow_dataset().to_batches(columns=columns, filter=mine, batch_size=10_000)


def newest_stored(lake: LakeSettings, venue: str, day: date) -> datetime:
    """Return when the last row of a day was archived; the epoch where there is none."""
    newest = datetime.fromtimestamp(0, UTC)
    for batch in tape_rows(lake, venue, day, ["ingested_time"]):
        if batch.num_rows:
            newest = max(newest, pa.compute.max(batch["ingested_time"]).as_py())
    return newest


def tape_parts(lake: LakeSettings, venue: str, day: date) -> list[TapePart]:
    """Count a day's rows and add up their payloads' hashes, by topic and partition."""
    sums: dict[tuple[str, int], tuple[int, int]] = {}
    for batch in tape_rows(lake, venue, day, ["topic_id", "kafka_partition", "payload"]):
        rows = zip(*(batch[name].to_pylist() for name in ("topic_id", "kafka_partition", "payload")), strict=True)
        for topic_id, partition, payload in rows:
            count, total = sums.get((topic_id, partition), (0, 0))
            digest = xxhash.xxh64_intdigest(payload, SPARK_SEED)
            sums[topic_id, partition] = (count + 1, (total + digest) % _HASHES)
    return [TapePart(topic, partition, *held) for (topic, partition), held in sorted(sums.items())]


def drop_tape_day(lake: LakeSettings, venue: str, day: date) -> None:
    """Take a day out of the table; its files go with the next VACUUM."""
    table = open_tape(lake)
    if table is not None:
        quoted = venue.replace("'", "''")
        table.delete(f"venue = '{quoted}' AND {RECEIVED_DATE} = '{day.isoformat()}'")
