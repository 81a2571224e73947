"""What the lake's tape holds, against the ledger that closed it and the tables that were derived from it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Protocol

import polars as pl
import pyarrow as pa
import xxhash

from contracts.catalog import MARKET
from contracts.dataset import Dataset
from contracts.imports import CONNECTION_PREFIX
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE, tape_topic
from stores.lake import read_tape
from stores.seals import SealedSpan, sealed_rows, sealed_spans, sealed_tape
from stores.settings import LakeSettings
from stores.tape_days import SPARK_SEED
from stores.warehouse import Warehouse

Numbers = tuple[str, int, int, int, int, int]  # topic, partition, expected, found, missing, twice

POSITION = ["connection_id", "message_number", "message_index"]
PAYLOADS_AT_ONCE = 10_000


class Derive(Protocol):
    """Parses a stretch of tape into rows by dataset; with `columns`, only these of the datasets that it names."""

    def __call__(
        self, batch: pa.RecordBatch, columns: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, pa.Table]: ...


def compare_lake(
    lake: LakeSettings,
    closed: Iterable[tuple[str, str, int, int, int]],
    retired: Iterable[tuple[str, int, int, int]] = (),
) -> Iterator[Numbers]:
    """Compare rows and payload hashes with the ledger's (topic, topic id, partition, count, hash).

    `retired` is what was dropped from the lake: topic id, partition, count, hash.
    """
    frames = []
    for batch in read_tape(lake, ["topic_id", "kafka_partition", "kafka_offset", "payload"]):
        hashes = [xxhash.xxh64_intdigest(payload, SPARK_SEED) for payload in batch["payload"].to_pylist()]
        frame = pl.DataFrame(pl.from_arrow(batch.select(["topic_id", "kafka_partition", "kafka_offset"])))
        frames.append(frame.with_columns(digest=pl.Series(hashes, dtype=pl.UInt64)))
    found: dict[tuple[str, int], tuple[int, int, int]] = {}
    if frames:
        for (topic_id, partition), rows in pl.concat(frames).group_by("topic_id", "kafka_partition"):
            digest = sum(rows["digest"].to_list()) % (1 << 64)
            found[str(topic_id), int(str(partition))] = (rows.height, rows["kafka_offset"].n_unique(), digest)
    for topic_id, partition, count, digest in retired:
        held, distinct, hashed = found.get((topic_id, partition), (0, 0, 0))
        found[topic_id, partition] = (held + count, distinct + count, (hashed + digest) % (1 << 64))
    ledger = {(topic_id, partition): (topic, count, digest) for topic, topic_id, partition, count, digest in closed}
    for key in sorted({*ledger, *found}):
        topic, count, digest = ledger.get(key, ("tape (not in the ledger)", 0, 0))
        held, distinct, hashed = found.get(key, (0, 0, 0))
        altered = int(held == count and hashed != digest)
        twice = max(held - distinct, held - count, 0)
        yield topic, key[1], count, held, max(count - distinct, altered, 0), twice


def compare_tape(
    lake: LakeSettings, warehouse: Warehouse, derive: Derive, day: date | None, until: datetime
) -> Iterator[tuple[str, Numbers]]:
    """Parse the tape again and look for every event: among the stored rows by its grain, or in quarantine.

    Only what was received before `until` is compared: tables and lake do not keep the same pace.
    What was retired, of the tables or of the tape, is compared no more.
    Also the other way round: a stored row that no payload of the tape explains is missing from the tape. Yields the
    dataset's name with the numbers.
    """
    wanted = {dataset.name: _kept(dataset) for dataset in (*MARKET, QUARANTINE)}
    derived: dict[str, list[pl.DataFrame]] = {name: [] for name in wanted}
    # An event may be stamped up to a day ahead of its receipt (a rule of its contract), never more.
    since = None if day is None else day - timedelta(days=1)
    sealed = {dataset.name: sealed_spans(warehouse, dataset.name) for dataset in (TAPE, *MARKET)}
    columns = [*(column.name for column in TAPE.wire_columns), "kafka_partition"]
    for batch in read_tape(lake, columns, since=since, rows=PAYLOADS_AT_ONCE):
        partitions = pl.DataFrame(pl.from_arrow(batch.select([*POSITION[:2], "kafka_partition"])))
        for name, rows in derive(batch, wanted).items():
            frame = pl.DataFrame(pl.from_arrow(rows)).filter(pl.col("received_time") < until)
            frame = _open(frame, "received_time", sealed[TAPE.name])
            frame = _open(frame, "event_time", sealed.get(name, ()))
            derived[name].append(frame.join(partitions, on=POSITION[:2], how="left"))
    quarantined = _quarantined(warehouse)
    for dataset in MARKET:
        stored = _stored(dataset, warehouse, day, until)
        for numbers in _rows(dataset, derived[dataset.name], quarantined, stored, day):
            yield dataset.name, numbers
    for numbers in _refused(derived[QUARANTINE.name], quarantined):
        yield QUARANTINE.name, numbers


def _open(frame: pl.DataFrame, clock: str, sealed: Sequence[SealedSpan]) -> pl.DataFrame:
    """Leave out the rows of sealed days, but no imported ones."""
    late = pl.lit(value=False)
    at = pl.col(clock).dt.timestamp("us")
    for venue, start, end in sealed:
        late = late | ((pl.col("venue") == venue) & (at >= start) & (at < end))
    return frame.filter(~late | pl.col("connection_id").str.starts_with(CONNECTION_PREFIX)) if sealed else frame


def _kept(dataset: Dataset) -> list[str]:
    """Name what is needed to find a row again: never its content, books would fill the memory."""
    if dataset is QUARANTINE:
        return ["venue", "received_time", *POSITION]
    return list(dict.fromkeys([*dataset.grain, "venue", "event_time", "received_time", *POSITION]))


def _refused(frames: list[pl.DataFrame], quarantined: pl.DataFrame) -> Iterator[Numbers]:
    if frames:
        refused = pl.concat(frames).unique(subset=POSITION)
        yield from _by_partition(refused, refused.join(quarantined, on=POSITION, how="anti"))


def _rows(
    dataset: Dataset, frames: list[pl.DataFrame], quarantined: pl.DataFrame, stored: pl.DataFrame, day: date | None
) -> Iterator[Numbers]:
    grain = list(dataset.grain)
    if not frames:
        if stored.height:
            yield f"{dataset.name} (no payload)", -1, 0, stored.height, stored.height, 0
        return
    on_tape = pl.concat(frames)
    if day is not None:
        on_tape = on_tape.filter(pl.col("event_time").dt.date() == day)
    # Refused by a rule and never stored: its place is quarantine. Stored once is stored, however often it came.
    events = on_tape.join(quarantined, on=POSITION, how="anti").unique(subset=grain)
    yield from _by_partition(events, events.join(stored, on=grain, how="anti"))
    twice = stored.height - stored.unique(subset=grain).height
    untaped = stored.join(on_tape.unique(subset=grain), on=grain, how="anti").height
    yield dataset.name, -1, stored.height, stored.height - untaped, untaped, twice


def _by_partition(events: pl.DataFrame, lost: pl.DataFrame) -> Iterator[Numbers]:
    for (venue, partition), rows in events.group_by("venue", "kafka_partition"):
        missing = lost.filter((pl.col("venue") == venue) & (pl.col("kafka_partition") == partition)).height
        yield tape_topic(str(venue)).name, int(str(partition)), rows.height, rows.height - missing, missing, 0


def _stored(dataset: Dataset, warehouse: Warehouse, day: date | None, until: datetime) -> pl.DataFrame:
    where = f"received_time < '{until:%Y-%m-%d %H:%M:%S.%f}' AND NOT {sealed_rows(dataset)} AND NOT {sealed_tape()}"
    if day is not None:
        start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - only its text is used
        where += f" AND event_time >= '{start}' AND event_time < '{start + timedelta(days=1)}'"
    sql = f"SELECT {', '.join(dataset.grain)} FROM {dataset.table} FINAL WHERE {where}"
    return pl.DataFrame(pl.from_arrow(warehouse.table(sql)))


def _quarantined(warehouse: Warehouse) -> pl.DataFrame:
    sql = f"SELECT DISTINCT {', '.join(POSITION)} FROM {QUARANTINE.table} FINAL"
    return pl.DataFrame(pl.from_arrow(warehouse.table(sql)))
