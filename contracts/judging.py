"""A contract's rules asked of one row, for those who read single records and not frames."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from contracts.dataset import (
    AtMost,
    Dataset,
    EachNotNegative,
    EachPositive,
    NotAheadOf,
    NotBefore,
    NotEmpty,
    NotNegative,
    OneOf,
    Positive,
    ProductAtMost,
    Rule,
    SameLength,
)

MICROS = 1_000_000


def broken_rule(dataset: Dataset, row: Mapping[str, Any]) -> str | None:
    """Return the reason of the first rule that the row breaks, None where it keeps them all; times are microseconds."""
    return next((rule.reason for rule in dataset.rules if not _kept(rule, row)), None)


def _kept(rule: Rule, row: Mapping[str, Any]) -> bool:
    value = row[rule.column]
    match rule:
        case Positive():
            return bool(value > 0)
        case NotNegative():
            return bool(value >= 0)
        case EachPositive():
            return all(one > 0 for one in value)
        case EachNotNegative():
            return all(one >= 0 for one in value)
        case SameLength():
            return len(value) == len(row[rule.other])
        case AtMost():
            return bool(value <= Decimal(rule.limit))
        case ProductAtMost():
            return float(value) * float(row[rule.other]) <= float(rule.limit)
        case OneOf():
            return value in rule.values
        case NotEmpty():
            return 1 <= len(value) <= rule.longest
        case NotBefore():
            return bool(value >= rule.instant)
        case NotAheadOf():
            return bool(value <= row[rule.other] + rule.tolerance_s * MICROS)
