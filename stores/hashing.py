"""Content hashes of rows in Arrow, equal to what the warehouse computes for the same rows (stores/columns.py)."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from contracts.dataset import Column, Dataset, Decimal, Type
from stores.columns import SEPARATOR


def _canonical(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(column.type, Decimal):
        whole = pa.decimal128(column.type.precision, 0)
        chunks = [chunk.cast(pa.decimal128(column.type.precision, column.type.scale)) for chunk in values.chunks]
        values = pa.chunked_array([chunk.view(whole) for chunk in chunks], whole)
    elif column.type is Type.TIMESTAMP:
        values = values.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    elif column.type is Type.BYTES:
        return values.cast(pa.binary())  # any bytes: they need not be text
    return values.cast(pa.string()).cast(pa.binary())


def content_hashes(dataset: Dataset, rows: pa.Table) -> npt.NDArray[np.uint64]:
    """Return one 64-bit hash a row over the dataset's content columns."""
    parts = [_canonical(column, rows[column.name]) for column in dataset.content_columns]
    texts = pc.binary_join_element_wise(*parts, SEPARATOR.encode()).to_pylist()
    digest = xxhash.xxh64_intdigest
    return np.fromiter((digest(text) for text in texts), np.uint64, len(texts))


def combine(hashes: npt.NDArray[np.uint64]) -> int:
    """Add hashes modulo 2^64: the same in whatever order the rows come."""
    return int(hashes.sum(dtype=np.uint64))
