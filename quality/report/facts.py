"""What the report shows of a day, as plain values; reading.py fills them from the warehouse."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING

from quality.report.changes import Changes

if TYPE_CHECKING:
    from quality.audit import AuditReport

DIMENSIONS = ("completeness", "validity", "uniqueness", "timeliness", "consistency")
# A gap in one of these states is a hole still; resynced: the book is whole again, what lay between is lost.
HOLES = ("open", "unfillable")


def cut(score: Decimal) -> str:
    """Return a score with three digits, never rounded up: 0.7999 is below 0.8 and must not look like it."""
    return f"{score.quantize(Decimal('0.001'), ROUND_DOWN)}"


@dataclass(frozen=True)
class Deduction:
    """What a score lost in one dimension, for one reason."""

    dimension: str
    reason: str
    affected: int
    total: int
    weight: Decimal
    deducted: Decimal
    detail: str


@dataclass(frozen=True)
class Score:
    """The score of an instrument's day; `dimensions` in the order of DIMENSIONS, deductions largest first."""

    venue: str
    instrument: str
    score: Decimal
    dimensions: tuple[Decimal, ...]
    known_time: datetime
    deductions: tuple[Deduction, ...] = ()


@dataclass(frozen=True)
class Gap:
    """A hole or a silence that touches the day; -1 where ids do not tell how many are missing."""

    venue: str
    instrument: str
    id_space: str
    kind: str
    state: str
    from_time: datetime
    to_time: datetime
    missing_count: int
    recovered_count: int
    attempt_count: int
    repair_ms: int
    detail: str


@dataclass(frozen=True)
class GapGroup:
    """All gaps of a venue that showed in one way and stand in one state; of `uncounted_count` no ids tell the loss."""

    venue: str
    kind: str
    state: str
    gap_count: int
    missing_count: int
    uncounted_count: int
    recovered_count: int

    @property
    def missing(self) -> str:
        """Return how many rows are missing, as far as that is known."""
        if self.uncounted_count:
            return f"at least {self.missing_count:,}" if self.missing_count else "unknown"
        return f"{self.missing_count:,}"


@dataclass(frozen=True)
class Sample:
    """A refused payload, cut; `byte_count` is its whole length."""

    received_time: datetime
    topic: str
    detail: str
    payload: str
    byte_count: int


@dataclass(frozen=True)
class Refusal:
    """All that was refused of a venue's dataset for one reason, with a few samples."""

    venue: str
    dataset: str
    reason: str
    row_count: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Freshness:
    """How old the newest row of a feed is, by the last look; the epoch: there was none."""

    venue: str
    instrument: str
    dataset: str
    last_event_time: datetime
    cadence_ms: int
    age_ms: int
    state: str
    known_time: datetime

    @property
    def heard(self) -> bool:
        """Tell whether anything was ever heard."""
        return self.last_event_time.year > 1970


@dataclass(frozen=True)
class FreshnessView:
    """What is stale or unknown, and how many feeds are in which state."""

    counts: dict[str, int]
    shown: tuple[Freshness, ...]


@dataclass(frozen=True)
class Series:
    """A series of bars: what is plotted of it, and which of its minutes were corrected after they had been final."""

    venue: str
    instrument: str
    id_space: str
    bar_count: int
    trade_count: int
    provisional_count: int
    open: Decimal
    close: Decimal
    points: tuple[tuple[datetime, float], ...]
    corrected: tuple[datetime, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class BarTotals:
    """The day's bars in numbers."""

    bar_count: int
    trade_count: int
    provisional_count: int
    corrected_count: int
    series_count: int
    instrument_count: int
    venue_count: int


@dataclass(frozen=True)
class CheckOutcome:
    """What one claim about a venue's day came to; `sample` is JSON as it was stored."""

    venue: str
    dataset: str
    check_name: str
    level: str
    passed: bool
    checked_count: int
    unexpected_count: int
    sample: str
    detail: str
    known_time: datetime


@dataclass(frozen=True)
class Incident:
    """An incident that is open."""

    incident_id: str
    kind: str
    dataset: str
    venue: str
    instrument: str
    severity: str
    opened_time: datetime
    title: str
    downstream: str
    affected_rows: int
    next_step: str


@dataclass(frozen=True)
class RebuiltTable:
    """A table's day as it was streamed beside the day rebuilt from the tape, compared instrument by instrument.

    `tape_position` says where the first difference lies, in words; empty where that is not known.
    """

    table: str
    streamed_count: int
    rebuilt_count: int
    instrument_count: int
    equal_count: int
    first_difference: str
    tape_position: str
    known_time: datetime

    @property
    def equal(self) -> bool:
        """Tell whether both are the same for every instrument."""
        return self.equal_count == self.instrument_count


@dataclass(frozen=True)
class Facts:
    """All that the page shows. `audit` and `rebuild` are None where nobody ran them, `rebuild` worst first."""

    day: date
    made_time: datetime
    min_score: Decimal
    totals: BarTotals
    scores: tuple[Score, ...]
    gap_groups: tuple[GapGroup, ...]
    gaps: tuple[Gap, ...]
    refusals: tuple[Refusal, ...]
    freshness: FreshnessView
    series: tuple[Series, ...]
    checks: tuple[CheckOutcome, ...]
    incidents: tuple[Incident, ...]
    changes: Changes
    audit: "AuditReport | None" = None
    rebuild: tuple[RebuiltTable, ...] | None = None
    certificate: str = ""  # what the newest certificate says; empty where nobody made one

    @property
    def begin(self) -> datetime:
        """The midnight at which the day begins."""
        return datetime.combine(self.day, time(), UTC)

    @property
    def end(self) -> datetime:
        """The midnight that ends it."""
        return self.begin + timedelta(days=1)

    @property
    def running(self) -> bool:
        """Tell whether the day was not over when the report was made."""
        return self.made_time < self.end

    @property
    def gap_count(self) -> int:
        """Count the day's gaps, also those that the page does not list."""
        return sum(group.gap_count for group in self.gap_groups)

    @property
    def hole_count(self) -> int:
        """Count the gaps that nothing filled."""
        return sum(group.gap_count for group in self.gap_groups if group.state in HOLES)

    @property
    def rebuilt_equal(self) -> str:
        """Return how much of the rebuild is equal, in words."""
        if self.rebuild is None:
            return "not run"
        if all(table.equal for table in self.rebuild):
            return "equal"
        equal, compared = (
            sum(numbers) for numbers in zip(*((t.equal_count, t.instrument_count) for t in self.rebuild), strict=True)
        )
        return f"{equal:,} of {compared:,} equal"

    @property
    def refused_count(self) -> int:
        """Count what went to quarantine."""
        return sum(refusal.row_count for refusal in self.refusals)
