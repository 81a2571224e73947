"""Many Avro records decoded at once: put together they are a block of an Avro file, which polars reads into columns."""

import io
import json
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from polars.exceptions import PanicException, PolarsError

from contracts.dataset import Dataset
from stores.arrow import arrow_schema, arrow_type
from stores.records import FRAME_BYTES

# What a damaged record among them costs: so many are then looked at in ever smaller parts.
RECORDS_A_BLOCK = 200_000
_FRAME = "tapehouse_frame"
_SYNC = b"tapehouse tapeho"
_MAGIC = b"Obj\x01"
# Polars panics where a length inside a record reaches behind the block.
_DAMAGED = (PanicException, PolarsError, pa.ArrowException, OSError, ValueError)


def _long(value: int) -> bytes:
    left, written = value << 1, bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*written, left])


def _text(value: bytes) -> bytes:
    return _long(len(value)) + value


class BlockDecoder:
    """Decode records of one dataset that were written with one schema, each behind its frame of FRAME_BYTES.

    To the reader a frame is the first field of its record. So a record that ends too early or too late shows: the next
    one then does not begin with the frame.
    """

    def __init__(self, dataset: Dataset, writer: str) -> None:
        schema: dict[str, Any] = json.loads(writer)
        known = {field["name"] for field in schema["fields"]}
        framed = {"name": _FRAME, "type": {"type": "fixed", "name": _FRAME, "size": FRAME_BYTES}}
        text = json.dumps(schema | {"fields": [framed, *schema["fields"]]}).encode()
        meta = _long(2) + _text(b"avro.schema") + _text(text) + _text(b"avro.codec") + _text(b"null") + _long(0)
        self._head = _MAGIC + meta + _SYNC
        self._wanted = arrow_schema(dataset.wire_columns)
        self._present = [column.name for column in dataset.wire_columns if column.name in known]
        self._absent = {c.name: pa.scalar(c.default, arrow_type(c.type)) for c in dataset.wire_columns}
        self._absent = {name: value for name, value in self._absent.items() if name not in known}

    def decode(self, values: pa.Array) -> tuple[pa.Table, npt.NDArray[np.bool_]]:
        """Return the rows of those records that can be decoded, in the contract's wire columns, and which ones can.

        Every record has the frame of the first. Where the writer's schema lacks a column it has the contract's
        default; without one no record can be decoded.
        """
        sound = np.zeros(len(values), bool)
        found: list[pa.Table] = []
        if all(value.is_valid for value in self._absent.values()):
            for start in range(0, len(values), RECORDS_A_BLOCK):
                self._decode(values, start, min(start + RECORDS_A_BLOCK, len(values)), found, sound)
        return (pa.concat_tables(found) if found else self._wanted.empty_table()), sound

    def _decode(
        self, values: pa.Array, start: int, stop: int, found: list[pa.Table], sound: npt.NDArray[np.bool_]
    ) -> None:
        table = self._block(values.slice(start, stop - start))
        if table is not None:
            found.append(table)
            sound[start:stop] = True
        elif stop - start > 1:
            middle = (start + stop) // 2
            self._decode(values, start, middle, found, sound)
            self._decode(values, middle, stop, found, sound)

    def _block(self, values: pa.Array) -> pa.Table | None:
        """Return the rows of all records; None where one of them is damaged."""
        _, offsets, data = values.buffers()
        ends = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
        body = memoryview(data)[int(ends[0]) : int(ends[-1])]
        frame = bytes(body[:FRAME_BYTES])
        block = b"".join((self._head, _long(len(values)), _long(len(body)), body, _SYNC))
        try:
            rows = pl.read_avro(io.BytesIO(block))
            if rows.height != len(values) or not rows.select((pl.col(_FRAME) == pl.lit(frame)).all()).item():
                return None
            return self._checked(rows.select(self._present).to_arrow(compat_level=pl.CompatLevel.oldest()))
        except _DAMAGED:
            return None

    def _checked(self, rows: pa.Table) -> pa.Table:
        columns = []
        for field in self._wanted:
            if field.name in self._absent:
                columns.append(pa.chunked_array([pa.repeat(self._absent[field.name], rows.num_rows)]))
                continue
            column = rows[field.name].cast(field.type)
            if column.null_count or not _fits(column):
                raise ValueError(f"column {field.name} holds what its type {field.type} can't")
            columns.append(column)
        return pa.Table.from_arrays(columns, schema=self._wanted)


def _fits(column: pa.ChunkedArray) -> bool:
    """Tell whether decimals have no more digits than their type; polars reads as many as there are."""
    if pa.types.is_list(column.type):
        column = pa.chunked_array([chunk.flatten() for chunk in column.chunks], column.type.value_type)
    if not pa.types.is_decimal(column.type):
        return True
    edges = pc.min_max(column)
    most = Decimal(10) ** (column.type.precision - column.type.scale)
    values = (edges["min"].as_py(), edges["max"].as_py())
    return all(value is None or value.copy_abs() < most for value in values)
