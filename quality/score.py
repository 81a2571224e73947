"""The arithmetic of the quality score: findings become deductions, deductions a score. Nothing else is needed.

docs/quality-score.md explains it and works an example by hand.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache

from contracts.scores import DIMENSIONS

DIGIT = Decimal("0.000001")
ONE = Decimal("1.000000")
ZERO = Decimal("0.000000")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is deducted: from which dimension, and how much when everything is affected."""

    dimension: str
    weight: Decimal
    unit: str


def _reason(dimension: str, weight: str, unit: str) -> Reason:
    return Reason(dimension, Decimal(weight).quantize(DIGIT), unit)


REASONS: dict[str, Reason] = {
    "trades_missing": _reason("completeness", "1", "trades"),
    "minutes_not_heard": _reason("completeness", "1", "minutes"),
    "minutes_without_trades": _reason("completeness", "1", "minutes"),
    # Nobody can say whether trades without consecutive ids are all there: that is not the same as complete.
    "completeness_unknown": _reason("completeness", "0.05", "trades"),
    "trades_quarantined": _reason("validity", "1", "records"),
    # The venue sent something that could not be read, or that names no instrument: whose it was, nobody knows.
    "payloads_unreadable": _reason("validity", "0.1", "records"),
    "trades_stored_twice": _reason("uniqueness", "1", "trades"),
    # Reconnects and refills tell again what is known. It was left out, so it does no harm.
    "trades_heard_twice": _reason("uniqueness", "0.02", "records"),
    "arrived_after_10_s": _reason("timeliness", "0.2", "trades"),
    "arrived_after_60_s": _reason("timeliness", "0.3", "trades"),
    "bars_differ_from_trades": _reason("consistency", "1", "minutes"),
    "price_off_other_venues": _reason("consistency", "0.5", "minutes"),
    "quotes_crossed": _reason("consistency", "0.5", "quotes"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was measured: `affected` of `total` are as the reason says."""

    reason: str
    affected: int
    total: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Deduction:
    """What a finding costs."""

    dimension: str
    reason: str
    affected: int
    total: int
    weight: Decimal
    deducted: Decimal
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """A score with its five dimensions, each from 0 to 1, six digits."""

    score: Decimal
    completeness: Decimal
    validity: Decimal
    uniqueness: Decimal
    timeliness: Decimal
    consistency: Decimal

    @property
    def values(self) -> tuple[Decimal, ...]:
        """The score and the dimensions, in the order of the contract."""
        return (self.score, *(getattr(self, name) for name in DIMENSIONS))


@lru_cache(maxsize=65_536)
def deducted(weight: Decimal, affected: int, total: int) -> Decimal:
    """Return weight times affected / total, rounded half up to six digits; all three exact."""
    if not 0 <= affected <= total or total == 0:
        raise ValueError(f"{affected} of {total} are affected; valid: 0 <= affected <= total, total above 0")
    # In whole millionths, so that no context of the decimal module can round in between: floor(x + 1/2).
    numerator, denominator = weight.as_integer_ratio()
    share = 2_000_000 * numerator * affected
    whole = denominator * total
    millionths = (share + whole) // (2 * whole)
    return Decimal(f"{millionths // 1_000_000}.{millionths % 1_000_000:06}")


def deduct(finding: Finding) -> Deduction:
    """Return what a finding costs; KeyError for a reason that is none of REASONS."""
    reason = REASONS[finding.reason]
    lost = deducted(reason.weight, finding.affected, finding.total)
    return Deduction(
        reason.dimension, finding.reason, finding.affected, finding.total, reason.weight, lost, finding.detail
    )


def deductions_of(findings: Iterable[Finding]) -> tuple[Deduction, ...]:
    """Return the deductions of the findings that affect anything, in the order of dimension and reason."""
    made = (deduct(finding) for finding in findings if finding.affected)
    return tuple(sorted(made, key=lambda one: (DIMENSIONS.index(one.dimension), one.reason)))


def score_of(deductions: Iterable[Deduction]) -> Score:
    """Return 1 less the deductions, at least 0: for the score all of them, for a dimension its own."""
    lost = dict.fromkeys(DIMENSIONS, ZERO)
    for one in deductions:
        lost[one.dimension] += one.deducted
    total = sum(lost.values(), ZERO)
    return Score(_left(total), *(_left(lost[name]) for name in DIMENSIONS))


def _left(lost: Decimal) -> Decimal:
    return max(ONE - lost, ZERO).quantize(DIGIT, ROUND_HALF_UP)
