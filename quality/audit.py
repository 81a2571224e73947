"""The audit: what the tape says, what Kafka delivered, what the ledger closed and what the tables hold, compared.

Each comparison counts what is missing and what is there twice. Nothing is repaired here.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from contracts.catalog import DATASETS
from contracts.ledger import LEDGER
from contracts.tape import TAPE, tape_topic
from quality.on_tape import Derive, compare_lake, compare_tape
from stores import broker
from stores.columns import content_hash
from stores.settings import BrokerSettings, LakeSettings
from stores.warehouse import Warehouse

_MODULUS = 1 << 64


@dataclass(frozen=True)
class AuditRow:
    """One comparison for one topic and partition (-1: all of them together)."""

    check: str
    topic: str
    partition: int
    expected: int
    found: int
    missing: int
    twice: int


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
    tables = {d.topic.name: f"warehouse.{d.table}" for d in DATASETS if d.topic is not None and d is not TAPE}
    return {**tables, **tapes}


def audit(
    sources: AuditSources,
    *,
    day: date | None = None,
    wait_s: float = 90.0,
    on_progress: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """Compare until everything balances or `wait_s` has passed; what still flows needs a moment to arrive.

    With `day`, the tape is compared for events of that day alone; Kafka, ledger and tables always whole.
    """
    deadline = time.monotonic() + wait_s
    while True:
        over = time.monotonic() >= deadline
        rows = list(_deliveries(sources, on_progress))
        # Parsing the tape is what takes long; before the rest balances it would only be done in vain.
        if over or AuditReport(rows).balanced:
            rows += _tape(sources, day, on_progress)
        report = AuditReport(rows)
        if report.balanced or over:
            return report
        on_progress(f"{report.missing} not there yet, {report.twice} twice; looking again")
        # What is under way arrives with the archive's next commit at the latest.
        time.sleep(min(1.0, max(deadline - time.monotonic(), 0)))


def _deliveries(sources: AuditSources, on_progress: Callable[[str], None]) -> Iterable[AuditRow]:
    delivered = sinks(sources.venues)
    ends = {topic: broker.end_offsets(sources.broker, topic) for topic in delivered}
    for topic, sink in delivered.items():
        on_progress(f"{topic}: Kafka against ledger")
        yield from _kafka_to_ledger(sources, topic, sink, ends[topic])
    for dataset in (d for d in DATASETS if d.topic is not None and d is not TAPE):
        on_progress(f"{dataset.name}: ledger against table")
        assert dataset.topic is not None
        for partition, *numbers in _ledger_to_table(sources.warehouse, dataset.name):
            yield _row("ledger to table", dataset.topic.name, partition, *numbers)
    for topic, partition, *numbers in _ledger_to_quarantine(sources.warehouse):
        yield _row("ledger to quarantine", topic, partition, *numbers)


def _tape(sources: AuditSources, day: date | None, on_progress: Callable[[str], None]) -> Iterable[AuditRow]:
    on_progress("ledger against lake")
    for topic, partition, *numbers in compare_lake(sources.lake, _lake_ledger(sources.warehouse)):
        yield AuditRow("ledger to lake", topic, partition, *numbers)
    on_progress("tape against tables")
    for topic, partition, *numbers in compare_tape(sources.lake, sources.warehouse, sources.derive, day):
        yield AuditRow("tape to tables", topic, partition, *numbers)


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


def _ledger_to_table(warehouse: Warehouse, name: str) -> list[tuple[int, int, int, int, int]]:
    dataset = next(d for d in DATASETS if d.name == name)
    has_displacement = "displaced_hash" in dataset.column_index
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
            {"" if has_displacement else "WHERE topic = {topic:String}"}
        )
        GROUP BY partition ORDER BY partition"""
    assert dataset.topic is not None
    found = warehouse.rows(sql, {"sink": f"warehouse.{dataset.table}", "topic": dataset.topic.name})
    return [(int(p), int(w), int(h), int(wh), int(hh)) for p, w, h, wh, hh in found]


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
