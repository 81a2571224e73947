"""The Arrow form of a contract: what rows travel in between Spark, Python and the stores."""

from collections.abc import Iterable

import pyarrow as pa

from contracts.dataset import Column, Decimal, ListOf, Type

_TYPES = {
    Type.STRING: pa.string(),
    Type.BYTES: pa.binary(),
    Type.INT32: pa.int32(),
    Type.INT64: pa.int64(),
    Type.UINT64: pa.uint64(),
    Type.TIMESTAMP: pa.timestamp("us", "UTC"),
}


def arrow_type(type: Type | Decimal | ListOf) -> pa.DataType:
    """Return the Arrow type of a column's type."""
    if isinstance(type, ListOf):
        return pa.list_(arrow_type(type.item))
    if isinstance(type, Decimal):
        return pa.decimal128(type.precision, type.scale)
    return _TYPES[type]


def arrow_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the Arrow schema of columns, in their order."""
    return pa.schema([(column.name, arrow_type(column.type)) for column in columns])
