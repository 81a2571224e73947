"""The audit: what the tape says, what Kafka delivered, what the ledger closed and what the tables hold, compared.

Each comparison counts what is missing and what is there twice. Nothing is repaired here. Where a day was retired, its
seal stands for its rows.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from contracts.catalog import DELIVERED, MARKET
from contracts.dataset import Dataset
from contracts.gaps import GAPS
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.retention import retention_of
from contracts.seals import SEALS
from contracts.tape import TAPE, tape_topic
from quality.on_tape import Derive, compare_lake, compare_tape
from stores import broker
from stores.columns import content_hash
from stores.seals import read_seals, sealed_rows
from stores.settings import BrokerSettings, LakeSettings
from stores.tape_days import tape_days
from stores.warehouse import Warehouse, literal

_MODULUS = 1 << 64


@dataclass(frozen=True)
class AuditRow:
    """One comparison for one topic and partition (-1: all of them together).

    `dataset` names what was compared; it is empty where the comparison covers whatever the topic carries.
    """

    check: str
    topic: str
    partition: int
    expected: int
    found: int
    missing: int
    twice: int
    dataset: str = ""


@dataclass(frozen=True)
class AuditReport:
    """All comparisons."""

    rows: list[AuditRow]

    @property
    def missing(self) -> int:
        """Count what should be there and is not."""
        return sum(row.missing for row in self.rows)

    @property
    def twice(self) -> int:
        """Count what is there more than once."""
        return sum(row.twice for row in self.rows)

    @property
    def balanced(self) -> bool:
        """Tell whether nothing is missing and nothing is there twice."""
        return self.missing == 0 and self.twice == 0

    def of(self, dataset: str) -> "AuditReport":
        """Return what concerns one dataset: its own comparisons, and those that cover whatever a topic carries."""
        return AuditReport([row for row in self.rows if row.dataset in (dataset, "")])


@dataclass(frozen=True)
class AuditSources:
    """Where the audit looks. `derive` parses stretches of tape into rows of the datasets (sources.derive)."""

    broker: BrokerSettings
    warehouse: Warehouse
    lake: LakeSettings
    venues: tuple[str, ...]
    derive: Derive


def sinks(venues: Iterable[str]) -> dict[str, str]:
    """Name the sink of every topic that is delivered somewhere."""
    tapes = {tape_topic(venue).name: "lake.tape" for venue in venues}
    tables = {d.topic.name: f"warehouse.{d.table}" for d in DELIVERED if d.topic is not None}
    return {**tables, **tapes}


def audit(
    sources: AuditSources,
    *,
    day: date | None = None,
    wait_s: float = 90.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """Compare until everything balances or `wait_s` has passed; what still flows needs a moment to arrive.

    The audit is of the moment at which it began: what the venues send meanwhile is no part of it. With `day`, the tape
    is compared for events of that day alone; Kafka, ledger and tables always whole.
    """
    deadline = time.monotonic() + wait_s
    began = datetime.now(UTC)
    ends = {topic: broker.end_offsets(sources.broker, topic) for topic in sinks(sources.venues)}
    while True:
        over = time.monotonic() >= deadline
        rows = list(_deliveries(sources, ends, on_progress))
        # Parsing the tape is what takes long; before the rest balances it would only be done in vain.
        if over or AuditReport(rows).balanced:
            rows += _tape(sources, day, began, on_progress)
        report = AuditReport(rows)
        if report.balanced or over:
            return report
        on_progress(f"{report.missing} not there yet, {report.twice} twice; looking again")
        # What is under way arrives with the archive's next commit at the latest.
        time.sleep(min(1.0, max(deadline - time.monotonic(), 0)))


def _deliveries(
    sources: AuditSources, ends: Mapping[str, dict[int, int]], on_progress: Callable[[str], None]
) -> Iterable[AuditRow]:
    delivered = sinks(sources.venues)
    datasets = {d.topic.name: d for d in DELIVERED if d.topic is not None}
    for topic, sink in delivered.items():
        on_progress(f"{topic}: Kafka against ledger")
        for row in _kafka_to_ledger(sources, topic, sink, ends[topic]):
            yield replace(row, dataset=_concerned(topic))
    for topic, dataset in datasets.items():
        on_progress(f"{dataset.name}: ledger against table")
        for partition, *numbers in ledger_to_table(sources.warehouse, dataset, topic):
            yield replace(_row("ledger to table", topic, partition, *numbers), dataset=_concerned(topic))
    for topic, partition, *numbers in _ledger_to_quarantine(sources.warehouse):
        yield replace(_row("ledger to quarantine", topic, partition, *numbers), dataset=_concerned(topic))


def _tape(
    sources: AuditSources, day: date | None, began: datetime, on_progress: Callable[[str], None]
) -> Iterable[AuditRow]:
    on_progress("ledger against lake")
    for numbers in compare_lake(sources.lake, _lake_ledger(sources.warehouse), _retired_tape(sources)):
        yield AuditRow("ledger to lake", *numbers)
    on_progress("tape against tables")
    for dataset, numbers in compare_tape(sources.lake, sources.warehouse, sources.derive, day, began):
        yield AuditRow("tape to tables", *numbers, dataset="" if dataset == QUARANTINE.name else dataset)


def _concerned(topic: str) -> str:
    """Name the dataset of a topic; empty for tapes and for quarantine, where records of any may lie."""
    return next((d.name for d in (*MARKET, GAPS) if d.topic is not None and d.topic.name == topic), "")


def _row(check: str, topic: str, partition: int, expected: int, found: int, wanted_hash: int, hash_: int) -> AuditRow:
    # Equal counts with other content: a delivered row is no more what it was, so it counts as missing.
    altered = int(expected == found and wanted_hash % _MODULUS != hash_ % _MODULUS)
    return AuditRow(
        check, topic, partition, expected, found, max(expected - found, altered, 0), max(found - expected, 0)
    )


def _kafka_to_ledger(sources: AuditSources, topic: str, sink: str, ends: dict[int, int]) -> Iterable[AuditRow]:
    current = broker.topic_id(sources.broker, topic)
    found = sources.warehouse.rows(
        f"SELECT topic_id, kafka_partition, first_offset, last_offset FROM {LEDGER.table} FINAL "
        "WHERE sink = {sink:String} AND topic = {topic:String} ORDER BY topic_id, kafka_partition, first_offset",
        {"sink": sink, "topic": topic},
    )
    ranges: dict[tuple[str, int], list[tuple[int, int]]] = {(current, p): [] for p in ends}
    for topic_id, partition, first, last in found:
        ranges.setdefault((str(topic_id), int(partition)), []).append((int(first), int(last)))
    by_partition: dict[int, list[int]] = {}
    for (topic_id, partition), closed in ranges.items():
        # Of a topic that is gone nobody knows the end; what the ledger itself leaves out still shows.
        end = ends.get(partition, 0) if topic_id == current else max(last for _, last in closed) + 1
        numbers = covered(closed, end)
        sums = by_partition.setdefault(partition, [0, 0, 0, 0])
        for index, value in enumerate((end, *numbers)):
            sums[index] += value
    for partition, (end, held, missing, twice) in sorted(by_partition.items()):
        yield AuditRow("kafka to ledger", topic, partition, end, held, missing, twice)


def covered(ranges: Iterable[tuple[int, int]], end: int) -> tuple[int, int, int]:
    """Return how many offsets inclusive ranges hold, how many below `end` they leave out, how many they hold twice."""
    held = twice = missing = reached = 0
    for first, last in sorted(ranges):
        held += last - first + 1
        missing += max(min(first, end) - reached, 0)
        twice += max(min(reached, last + 1) - first, 0)
        reached = max(reached, last + 1)
    return held, missing + max(end - reached, 0), twice


def ledger_to_table(warehouse: Warehouse, dataset: Dataset, topic: str) -> list[tuple[int, int, int, int, int]]:
    """Return by partition rows and hashes, by the ledger, and as the table and the seals of retired days have them."""
    # A row that took another's place is not new: the ledger counted its grain with the first one.
    sql = f"""
        SELECT partition, sum(wanted), sum(held), sum(wanted_hash), sum(held_hash) FROM
        (
            SELECT kafka_partition AS partition, stored_count AS wanted, 0 AS held,
                content_hash AS wanted_hash, toUInt64(0) AS held_hash
            FROM {LEDGER.table} FINAL WHERE sink = {{sink:String}}
            UNION ALL
            SELECT kafka_partition, 0, 1, toUInt64(0), {content_hash(dataset)}
            FROM {dataset.table} FINAL
            WHERE {"topic = {topic:String}" if dataset is QUARANTINE else f"NOT {sealed_rows(dataset)}"}
            {_sealed(dataset)}
        )
        GROUP BY partition ORDER BY partition"""
    found = warehouse.rows(sql, {"sink": f"warehouse.{dataset.table}", "topic": topic})
    return [(int(p), int(w), int(h), int(wh), int(hh)) for p, w, h, wh, hh in found]


def _sealed(dataset: Dataset) -> str:
    """Write the part of a query that counts in what seals stand for."""
    if retention_of(dataset) is None:
        return ""
    return (
        f"UNION ALL SELECT kafka_partition, 0, row_count, toUInt64(0), content_hash FROM {SEALS.table}_current "
        f"WHERE dataset = {literal(dataset.name)}"
    )


def _ledger_to_quarantine(warehouse: Warehouse) -> list[tuple[str, int, int, int, int, int]]:
    found = warehouse.rows(
        f"""
        SELECT topic, partition, sum(wanted), sum(held) FROM
        (
            SELECT topic, kafka_partition AS partition, quarantined_count AS wanted, 0 AS held
            FROM {LEDGER.table} FINAL
            UNION ALL
            SELECT topic, kafka_partition, 0, 1 FROM system_quarantine FINAL WHERE topic != 'system.quarantine'
        )
        GROUP BY topic, partition HAVING sum(wanted) > 0 OR sum(held) > 0 ORDER BY topic, partition"""
    )
    return [(str(t), int(p), int(w), int(h), 0, 0) for t, p, w, h in found]


def _lake_ledger(warehouse: Warehouse) -> list[tuple[str, str, int, int, int]]:
    found = warehouse.rows(
        f"SELECT topic, topic_id, kafka_partition, sum(stored_count), sum(content_hash) FROM {LEDGER.table} FINAL "
        "WHERE sink = 'lake.tape' GROUP BY topic, topic_id, kafka_partition ORDER BY ALL"
    )
    return [(str(t), str(i), int(p), int(n), int(h) % _MODULUS) for t, i, p, n, h in found]


def _retired_tape(sources: AuditSources) -> list[tuple[str, int, int, int]]:
    """Return what seals stand for: topic id, partition, count, hash. A day that is still there stands for itself."""
    seals = read_seals(sources.warehouse, "dataset = {dataset:String}", {"dataset": TAPE.name})
    there = {(one.venue, one.day) for one in tape_days(sources.lake)} if seals else set()
    return [
        (one.topic_id, one.kafka_partition, one.row_count, one.content_hash)
        for one in seals
        if (one.venue, one.day) not in there
    ]
