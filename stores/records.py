"""Records on the wire, framed as Confluent has it: zero, the schema's id, then one event in Avro or many in Arrow.

Many events are one Arrow stream of the contract's columns, in the version that the schema's id names. A reader tells
the two by the bytes behind the id, so that a topic may hold both.
"""

import io
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, cast

import fastavro
import pyarrow as pa
from fastavro.read import SchemaResolutionError

from contracts.avro import avro_schema
from contracts.dataset import Dataset, Topic
from contracts.errors import TerminalError
from stores import registry
from stores.arrow import arrow_schema, arrow_type
from stores.settings import RegistrySettings

_PREFIX = struct.Struct(">bI")
MAGIC = 0
FRAME_BYTES = _PREFIX.size
# How an Arrow stream begins. No record of ours does: its first field is a text, whose length would be negative there.
ARROW_MARK = b"\xff\xff\xff\xff"
_UNREADABLE = (ValueError, TypeError, EOFError, IndexError, UnicodeDecodeError, OverflowError)


def plain_times(schema: Any) -> Any:
    """Leave times as integers: a datetime per value would cost more than the rest of the record."""
    if isinstance(schema, dict):
        if schema.get("logicalType") == "timestamp-micros":
            return schema["type"]
        return {name: plain_times(part) for name, part in schema.items()}
    return [plain_times(part) for part in schema] if isinstance(schema, list) else schema


def record_key(topic: Topic, row: Mapping[str, object]) -> bytes:
    """Join the topic's key columns: what has one key stays in one partition, in order."""
    return "|".join(str(row[name]) for name in topic.key).encode()


def schema_id_of(value: bytes) -> int:
    """Return the id of the schema that a record was written with; TerminalError where it has none."""
    if len(value) < FRAME_BYTES or value[0] != MAGIC:
        raise TerminalError(f"not a registry-framed record: begins with {value[:5].hex()}, valid: 00 + schema id")
    return int(_PREFIX.unpack_from(value)[1])


def is_batch(value: bytes) -> bool:
    """Tell whether a framed record holds many events."""
    return value[FRAME_BYTES : FRAME_BYTES + len(ARROW_MARK)] == ARROW_MARK


def pack(schema_id: int, events: pa.RecordBatch) -> bytes:
    """Return the record of many events, given in the contract's wire columns (arrow_schema)."""
    sink = pa.BufferOutputStream()
    sink.write(_PREFIX.pack(MAGIC, schema_id))
    # Not compressed: Kafka compresses what it carries.
    with pa.ipc.new_stream(sink, events.schema) as writer:
        writer.write_batch(events)
    return bytes(sink.getvalue().to_pybytes())


class BatchDecoder:
    """Decode records of many events of a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._wanted = arrow_schema(dataset.wire_columns)

    def decode(self, value: pa.Buffer) -> pa.Table:
        """Return a record's events, at least one, in the contract's wire columns.

        A column that the record lacks has the contract's default, one that the contract lacks is left out.
        TerminalError where anything does not fit: nothing of a batch that is not sound is used.
        """
        name = self._dataset.name
        try:
            with pa.ipc.open_stream(value.slice(FRAME_BYTES)) as reader:
                found = reader.read_all()
            events = found if found.schema.equals(self._wanted) else self._resolved(found)
            events.validate(full=True)  # lengths and offsets inside may be anything
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            raise TerminalError(f"a batch of {name} can't be decoded: {error}") from error
        if events.num_rows == 0 or any(_has_nulls(column) for column in events.columns):
            raise TerminalError(f"a batch of {name} has no events, or one that lacks a value")
        return events

    def _resolved(self, found: pa.Table) -> pa.Table:
        columns = []
        for column in self._dataset.wire_columns:
            kind, places = arrow_type(column.type), found.schema.get_all_field_indices(column.name)
            if not places and column.default is not None:
                columns.append(pa.chunked_array([pa.repeat(pa.scalar(column.default, kind), found.num_rows)]))
            elif len(places) == 1 and found.schema.field(places[0]).type.equals(kind):
                columns.append(found.column(places[0]))
            else:
                raise TypeError(f"column {column.name} is not there once as {kind}: {found.schema.to_string():.300}")
        return pa.Table.from_arrays(columns, schema=self._wanted)


def _has_nulls(column: pa.ChunkedArray) -> bool:
    if column.null_count:
        return True
    return pa.types.is_list(column.type) and any(chunk.flatten().null_count for chunk in column.chunks)


class RecordEncoder:
    """Encode rows of a dataset for a topic.

    Registers the schema first: an incompatible one raises TerminalError before any record can be sent.
    """

    def __init__(self, settings: RegistrySettings, dataset: Dataset, topic: str) -> None:
        self._schema = fastavro.parse_schema(plain_times(avro_schema(dataset)))
        self._columns = arrow_schema(dataset.wire_columns)
        self._schema_id = registry.register(settings, dataset, topic)
        self._prefix = _PREFIX.pack(MAGIC, self._schema_id)
        self._name = dataset.name

    def encode(self, row: Mapping[str, object]) -> bytes:
        """Return the record's bytes; TerminalError names the row that does not fit its contract."""
        buffer = io.BytesIO()
        buffer.write(self._prefix)
        try:
            fastavro.schemaless_writer(buffer, self._schema, dict(row))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise TerminalError(f"row does not fit contract {self._name}: {error}; row: {dict(row)!r:.300}") from error
        return buffer.getvalue()

    def encode_batch(self, rows: Sequence[Mapping[str, object]]) -> bytes:
        """Return the bytes of one record of all rows; TerminalError when one of them does not fit the contract."""
        try:
            arrays = [pa.array([row[field.name] for row in rows], field.type) for field in self._columns]
            events = pa.RecordBatch.from_arrays(arrays, schema=self._columns)
            if any(array.null_count for array in arrays):
                raise ValueError("a value is missing")
        except (pa.ArrowException, ValueError, TypeError, KeyError, OverflowError) as error:
            raise TerminalError(f"{len(rows)} rows do not all fit contract {self._name}: {error}") from error
        return pack(self._schema_id, events)


class RecordDecoder:
    """Decode records by the schema they were written with, resolved to the current contract."""

    def __init__(self, settings: RegistrySettings, dataset: Dataset) -> None:
        self._settings = settings
        self._batches = BatchDecoder(dataset)
        self._reader = fastavro.parse_schema(plain_times(avro_schema(dataset)))
        self._writers: dict[int, Any] = {}

    def rows(self, value: bytes) -> list[dict[str, Any]]:
        """Return a record's rows, one or many: decimals as Decimal, times as microseconds.

        TerminalError where the record can't be decoded.
        """
        if not is_batch(value):
            return [self.decode(value)]
        self._writer(schema_id_of(value))  # an id that nobody registered is nobody's of ours
        events = self._batches.decode(pa.py_buffer(value))
        fields = [
            field.with_type(pa.int64()) if pa.types.is_timestamp(field.type) else field for field in events.schema
        ]
        return cast(list[dict[str, Any]], events.cast(pa.schema(fields)).to_pylist())

    def decode(self, value: bytes) -> dict[str, Any]:
        """Return the row of a record that holds one: decimals as Decimal, times as microseconds."""
        schema_id = schema_id_of(value)
        writer = self._writer(schema_id)
        try:
            row = fastavro.schemaless_reader(io.BytesIO(memoryview(value)[FRAME_BYTES:]), writer, self._reader)
        except (*_UNREADABLE, SchemaResolutionError) as error:
            raise TerminalError(f"record of schema {schema_id} can't be decoded: {error}") from error
        return cast(dict[str, Any], row)

    def _writer(self, schema_id: int) -> Any:
        if schema_id not in self._writers:
            text = registry.schema_by_id(self._settings, schema_id)
            self._writers[schema_id] = fastavro.parse_schema(plain_times(json.loads(text)))
        return self._writers[schema_id]
