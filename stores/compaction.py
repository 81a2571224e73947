"""Few large files instead of many small ones: the lake's, by OPTIMIZE and VACUUM, and the warehouse's parts.

Nothing that is read changes: a reader sees the files of before or those of after, and old files stay for a week. Each
partition is a commit of its own, so that a run that is killed has done what it had done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from contracts.tape import TAPE
from stores.lake import RECEIVED_DATE, open_tape
from stores.settings import LakeSettings
from stores.tape_days import tape_days
from stores.warehouse import Warehouse, literal

# Readers of a version that was replaced have a week: a rebuild takes minutes.
VACUUM_AFTER_H = 7 * 24
# A part that is younger may get company: its day is still being written.
QUIET_S = 3600


@dataclass(frozen=True)
class Size:
    """How many files or parts hold how many rows in how many bytes."""

    files: int
    rows: int
    bytes: int

    @property
    def bytes_a_million(self) -> int:
        """What a million rows cost."""
        return round(self.bytes * 1_000_000 / self.rows) if self.rows else 0


@dataclass(frozen=True)
class Compactable:
    """A partition in more files than it needs; the tape's have a venue, and their days are those of receipt."""

    dataset: str
    partition: str
    size: Size
    venue: str = ""


def lake_size(lake: LakeSettings) -> Size:
    """Return what the tape's table consists of now."""
    days = tape_days(lake)
    return Size(sum(one.files for one in days), sum(one.rows for one in days), sum(one.bytes for one in days))


def lake_work(lake: LakeSettings, before: date) -> list[Compactable]:
    """Return the venues' days of receipt before that day which lie in several files."""
    return [
        Compactable(TAPE.name, one.day.isoformat(), Size(one.files, one.rows, one.bytes), one.venue)
        for one in tape_days(lake)
        if one.files > 1 and one.day < before
    ]


def compact_lake(lake: LakeSettings, work: Compactable) -> None:
    """Put a day's files together; what is archived meanwhile is in the way of nothing."""
    table = open_tape(lake)
    if table is not None:
        table.optimize.compact(
            partition_filters=[("venue", "=", work.venue), (RECEIVED_DATE, "=", work.partition)], max_concurrent_tasks=1
        )


def vacuum_lake(lake: LakeSettings, *, after_h: int = VACUUM_AFTER_H, dry_run: bool = False) -> int:
    """Delete files that no version of the last `after_h` hours has, and return how many they are."""
    table = open_tape(lake)
    if table is None:
        return 0
    return len(table.vacuum(after_h, dry_run=dry_run, enforce_retention_duration=False))


def warehouse_sizes(warehouse: Warehouse) -> dict[str, Size]:
    """Return by table what it consists of now."""
    found = warehouse.rows(
        "SELECT table, count(), sum(rows), sum(bytes_on_disk) FROM system.parts "
        "WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"
    )
    return {str(table): Size(int(parts), int(rows), int(size)) for table, parts, rows, size in found}


def warehouse_work(warehouse: Warehouse, before: date, *, quiet_s: int = QUIET_S) -> list[Compactable]:
    """Return the days and months that are over, lie in several parts, and were not written to for a while."""
    found = warehouse.rows(
        "SELECT table, partition, partition_id, count() AS parts, sum(rows), sum(bytes_on_disk) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND match(partition_id, '^[0-9]{6,8}$') "
        "AND partition_id < if(length(partition_id) = 8, {day:String}, {month:String}) "
        "GROUP BY table, partition, partition_id "
        "HAVING parts > 1 AND max(modification_time) <= now() - toIntervalSecond({quiet_s:UInt32}) "
        "ORDER BY table, partition_id",
        {"day": f"{before:%Y%m%d}", "month": f"{before:%Y%m}", "quiet_s": quiet_s},
    )
    return [
        Compactable(str(table), str(identity), Size(int(parts), int(rows), int(size)))
        for table, _, identity, parts, rows, size in found
    ]


def merge_parts(warehouse: Warehouse, work: Compactable) -> None:
    """Merge a partition's parts into one; inserts and readers go on meanwhile."""
    warehouse.run(f"OPTIMIZE TABLE {work.dataset} PARTITION ID {literal(work.partition)} FINAL")


def compact(
    warehouse: Warehouse,
    lake: LakeSettings,
    today: date,
    on_progress: Callable[[str], None] = lambda _: None,
    *,
    quiet_s: int = QUIET_S,
) -> list[Compactable]:
    """Compact everything that is over, one partition after the other, and return what was worked on."""
    done = []
    for one in lake_work(lake, today):
        on_progress(f"{one.dataset} {one.venue} {one.partition}: {one.size.files} files")
        compact_lake(lake, one)
        done.append(one)
    vacuum_lake(lake)
    for one in warehouse_work(warehouse, today, quiet_s=quiet_s):
        on_progress(f"{one.dataset} {one.partition}: {one.size.files} parts")
        merge_parts(warehouse, one)
        done.append(one)
    return done
