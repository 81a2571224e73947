"""The Spark form of a contract: column types, and the value rules as expressions."""

from datetime import UTC, datetime

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    DecimalType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

from contracts.dataset import (
    AtMost,
    Dataset,
    Decimal,
    EachNotNegative,
    EachPositive,
    ListOf,
    NotAheadOf,
    NotBefore,
    NotEmpty,
    NotNegative,
    OneOf,
    Positive,
    ProductAtMost,
    Rule,
    SameLength,
    Type,
)

_TYPES: dict[Type, DataType] = {
    Type.STRING: StringType(),
    Type.BYTES: BinaryType(),
    Type.INT32: IntegerType(),
    Type.INT64: LongType(),
    Type.UINT64: DecimalType(20, 0),  # Spark has no unsigned numbers
    Type.TIMESTAMP: TimestampType(),
}


def spark_type(type: Type | Decimal | ListOf) -> DataType:
    """Return the Spark type of a column's type."""
    if isinstance(type, ListOf):
        return ArrayType(spark_type(type.item))
    if isinstance(type, Decimal):
        return DecimalType(type.precision, type.scale)
    return _TYPES[type]


def wire_schema(dataset: Dataset) -> StructType:
    """Return the schema of the dataset's records on the wire."""
    return StructType([StructField(c.name, spark_type(c.type)) for c in dataset.wire_columns])


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def rule_expression(rule: Rule, prefix: str = "record.") -> str:
    """Return the SQL condition that holds where the rule is kept."""
    column = prefix + rule.column
    match rule:
        case Positive():
            return f"{column} > 0"
        case NotNegative():
            return f"{column} >= 0"
        case EachPositive():
            return f"forall({column}, item -> item > 0)"
        case EachNotNegative():
            return f"forall({column}, item -> item >= 0)"
        case SameLength():
            return f"size({column}) = size({prefix}{rule.other})"
        case AtMost():
            return f"{column} <= {rule.limit}"
        case ProductAtMost():
            # As doubles: a bound needs no exactness, and a product of decimals could overflow.
            return f"CAST({column} AS DOUBLE) * CAST({prefix}{rule.other} AS DOUBLE) <= {rule.limit}"
        case OneOf():
            return f"{column} IN ({', '.join(_text(v) for v in rule.values)})"
        case NotEmpty():
            return f"length({column}) BETWEEN 1 AND {rule.longest}"
        case NotBefore():
            instant = datetime.fromtimestamp(rule.instant / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
            return f"{column} >= TIMESTAMP '{instant}'"
        case NotAheadOf():
            return f"{column} <= {prefix}{rule.other} + INTERVAL {rule.tolerance_s} SECONDS"


def broken_rule(dataset: Dataset, prefix: str = "record.") -> str:
    """Return the SQL expression of the first rule that a record breaks, null where it keeps them all."""
    cases = " ".join(
        f"WHEN NOT coalesce({rule_expression(rule, prefix)}, false) THEN {_text(rule.reason)}" for rule in dataset.rules
    )
    return f"CASE {cases} END" if cases else "CAST(NULL AS STRING)"
