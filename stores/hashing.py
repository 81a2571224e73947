"""Content hashes of rows in Arrow, equal to what the warehouse computes for the same rows (stores/columns.py)."""

import itertools

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from contracts.dataset import Column, Dataset, Decimal, ListOf, Type
from stores.columns import SEPARATOR


def _whole(type: Decimal, values: pa.Array) -> pa.Array:
    """Write decimals as whole numbers of their last digit."""
    exact = values.cast(pa.decimal128(type.precision, type.scale))
    data = exact.buffers()[1]
    if data is not None and exact.null_count == 0:
        words = np.frombuffer(data, np.int64).reshape(-1, 2)[exact.offset : exact.offset + len(exact)]
        low, high = words[:, 0], words[:, 1]
        # Most fit in 64 bits, and those are written several times faster.
        if (high == low >> 63).all():
            return pa.array(low).cast(pa.string())
    return exact.view(pa.decimal128(type.precision, 0)).cast(pa.string())


def _joined(type: Decimal, lists: pa.Array) -> pa.Array:
    """Write each list of decimals with commas between, all of them at once."""
    lengths = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(offsets, _whole(type, lists.flatten())), ",")


def _canonical(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(column.type, ListOf):
        values = pa.chunked_array([_joined(column.type.item, chunk) for chunk in values.chunks], pa.string())
    elif isinstance(column.type, Decimal):
        values = pa.chunked_array([_whole(column.type, chunk) for chunk in values.chunks], pa.string())
    elif column.type is Type.TIMESTAMP:
        values = values.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    elif column.type is Type.BYTES:
        return values.cast(pa.binary())  # any bytes: they need not be text
    return values.cast(pa.string()).cast(pa.binary())


def content_hashes(dataset: Dataset, rows: pa.Table) -> npt.NDArray[np.uint64]:
    """Return one 64-bit hash a row over the dataset's content columns."""
    parts = [_canonical(column, rows[column.name]) for column in dataset.content_columns]
    texts = pc.binary_join_element_wise(*parts, SEPARATOR.encode())
    return np.concatenate([np.empty(0, np.uint64), *map(_digests, texts.chunks)])


def _digests(texts: pa.BinaryArray) -> npt.NDArray[np.uint64]:
    """Hash each text, cut out of the column's memory: a Python object made by Arrow for each would cost more."""
    if len(texts) == 0:
        return np.empty(0, np.uint64)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].tolist()
    whole = b"" if data is None else data.to_pybytes()
    digest = xxhash.xxh64_intdigest
    return np.fromiter((digest(whole[a:b]) for a, b in itertools.pairwise(ends)), np.uint64, len(texts))


def combine(hashes: npt.NDArray[np.uint64]) -> int:
    """Add hashes modulo 2^64: the same in whatever order the rows come."""
    return int(hashes.sum(dtype=np.uint64))
