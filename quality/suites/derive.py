"""From a contract to claims: every rule, every set of symbols, and that no value is missing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from contracts.bars import BARS
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
from quality.suites.claims import BETWEEN, IN_SET, Argument, Claim, Level, between

NO_VALUE_IS_MISSING = "every_column_has_a_value"

# The bars of a day as they are known now. Not the view: what is asked of it is answered from every bar there ever was.
CURRENT_BARS = f"""(
    SELECT * FROM
    (
        SELECT * FROM {BARS.table} WHERE {{bar_time}}
        ORDER BY venue, instrument, id_space, bar_time, revision DESC LIMIT 1 BY venue, instrument, id_space, bar_time
    )
    WHERE state != 'withdrawn'
)"""


class Derived(NamedTuple):
    """A claim, and what has to be computed of each row for it: SQL by the name of the column that it becomes."""

    claim: Claim
    computed: dict[str, str]


def derive(dataset: Dataset) -> list[Derived]:
    """Return the claims of a contract. They stop: no row that breaks one can have come through the streams."""
    return [*(_of_rule(rule) for rule in dataset.rules), *_of_symbols(dataset), _complete(dataset)]


def rows_of(dataset: Dataset, computed: dict[str, str]) -> str:
    """Return the query of a dataset's rows of a day, each row once, with what is computed of them."""
    columns = ", ".join(["*", *(f"{sql} AS {name}" for name, sql in computed.items())])
    source = CURRENT_BARS if dataset is BARS else f"{dataset.table} FINAL WHERE {{event_time}}"
    return f"SELECT {columns} FROM {source}"


def computed_claim(
    level: Level, name: str, says: str, column: str, sql: str, bounds: dict[str, Argument], *shown: str
) -> Derived:
    """Return a claim about a column that is computed."""
    return Derived(Claim(name, level, says, BETWEEN, between(column) | bounds, shown), {column: sql})


def _stored(name: str, says: str, arguments: dict[str, Argument], expectation: str = BETWEEN) -> Derived:
    return Derived(Claim(name, "stop", says, expectation, arguments), {})


def _of_rule(rule: Rule) -> Derived:
    column = rule.column
    match rule:
        case Positive():
            bounds = between(column, least=0) | {"strict_min": True}
            return _stored(f"{column}_is_positive", f"{column} is greater than zero.", bounds)
        case NotNegative():
            return _stored(f"{column}_is_not_negative", f"{column} is zero or more.", between(column, least=0))
        case AtMost(limit=limit):
            name, says = f"{column}_is_at_most_{limit}", f"{column} does not exceed {limit}."
            return _stored(name, says, between(column, most=int(limit)))
        case OneOf(values=values):
            return _one_of(column, values)
        case NotBefore(instant=instant):
            since = datetime.fromtimestamp(instant // 1_000_000, UTC)
            name, says = (
                f"{column}_is_not_before_{since:%Y_%m_%d}",
                f"{column} is not before {since:%Y-%m-%d %H:%M:%S}.",
            )
            return _stored(name, says, {"column": column, "min_value": f"{since:%Y-%m-%d %H:%M:%S}"})
        case EachPositive() | EachNotNegative():
            word, sign = ("positive", "<=") if isinstance(rule, EachPositive) else ("not_negative", "<")
            says = f"Every item of {column} is {word.replace('_', ' ')}."
            sql = f"arrayCount(item -> item {sign} 0, {column})"
            return computed_claim("stop", f"each_of_{column}_is_{word}", says, f"{column}_against", sql, NONE, column)
        case SameLength(other=other):
            name, says = f"{column}_are_as_many_as_{other}", f"{column} has as many items as {other}."
            sql = f"toInt64(length({column})) - toInt64(length({other}))"
            return computed_claim("stop", name, says, f"{column}_too_many", sql, NONE)
        case ProductAtMost(other=other, limit=limit):
            name = f"{column}_times_{other}_is_at_most_{limit}"
            # As doubles: a bound needs no exactness, and a product of decimals could overflow.
            sql = f"toFloat64({column}) * toFloat64({other})"
            says = f"{column} times {other} does not exceed {limit}."
            most: dict[str, Argument] = {"max_value": int(limit)}
            return computed_claim("stop", name, says, f"{column}_times_{other}", sql, most, column, other)
        case NotEmpty(longest=longest):
            name, says = f"{column}_has_1_to_{longest}_characters", f"{column} is not empty, nor too long."
            lengths: dict[str, Argument] = {"min_value": 1, "max_value": longest}
            return computed_claim("stop", name, says, f"{column}_length", f"lengthUTF8({column})", lengths, column)
        case NotAheadOf(other=other, tolerance_s=tolerance):
            name = f"{column}_is_at_most_{tolerance}_s_ahead_of_{other}"
            says = f"{column} is at most {tolerance} seconds ahead of {other}."
            return computed_claim("stop", name, says, *ahead(column, other, tolerance), column, other)


NONE: dict[str, Argument] = {"min_value": 0, "max_value": 0}


def ahead(column: str, other: str, tolerance_s: int) -> tuple[str, str, dict[str, Argument]]:
    """Return name, SQL and bounds of how far one time is ahead of another, in microseconds."""
    sql = f"toUnixTimestamp64Micro({column}) - toUnixTimestamp64Micro({other})"
    return f"{column}_ahead_of_{other}_us", sql, {"max_value": tolerance_s * 1_000_000}


def _one_of(column: str, values: tuple[str, ...]) -> Derived:
    says = f"{column} is one of {', '.join(values)}."
    return _stored(f"{column}_is_{'_or_'.join(values)}", says, {"column": column, "value_set": list(values)}, IN_SET)


def _of_symbols(dataset: Dataset) -> Iterator[Derived]:
    ruled = {rule.column for rule in dataset.rules if isinstance(rule, OneOf)}
    for column in dataset.columns:
        if column.symbols and column.name not in ruled:
            yield _one_of(column.name, column.symbols)


def _complete(dataset: Dataset) -> Derived:
    sql = " + ".join(f"isNull({column.name})" for column in dataset.columns)
    return computed_claim("stop", NO_VALUE_IS_MISSING, "No column is null.", "missing_values", sql, NONE)
