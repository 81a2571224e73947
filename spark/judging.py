"""A contract's rules asked of many events at once, as spark/schema.py asks them in the JVM."""

from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

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
Mask = npt.NDArray[np.bool_]


def broken_rules(dataset: Dataset, events: pa.Table) -> dict[int, str]:
    """Return by row the reason of the first rule that it breaks; rows that keep them all are left out.

    `events` holds the contract's wire columns, without nulls.
    """
    found: dict[int, str] = {}
    columns = {name: events[name].combine_chunks() for name in {*_named(dataset)}}
    for rule in dataset.rules:
        kept = _kept(rule, columns)
        if not kept.all():
            found = dict.fromkeys(np.flatnonzero(~kept).tolist(), rule.reason) | found
    return found


def _named(dataset: Dataset) -> list[str]:
    return [name for rule in dataset.rules for name in (rule.column, getattr(rule, "other", rule.column))]


def _kept(rule: Rule, columns: dict[str, pa.Array]) -> Mask:
    column = columns[rule.column]
    match rule:
        case Positive():
            return _mask(pc.greater(column, _zero(column.type)))
        case NotNegative():
            return _mask(pc.greater_equal(column, _zero(column.type)))
        case EachPositive():
            return _each(column, pc.greater)
        case EachNotNegative():
            return _each(column, pc.greater_equal)
        case SameLength():
            return _mask(pc.equal(pc.list_value_length(column), pc.list_value_length(columns[rule.other])))
        case AtMost():
            return _mask(pc.less_equal(column, pa.scalar(Decimal(rule.limit))))
        case ProductAtMost():
            # As doubles: a bound needs no exactness, and a product of decimals could overflow.
            return (_doubles(column) * _doubles(columns[rule.other]) <= float(rule.limit)).astype(bool)
        case OneOf():
            return _mask(pc.is_in(column, pa.array(rule.values)))
        case NotEmpty():
            return _within(column, rule.longest)
        case NotBefore():
            return (_micros(column) >= rule.instant).astype(bool)
        case NotAheadOf():
            tolerance = rule.tolerance_s * MICROS
            latest = np.minimum(_micros(columns[rule.other]), np.iinfo(np.int64).max - tolerance) + tolerance
            return (_micros(column) <= latest).astype(bool)


def _mask(kept: pa.Array) -> Mask:
    mask: Mask = kept.to_numpy(zero_copy_only=False)
    return mask


def _zero(kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(Decimal(0), kind) if pa.types.is_decimal(kind) else pa.scalar(0, kind)


def _within(column: pa.Array, longest: int) -> Mask:
    lengths = pc.binary_length(column)
    # No text has more characters than bytes: most need not be read.
    if pa.types.is_string(column.type) and (pc.max(lengths).as_py() or 0) > longest:
        lengths = pc.utf8_length(column)
    return _mask(pc.and_(pc.greater(lengths, 0), pc.less_equal(lengths, longest)))


def _each(lists: pa.Array, compare: object) -> Mask:
    kept = np.ones(len(lists), bool)
    items = lists.flatten()
    broken = ~_mask(compare(items, _zero(items.type)))  # type: ignore[operator]
    kept[pc.list_parent_indices(lists).to_numpy()[broken]] = False
    return kept


def _doubles(column: pa.Array) -> npt.NDArray[np.float64]:
    numbers: npt.NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return numbers


def _micros(times: pa.Array) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = times.cast(pa.int64()).to_numpy()
    return numbers
