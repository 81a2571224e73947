"""Records on the wire: Avro in the Confluent framing, a zero byte and the schema's id before the data."""

import io
import json
import struct
from collections.abc import Mapping
from typing import Any, cast

import fastavro
from fastavro.read import SchemaResolutionError

from contracts.avro import avro_schema
from contracts.dataset import Dataset, Topic
from contracts.errors import TerminalError
from stores import registry
from stores.settings import RegistrySettings

_PREFIX = struct.Struct(">bI")
MAGIC = 0
_UNREADABLE = (ValueError, TypeError, EOFError, IndexError, UnicodeDecodeError, OverflowError)


def _plain_times(schema: Any) -> Any:
    """Leave times as integers: a datetime per value would cost more than the rest of the record."""
    if isinstance(schema, dict):
        if schema.get("logicalType") == "timestamp-micros":
            return schema["type"]
        return {name: _plain_times(part) for name, part in schema.items()}
    return [_plain_times(part) for part in schema] if isinstance(schema, list) else schema


def record_key(topic: Topic, row: Mapping[str, object]) -> bytes:
    """Join the topic's key columns: what has one key stays in one partition, in order."""
    return "|".join(str(row[name]) for name in topic.key).encode()


class RecordEncoder:
    """Encode rows of a dataset for a topic.

    Registers the schema first: an incompatible one raises TerminalError before any record can be sent.
    """

    def __init__(self, settings: RegistrySettings, dataset: Dataset, topic: str) -> None:
        self._schema = fastavro.parse_schema(_plain_times(avro_schema(dataset)))
        self._prefix = _PREFIX.pack(MAGIC, registry.register(settings, dataset, topic))
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


class RecordDecoder:
    """Decode records by the schema they were written with, resolved to the current contract."""

    def __init__(self, settings: RegistrySettings, dataset: Dataset) -> None:
        self._settings = settings
        self._reader = fastavro.parse_schema(_plain_times(avro_schema(dataset)))
        self._writers: dict[int, Any] = {}

    def decode(self, value: bytes) -> dict[str, Any]:
        """Return the row: decimals as Decimal, times as microseconds."""
        if len(value) < _PREFIX.size or value[0] != MAGIC:
            raise TerminalError(f"not a registry-framed record: begins with {value[:5].hex()}, valid: 00 + schema id")
        _, schema_id = _PREFIX.unpack_from(value)
        if schema_id not in self._writers:
            text = registry.schema_by_id(self._settings, schema_id)
            self._writers[schema_id] = fastavro.parse_schema(_plain_times(json.loads(text)))
        try:
            row = fastavro.schemaless_reader(
                io.BytesIO(memoryview(value)[_PREFIX.size :]), self._writers[schema_id], self._reader
            )
        except (*_UNREADABLE, SchemaResolutionError) as error:
            raise TerminalError(f"record of schema {schema_id} can't be decoded: {error}") from error
        return cast(dict[str, Any], row)
