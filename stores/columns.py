"""The ClickHouse form of a contract: column types, and the hash of a row's content."""

from contracts.dataset import Column, Dataset, Decimal, ListOf, Type

_TYPES = {
    Type.STRING: "String",
    Type.BYTES: "String",
    Type.INT32: "Int32",
    Type.INT64: "Int64",
    Type.UINT64: "UInt64",
    Type.TIMESTAMP: "DateTime64(6, 'UTC')",
}


def _decimal(type: Decimal) -> str:
    return f"Decimal({type.precision}, {type.scale})"


def clickhouse_type(column: Column) -> str:
    """Return the column's ClickHouse type."""
    if isinstance(column.type, ListOf):
        return f"Array({_decimal(column.type.item)})"
    if isinstance(column.type, Decimal):
        return _decimal(column.type)
    name = _TYPES[column.type]
    return f"LowCardinality({name})" if column.repeats else name


def clickhouse_columns(dataset: Dataset) -> dict[str, str]:
    """Return the table's columns and their types, in order."""
    return {column.name: clickhouse_type(column) for column in dataset.columns}


def _canonical(column: Column) -> str:
    if isinstance(column.type, ListOf):
        return f"arrayStringConcat(arrayMap(item -> toString(reinterpretAsInt128(item)), {column.name}), ',')"
    if isinstance(column.type, Decimal):
        return f"toString(reinterpretAsInt128({column.name}))"
    if column.type is Type.TIMESTAMP:
        return f"toString(toUnixTimestamp64Micro({column.name}))"
    return f"toString({column.name})"


# Separates the columns of a row in the text that is hashed; no venue's symbol or id holds it.
SEPARATOR = "\x1f"


def content_hash(dataset: Dataset) -> str:
    """Return the SQL expression of a row's content hash.

    xxHash64 over the content columns as text, in contract order: decimals as whole numbers of their last digit
    (lists of them with commas between), times as microseconds. stores/hashing.py computes the same from Arrow.
    """
    parts = ", ".join(_canonical(column) for column in dataset.content_columns)
    return f"xxHash64(concatWithSeparator('\\x1f', {parts}))"
