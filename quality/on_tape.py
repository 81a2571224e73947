"""What the lake's tape holds, against the ledger that closed it and the tables that were derived from it."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta

import polars as pl
import pyarrow as pa
import pyarrow.dataset as pads
import xxhash

from contracts.catalog import dataset as dataset_named
from contracts.quarantine import QUARANTINE
from contracts.tape import tape_topic
from contracts.trades import TRADES
from stores.lake import open_tape
from stores.settings import LakeSettings
from stores.warehouse import Warehouse

Derive = Callable[[pa.RecordBatch], dict[str, pa.Table]]
Numbers = tuple[str, int, int, int, int, int]  # topic, partition, expected, found, missing, twice

SPARK_SEED = 42  # of Spark's xxhash64, which the archive computes
POSITION = ["connection_id", "message_number", "message_index"]


def _scan(lake: LakeSettings, columns: list[str], day: date | None) -> Iterator[pa.RecordBatch]:
    """Read the tape in batches; with `day`, only what can hold events of that day."""
    table = open_tape(lake)
    if table is None:
        return
    condition = None
    if day is not None:
        # An event may be stamped up to a day ahead of its receipt (contracts/trades.py), never more.
        condition = pads.field("received_date") >= pa.scalar(day - timedelta(days=1))
    yield from table.to_pyarrow_dataset().to_batches(columns=columns, filter=condition, batch_size=50_000)


def compare_lake(lake: LakeSettings, closed: Iterable[tuple[str, str, int, int, int]]) -> Iterator[Numbers]:
    """Compare rows and payload hashes with the ledger's (topic, topic id, partition, count, hash)."""
    frames = []
    for batch in _scan(lake, ["topic_id", "kafka_partition", "kafka_offset", "payload"], None):
        hashes = [xxhash.xxh64_intdigest(payload, SPARK_SEED) for payload in batch["payload"].to_pylist()]
        frame = pl.DataFrame(pl.from_arrow(batch.select(["topic_id", "kafka_partition", "kafka_offset"])))
        frames.append(frame.with_columns(digest=pl.Series(hashes, dtype=pl.UInt64)))
    found: dict[tuple[str, int], tuple[int, int, int]] = {}
    if frames:
        for (topic_id, partition), rows in pl.concat(frames).group_by("topic_id", "kafka_partition"):
            digest = sum(rows["digest"].to_list()) % (1 << 64)
            found[str(topic_id), int(str(partition))] = (rows.height, rows["kafka_offset"].n_unique(), digest)
    ledger = {(topic_id, partition): (topic, count, digest) for topic, topic_id, partition, count, digest in closed}
    for key in sorted({*ledger, *found}):
        topic, count, digest = ledger.get(key, ("tape (not in the ledger)", 0, 0))
        held, distinct, hashed = found.get(key, (0, 0, 0))
        altered = int(held == count and hashed != digest)
        twice = max(held - distinct, held - count, 0)
        yield topic, key[1], count, held, max(count - distinct, altered, 0), twice


def compare_tape(lake: LakeSettings, warehouse: Warehouse, derive: Derive, day: date | None) -> Iterator[Numbers]:
    """Parse the tape again and look for every event: among the stored rows by its grain, or in quarantine.

    Also the other way round: a stored row that no payload of the tape explains is missing from the tape.
    """
    derived: dict[str, list[pl.DataFrame]] = {TRADES.name: [], QUARANTINE.name: []}
    wanted = ["venue", "endpoint", "payload", "received_time", "connection_id", "message_number", "kafka_partition"]
    for batch in _scan(lake, wanted, day):
        partitions = pl.DataFrame(pl.from_arrow(batch.select(["connection_id", "message_number", "kafka_partition"])))
        for name, rows in derive(batch).items():
            keep = (
                [*_grain(name), "venue", "event_time", *POSITION] if name != QUARANTINE.name else ["venue", *POSITION]
            )
            frame = pl.DataFrame(pl.from_arrow(rows.select(list(dict.fromkeys(keep)))))
            derived[name].append(frame.join(partitions, on=POSITION[:2], how="left"))
    quarantined = _quarantined(warehouse)
    yield from _trades(derived[TRADES.name], quarantined, warehouse, day)
    if derived[QUARANTINE.name]:
        refused = pl.concat(derived[QUARANTINE.name]).unique(subset=POSITION)
        lost = refused.join(quarantined, on=POSITION, how="anti")
        for (venue, partition), rows in refused.group_by("venue", "kafka_partition"):
            missing = lost.filter((pl.col("venue") == venue) & (pl.col("kafka_partition") == partition)).height
            yield _tape(venue), int(str(partition)), rows.height, rows.height - missing, missing, 0


def _trades(
    frames: list[pl.DataFrame], quarantined: pl.DataFrame, warehouse: Warehouse, day: date | None
) -> Iterator[Numbers]:
    grain = _grain(TRADES.name)
    stored = _stored(warehouse, day)
    if not frames:
        if stored.height:
            yield "tape (no payload)", -1, 0, stored.height, stored.height, 0
        return
    on_tape = pl.concat(frames)
    if day is not None:
        on_tape = on_tape.filter(pl.col("event_time").dt.date() == day)
    # Refused by a rule and never stored: its place is quarantine. Stored once is stored, however often it came.
    events = on_tape.join(quarantined, on=POSITION, how="anti").unique(subset=grain)
    lost = events.join(stored, on=grain, how="anti")
    for (venue, partition), rows in events.group_by("venue", "kafka_partition"):
        missing = lost.filter((pl.col("venue") == venue) & (pl.col("kafka_partition") == partition)).height
        yield _tape(venue), int(str(partition)), rows.height, rows.height - missing, missing, 0
    twice = stored.height - stored.unique(subset=grain).height
    untaped = stored.join(on_tape.unique(subset=grain), on=grain, how="anti").height
    yield TRADES.name, -1, stored.height, stored.height - untaped, untaped, twice


def _grain(name: str) -> list[str]:
    return list(dataset_named(name).grain)


def _tape(venue: object) -> str:
    return tape_topic(str(venue)).name


def _stored(warehouse: Warehouse, day: date | None) -> pl.DataFrame:
    where = "1"
    if day is not None:
        start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - only its text is used
        where = f"event_time >= '{start}' AND event_time < '{start + timedelta(days=1)}'"
    return pl.DataFrame(
        pl.from_arrow(warehouse.table(f"SELECT {', '.join(TRADES.grain)} FROM {TRADES.table} FINAL WHERE {where}"))
    )


def _quarantined(warehouse: Warehouse) -> pl.DataFrame:
    sql = f"SELECT DISTINCT {', '.join(POSITION)} FROM {QUARANTINE.table} FINAL"
    return pl.DataFrame(pl.from_arrow(warehouse.table(sql)))
