"""The Arrow form of a contract: what rows travel in between Spark, Python and the stores."""

from collections.abc import Iterable

import pyarrow as pa

from contracts.dataset import Column, Decimal, Type

_TYPES = {
    Type.STRING: pa.string(),
    Type.BYTES: pa.binary(),
    Type.INT32: pa.int32(),
    Type.INT64: pa.int64(),
    Type.UINT64: pa.uint64(),
    Type.TIMESTAMP: pa.timestamp("us", "UTC"),
}


def arrow_type(column: Column) -> pa.DataType:
    """Return the column's Arrow type."""
    if isinstance(column.type, Decimal):
        return pa.decimal128(column.type.precision, column.type.scale)
    return _TYPES[column.type]


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of columns, in their order."""
    return pa.schema([(column.name, arrow_type(column)) for column in columns])
