"""The seals of retired days as they lie in the warehouse, and how others learn which days are sealed."""

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock

import pyarrow as pa

from contracts.dataset import Dataset
from contracts.errors import TerminalError
from contracts.imports import CONNECTION_PREFIX, IMPORTED_SPACES
from contracts.retention import Retention, retention_of
from contracts.seals import SEALS
from contracts.tape import TAPE
from stores.arrow import arrow_schema
from stores.warehouse import Warehouse, literal, patiently

DAY = 86_400_000_000
SEALED, DROPPED = "sealed", "dropped"
# Venue, first microsecond, first microsecond after it: days that follow each other are one span.
SealedSpan = tuple[str, int, int]


@dataclass(frozen=True)
class Seal:
    """What a day of a dataset held, of one venue and partition; `known_time` in microseconds."""

    dataset: str
    day: date
    venue: str
    topic_id: str
    kafka_partition: int
    row_count: int
    content_hash: int
    rule: str
    backup: str = ""
    state: str = SEALED
    revision: int = 1
    known_time: int = 0

    @property
    def part(self) -> tuple[date, str, str, int]:
        """What the seal is of, within its dataset."""
        return self.day, self.venue, self.topic_id, self.kafka_partition


def read_seals(warehouse: Warehouse, where: str = "1", parameters: dict[str, object] | None = None) -> list[Seal]:
    """Return how the seals stand, by dataset and day."""
    found = warehouse.rows(
        "SELECT dataset, toDate(day_time), venue, topic_id, kafka_partition, row_count, content_hash, rule, backup, "
        f"state, revision, toUnixTimestamp64Micro(known_time) FROM {SEALS.table}_current WHERE {where} "
        "ORDER BY dataset, day_time, venue, topic_id, kafka_partition",
        parameters,
    )
    return [Seal(*row) for row in found]


def write_seals(warehouse: Warehouse, seals: Sequence[Seal], now: datetime) -> None:
    """Write seals as the next step of each."""
    if not seals:
        return
    rows = []
    for one in seals:
        row = asdict(one)
        rows.append(row | {"day_time": datetime.combine(row.pop("day"), clock(), UTC), "known_time": now})
    table = pa.Table.from_pylist(rows, schema=arrow_schema(SEALS.columns))
    warehouse.insert(SEALS.table, table, token=f"{SEALS.name}:{secrets.token_hex(8)}")


def dropped(seals: Iterable[Seal]) -> list[Seal]:
    """Return the next step of seals whose rows are gone."""
    return [replace(one, state=DROPPED, revision=one.revision + 1) for one in seals]


def sealed_datasets(warehouse: Warehouse, day: date) -> set[str]:
    """Name the datasets of which that day is sealed."""
    found = warehouse.rows(
        f"SELECT DISTINCT dataset FROM {SEALS.table} WHERE day_time = toDateTime64({{day:Date}}, 6, 'UTC')",
        {"day": day},
    )
    return {str(name) for (name,) in found}


class TapeRetiredError(TerminalError):
    """A day can't be made again: what it is made from was retired."""


def require_tape(warehouse: Warehouse, day: date) -> None:
    """Raise TapeRetiredError unless the tape is there from the day before on: so far back a rebuild reads."""
    last = warehouse.value(
        f"SELECT toDate(max(day_time)) FROM {SEALS.table} WHERE dataset = {{tape:String}}", {"tape": TAPE.name}
    )
    if last >= day - timedelta(days=1):
        raise TapeRetiredError(
            f"{day} can't be rebuilt: the tape was retired up to {last} (setting tape_retention_days; "
            "tapehouse retention --record shows it); valid: a day at least two days later"
        )


def sealed_spans(warehouse: Warehouse, dataset: str) -> tuple[SealedSpan, ...]:
    """Return what is sealed of a dataset, in order; nothing is the usual answer, and cheap."""
    found = warehouse.rows(
        f"SELECT DISTINCT venue, toUnixTimestamp64Micro(day_time) AS at FROM {SEALS.table} "
        "WHERE dataset = {dataset:String} ORDER BY venue, at",
        {"dataset": dataset},
    )
    spans: list[SealedSpan] = []
    for venue, start in found:
        if spans and spans[-1][0] == venue and spans[-1][2] == start:
            spans[-1] = (spans[-1][0], spans[-1][1], start + DAY)
        else:
            spans.append((str(venue), int(start), int(start) + DAY))
    return tuple(spans)


class SealedDays:
    """What is sealed of a dataset, asked for again when the answer is older than `every_s`. One thread's."""

    def __init__(self, warehouse: Warehouse, dataset: Dataset, every_s: float = 30.0) -> None:
        self._warehouse = warehouse
        self._dataset = dataset
        self._every_s = every_s
        self._asked = float("-inf")
        self._spans: tuple[SealedSpan, ...] = ()

    def spans(self) -> tuple[SealedSpan, ...]:
        """Return what is sealed; what no rule retires is never asked for."""
        if retention_of(self._dataset) is None or time.monotonic() - self._asked < self._every_s:
            return self._spans
        self._spans = patiently(lambda: sealed_spans(self._warehouse, self._dataset.name))
        self._asked = time.monotonic()
        return self._spans


def sealed_rows(dataset: Dataset) -> str:
    """Return the SQL condition of the rows of a table that seals stand for; no row's where none can be sealed."""
    rule = retention_of(dataset)
    if rule is None:
        return "0"
    days = f"SELECT toString(venue), toDate(day_time) FROM {SEALS.table} WHERE dataset = {literal(dataset.name)}"
    return f"({retired_rows(rule)} AND (toString(venue), toDate({rule.clock})) IN ({days}))"


def retired_rows(rule: Retention) -> str:
    """Return the SQL condition of the rows that a rule is about. Imported history has its own: it is kept."""
    imported = [f"startsWith(id_space, {literal(space)})" for space in IMPORTED_SPACES]
    if rule.knows_imports:
        imported.append(f"startsWith(connection_id, {literal(CONNECTION_PREFIX)})")
    return f"NOT ({' OR '.join(imported)})"


def sealed_tape(column: str = "received_time") -> str:
    """Return the SQL condition of rows whose payload was received on a day of which the tape is sealed."""
    days = f"SELECT toString(venue), toDate(day_time) FROM {SEALS.table} WHERE dataset = {literal(TAPE.name)}"
    imported = f"startsWith(connection_id, {literal(CONNECTION_PREFIX)})"
    return f"(NOT {imported} AND (toString(venue), toDate({column})) IN ({days}))"
