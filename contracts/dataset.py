"""What a dataset is: its columns, rules, grain, topic and table, as plain values."""

from dataclasses import dataclass, field
from enum import Enum


class Type(Enum):
    """Logical column types; every room maps them to its own."""

    STRING = "string"
    BYTES = "bytes"
    INT32 = "int32"
    INT64 = "int64"
    UINT64 = "uint64"
    TIMESTAMP = "timestamp"  # microseconds since the epoch, UTC


@dataclass(frozen=True)
class Decimal:
    """An exact decimal: `precision` digits in all, `scale` of them after the point."""

    precision: int
    scale: int


@dataclass(frozen=True)
class ListOf:
    """Any number of exact decimals in an order."""

    item: Decimal


class Role(Enum):
    """Whether a column says what happened or how we came to know it."""

    CONTENT = "content"  # covered by the hashes that compare histories
    PROVENANCE = "provenance"


class Origin(Enum):
    """Who fills a column."""

    PRODUCER = "producer"  # part of the record on the wire
    PLATFORM = "platform"  # added when the row is stored


class Clock(Enum):
    """Whose clock a time was read from."""

    EVENT = "event"  # the venue's
    RECEIVED = "received"  # the collector's, when the payload arrived
    INGESTED = "ingested"  # the streaming core's, when the row was stored


@dataclass(frozen=True)
class Column:
    """One column. `default` is what readers of records written before it existed see."""

    name: str
    type: Type | Decimal | ListOf
    doc: str
    unit: str = ""
    role: Role = Role.CONTENT
    origin: Origin = Origin.PRODUCER
    clock: Clock | None = None
    symbols: tuple[str, ...] = ()  # the only values allowed; empty: any
    repeats: bool = False  # few distinct values: stores may dictionary-encode it
    default: str | int | None = None


@dataclass(frozen=True)
class Positive:
    """The column is greater than zero."""

    reason: str
    column: str


@dataclass(frozen=True)
class NotNegative:
    """The column is zero or more."""

    reason: str
    column: str


@dataclass(frozen=True)
class EachPositive:
    """Every item of the column is greater than zero."""

    reason: str
    column: str


@dataclass(frozen=True)
class EachNotNegative:
    """Every item of the column is zero or more."""

    reason: str
    column: str


@dataclass(frozen=True)
class SameLength:
    """The column has as many items as the column `other`."""

    reason: str
    column: str
    other: str


@dataclass(frozen=True)
class AtMost:
    """The column does not exceed `limit` (a decimal literal)."""

    reason: str
    column: str
    limit: str


@dataclass(frozen=True)
class ProductAtMost:
    """The column times the column `other` does not exceed `limit`."""

    reason: str
    column: str
    other: str
    limit: str


@dataclass(frozen=True)
class OneOf:
    """The column holds one of `values`."""

    reason: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class NotEmpty:
    """The column has at least one and at most `longest` characters."""

    reason: str
    column: str
    longest: int


@dataclass(frozen=True)
class NotBefore:
    """The time is at or after `instant` (microseconds since the epoch)."""

    reason: str
    column: str
    instant: int


@dataclass(frozen=True)
class NotAheadOf:
    """The time is at most `tolerance_s` seconds ahead of the time in column `other`."""

    reason: str
    column: str
    other: str
    tolerance_s: int


Rule = (
    Positive
    | NotNegative
    | EachPositive
    | EachNotNegative
    | SameLength
    | AtMost
    | ProductAtMost
    | OneOf
    | NotEmpty
    | NotBefore
    | NotAheadOf
)


class Framing(Enum):
    """How many events a record in Kafka carries. Readers tell by the record itself: a topic may hold both."""

    RECORD = "record"  # one, in Avro
    BATCH = "batch"  # up to BATCH_EVENTS of one key, as an Arrow stream


# Enough that what a record costs by itself no longer counts, few enough that they are soon together.
BATCH_EVENTS = 500


@dataclass(frozen=True)
class Topic:
    """How Kafka keeps the dataset. Topics use LogAppendTime: retention follows arrival, not a replayed past.

    `retention_hours` -1 keeps records for ever; `cleanup_policy` compact keeps the last one of each key. `framing` is
    what producers write.
    """

    name: str
    partitions: int
    retention_hours: int
    key: tuple[str, ...]
    cleanup_policy: str = "delete"
    max_message_bytes: int = 1_048_588
    framing: Framing = Framing.RECORD


@dataclass(frozen=True)
class Dataset:
    """A subject: one name for the topic, the table, the asset and the checks.

    `grain` is what makes a row unique. `rules` are tried in order; the first that fails is the reason for
    which a row is quarantined. `version` counts incompatible changes; compatible ones are the registry's.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    grain: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    topic: Topic | None = None
    version: int = 1
    column_index: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {column.name: column for column in self.columns}
        named = {*self.grain, *(self.topic.key if self.topic else ()), *(r.column for r in self.rules)}
        if len(index) != len(self.columns) or not named <= set(index):
            raise ValueError(f"dataset {self.name}: repeated or unknown columns among {sorted(named - set(index))}")
        if self.topic is not None and self.topic.framing is Framing.BATCH and not self.delivered:
            raise ValueError(f"dataset {self.name}: a compacted topic keeps one record a key, so none of many events")
        object.__setattr__(self, "column_index", index)

    @property
    def table(self) -> str:
        """The table's name: the dataset's with underscores."""
        return self.name.replace(".", "_")

    @property
    def delivered(self) -> bool:
        """Whether its topic fills a table. A compacted topic is state: it has holes, and nobody stores it."""
        return self.topic is not None and self.topic.cleanup_policy == "delete"

    @property
    def wire_columns(self) -> tuple[Column, ...]:
        """The columns of the record on the wire, in order."""
        return tuple(column for column in self.columns if column.origin is Origin.PRODUCER)

    @property
    def content_columns(self) -> tuple[Column, ...]:
        """The columns that content hashes cover, in order."""
        return tuple(column for column in self.columns if column.role is Role.CONTENT)
