"""Retire days that are over their time: sealed first, dropped by a later run. Knows nothing of Dagster.

Whatever a run was at when it was killed, the next one goes on: a day that is sealed and still there is dropped, and
nothing is dropped without a seal.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from assets.retention_backup import backup_of, export_day, exported_rows
from assets.retention_conditions import day_span, why_kept
from assets.thresholds import RetentionWishes
from contracts.errors import TerminalError
from contracts.imports import IMPORT
from contracts.retention import RETENTIONS, Cut, Retention, tape_retention
from contracts.seals import NO_PARTITION
from contracts.tape import TAPE
from stores.columns import content_hash
from stores.seals import DROPPED, SEALED, Seal, dropped, read_seals, retired_rows, sealed_rows, write_seals
from stores.settings import LakeSettings
from stores.tape_days import drop_tape_day, newest_stored, tape_days, tape_parts
from stores.warehouse import Warehouse, literal

SECOND = 1_000_000
_HASHES = 1 << 64
# Streams ask for the seals every half minute, and a write that began before may wait for the warehouse for two and a
# half minutes: after this time nothing that did not know of a seal is on its way.
SETTLE = timedelta(minutes=10)


@dataclass(frozen=True)
class Retirement:
    """A partition of a table, or a venue's day of the tape, that is over its time.

    `state` is kept (for the reason given), due, sealed or dropped; `rows` are those the rule is about.
    """

    dataset: str
    partition: str
    days: tuple[date, ...]
    rows: int
    state: str
    rule: str
    reason: str = ""


@dataclass(frozen=True)
class Places:
    """Where the data is."""

    warehouse: Warehouse
    lake: LakeSettings


@dataclass(frozen=True)
class Part:
    """A partition that is over its time. `venue` is set for the tape, whose partitions are a venue's."""

    rule: Retention
    name: str
    days: tuple[date, ...]
    rows: int
    venue: str = ""

    def told(self, state: str, reason: str = "") -> Retirement:
        """Return what is said of it."""
        name = f"{self.venue} {self.name}".strip()
        return Retirement(self.rule.dataset.name, name, self.days, self.rows, state, self.rule.rule, reason)


def plan(places: Places, wishes: RetentionWishes, now: datetime) -> list[Retirement]:
    """Return what a run would do now, and change nothing."""
    standing = read_seals(places.warehouse)
    told = [_told_of_sealed(seals, now) for seals in _sealed_parts(standing).values()]
    return told + [part.told(*_judged(places, part, wishes)) for part in _parts(places, wishes, now, standing)]


def retire(
    places: Places, wishes: RetentionWishes, now: datetime, on_progress: Callable[[str], None] = lambda _: None
) -> list[Retirement]:
    """Drop what was sealed before, seal what is due, and return what was done and what had to be kept."""
    told = []
    for (name, partition), seals in _sealed_parts(read_seals(places.warehouse)).items():
        outcome = _told_of_sealed(seals, now)
        if outcome.state == "due":
            on_progress(f"{name} {partition}: dropping")
            outcome = _drop(places, seals, now)
        told.append(outcome)
    for part in _parts(places, wishes, now, read_seals(places.warehouse)):
        state, reason = _judged(places, part, wishes)
        if state == "due":
            on_progress(f"{part.rule.dataset.name} {part.name}: sealing")
            write_seals(places.warehouse, _seals(places, part, wishes), now)
            state, reason = SEALED, "a later run drops it"
        told.append(part.told(state, reason))
    return told


def export(
    places: Places, wishes: RetentionWishes, now: datetime, on_progress: Callable[[str], None] = lambda _: None
) -> None:
    """Write the exports of the days that wait for nothing else; TerminalError when there is no folder for them."""
    if wishes.backup is None:
        raise TerminalError("there is no folder to export to; set TAPEHOUSE_RETENTION_BACKUP to one")
    for part in _parts(places, wishes, now, read_seals(places.warehouse)):
        if why_kept(places.warehouse, part.rule, part.days, part.venue) or not _without_backup(places, part, wishes):
            continue
        for day in part.days:
            file = backup_of(part.rule.dataset, day, part.venue, wishes.backup)
            rows = export_day(places.warehouse, places.lake, part.rule, day, part.venue, file)
            on_progress(f"{file}: {rows:,} rows")


def rules(wishes: RetentionWishes) -> list[Retention]:
    """Return the rules that hold: those of the contracts, and the user's for the tape."""
    return [*RETENTIONS, *([tape_retention(wishes.tape_days)] if wishes.tape_days else [])]


def _judged(places: Places, part: Part, wishes: RetentionWishes) -> tuple[str, str]:
    reason = why_kept(places.warehouse, part.rule, part.days, part.venue)
    reason = reason or _without_backup(places, part, wishes)
    return ("kept", reason) if reason else ("due", "")


def _parts(places: Places, wishes: RetentionWishes, now: datetime, standing: Sequence[Seal]) -> list[Part]:
    """Return what is over its time and not sealed, oldest first."""
    found: list[Part] = []
    for rule in rules(wishes):
        if rule.dataset is TAPE:
            found += _of_tape(places, rule, now, wishes, standing)
        else:
            found += _of_table(places, rule, now, wishes)
    return found


def _of_tape(
    places: Places, rule: Retention, now: datetime, wishes: RetentionWishes, standing: Sequence[Seal]
) -> list[Part]:
    before = now - timedelta(days=rule.days)
    spared = {(one.venue, one.day) for one in standing if one.dataset == TAPE.name}
    kept = {IMPORT, *wishes.keep_venues}
    old = [one for one in tape_days(places.lake) if one.day < before.date() and one.venue not in kept]
    return [
        Part(rule, one.day.isoformat(), (one.day,), one.rows, venue=one.venue)
        for one in old
        if (one.venue, one.day) not in spared and newest_stored(places.lake, one.venue, one.day) < before
    ]


def _partition(rule: Retention) -> str:
    """Return the SQL expression of a row's partition, as a number or text that DROP PARTITION takes."""
    return f"toString(toDate({rule.clock}))" if rule.cut is Cut.DAY else f"toString(toYYYYMM({rule.clock}))"


def _of_table(places: Places, rule: Retention, now: datetime, wishes: RetentionWishes) -> list[Part]:
    before = now - timedelta(days=rule.days)
    start = before.date() if rule.cut is Cut.DAY else before.date().replace(day=1)
    rows = places.warehouse.rows(
        f"SELECT {_partition(rule)} AS part, arraySort(groupUniqArray(toDate({rule.clock}))), count(), "
        f"toUnixTimestamp64Micro(max({rule.stored_clock})) AS newest FROM {rule.dataset.table} "
        f"WHERE {rule.clock} < toDateTime64({{start:Date}}, 6, 'UTC') AND {_mine(rule, wishes)} GROUP BY part "
        "HAVING newest < {before:Int64} ORDER BY part",
        {"start": start, "before": int(before.timestamp() * SECOND)},
    )
    return [Part(rule, str(part), tuple(days), int(count)) for part, days, count, _ in rows]


def _mine(rule: Retention, wishes: RetentionWishes) -> str:
    """Return the SQL condition of the rows that the rule is about: not sealed, and of no venue that the user keeps."""
    mine = f"{retired_rows(rule)} AND NOT {sealed_rows(rule.dataset)}"
    venues = ", ".join(literal(venue) for venue in wishes.keep_venues)
    return f"{mine} AND venue NOT IN ({venues})" if venues else mine


def _without_backup(places: Places, part: Part, wishes: RetentionWishes) -> str:
    if wishes.backup is None:
        return ""
    exported = 0
    for day in part.days:
        file = backup_of(part.rule.dataset, day, part.venue, wishes.backup)
        if not file.is_file():
            return f"its export {file} is missing: tapehouse retention --export"
        exported += exported_rows(file)
    rows = sum(one.row_count for one in _held(places, part, _mine(part.rule, wishes)))
    return "" if exported >= rows else f"its exports hold {exported:,} of {rows:,} rows"


def _seals(places: Places, part: Part, wishes: RetentionWishes) -> list[Seal]:
    """Count what is there, by day, venue and partition of the topic."""
    backup = "" if wishes.backup is None else str(wishes.backup / part.rule.dataset.name)
    return [replace(one, backup=backup) for one in _held(places, part, _mine(part.rule, wishes))]


def _held(places: Places, part: Part, mine: str) -> list[Seal]:
    rule, name = part.rule, part.rule.dataset.name
    if rule.dataset is TAPE:
        (day,) = part.days
        return [
            Seal(name, day, part.venue, one.topic_id, one.kafka_partition, one.rows, one.content_hash, rule.rule)
            for one in tape_parts(places.lake, part.venue, day)
        ]
    delivered = "topic_id, kafka_partition" if rule.delivered else f"'', {NO_PARTITION}"
    found = places.warehouse.rows(
        f"SELECT toDate({rule.clock}) AS day, venue, {delivered}, count(), sum({content_hash(rule.dataset)}) "
        f"FROM {rule.dataset.table} WHERE {day_span(rule.clock, part.days)} AND {mine} GROUP BY ALL ORDER BY ALL "
        # FINAL where the table has any.
        "SETTINGS final = 1"
    )
    return [
        Seal(name, day, str(venue), str(topic), int(number), int(count), int(digest) % _HASHES, rule.rule)
        for day, venue, topic, number, count, digest in found
    ]


def _sealed_parts(standing: Iterable[Seal]) -> dict[tuple[str, str], list[Seal]]:
    """Return the seals whose rows are not yet dropped, by dataset and partition."""
    found: dict[tuple[str, str], list[Seal]] = {}
    for one in standing:
        if one.state == SEALED:
            found.setdefault((one.dataset, _part_of(one)), []).append(one)
    return found


def _rule_of(name: str) -> Retention:
    rule = next((one for one in (*RETENTIONS, tape_retention(1)) if one.dataset.name == name), None)
    if rule is None:
        raise TerminalError(f"a seal names the dataset {name!r}, which no rule retires; see contracts/retention.py")
    return rule


def _part_of(seal: Seal) -> str:
    rule = _rule_of(seal.dataset)
    if rule.dataset is TAPE:
        return f"{seal.venue} {seal.day}"
    return seal.day.isoformat() if rule.cut is Cut.DAY else f"{seal.day:%Y%m}"


def _told_of_sealed(seals: Sequence[Seal], now: datetime) -> Retirement:
    days = tuple(sorted({one.day for one in seals}))
    settled = now.timestamp() * SECOND >= max(one.known_time for one in seals) + SETTLE.total_seconds() * SECOND
    reason = "it is sealed and to be dropped" if settled else "sealed a moment ago: writes may still be on their way"
    rows = sum(one.row_count for one in seals)
    first = seals[0]
    return Retirement(first.dataset, _part_of(first), days, rows, "due" if settled else SEALED, first.rule, reason)


def _drop(places: Places, seals: Sequence[Seal], now: datetime) -> Retirement:
    """Drop a partition as it was sealed; what came in between is sealed first, and waits for the next run."""
    told = replace(_told_of_sealed(seals, now), state=DROPPED, reason="")
    rule = _rule_of(told.dataset)
    part = Part(rule, told.partition, told.days, told.rows, venue=seals[0].venue if rule.dataset is TAPE else "")
    of = ", ".join(f"({literal(v)}, toDate({literal(str(d))}))" for v, d in sorted({(s.venue, s.day) for s in seals}))
    mine = f"{retired_rows(rule)} AND (toString(venue), toDate({rule.clock})) IN ({of})"
    held = {one.part: one for one in _held(places, part, mine)}
    changed = _changed(held, {one.part: one for one in seals})
    if changed:
        write_seals(places.warehouse, changed, now)
        return replace(told, state=SEALED, reason="rows came after it was sealed; they are sealed now")
    if held and rule.dataset is TAPE:
        drop_tape_day(places.lake, part.venue, part.days[0])
    elif held:
        _drop_rows(places.warehouse, rule, part, mine)
    write_seals(places.warehouse, dropped(seals), now)
    return told


Key = tuple[date, str, str, int]


def _changed(held: Mapping[Key, Seal], sealed: Mapping[Key, Seal]) -> list[Seal]:
    """Return the seals to be made anew: fewer rows are what a delete that was interrupted has left, more are news."""
    found = []
    for key, one in held.items():
        before = sealed.get(key)
        if before is None:
            found.append(one)
        elif (one.row_count, one.content_hash) != (before.row_count, before.content_hash) and (
            one.row_count >= before.row_count
        ):
            found.append(replace(one, backup=before.backup, revision=before.revision + 1))
    return found


def _drop_rows(warehouse: Warehouse, rule: Retention, part: Part, mine: str) -> None:
    table, partition = rule.dataset.table, part.name if rule.cut is Cut.MONTH else literal(part.name)
    inside = f"{_partition(rule)} = {literal(part.name)}"
    if warehouse.value(
        f"SELECT count() FROM {table} WHERE {inside} AND NOT ({day_span(rule.clock, part.days)} AND {mine})"
    ):
        # Something in the partition stays, such as imported history.
        warehouse.run(
            f"ALTER TABLE {table} DELETE WHERE {day_span(rule.clock, part.days)} AND {mine} SETTINGS mutations_sync = 2"
        )
        return
    # ClickHouse refuses to drop a large partition, lest that be a mistake; here it is sealed.
    warehouse.run(f"ALTER TABLE {table} DROP PARTITION {partition} SETTINGS max_partition_size_to_drop = 0")
