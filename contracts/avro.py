"""The Avro form of a contract: what travels on the wire."""

import json
from typing import Any

from contracts.dataset import Dataset, Decimal, ListOf, Type

_PRIMITIVES: dict[Type, Any] = {
    Type.STRING: "string",
    Type.BYTES: "bytes",
    Type.INT32: "int",
    Type.INT64: "long",
    Type.UINT64: "long",
    Type.TIMESTAMP: {"type": "long", "logicalType": "timestamp-micros"},
}


def _avro_type(type: Type | Decimal | ListOf) -> Any:
    if isinstance(type, ListOf):
        return {"type": "array", "items": _avro_type(type.item)}
    if isinstance(type, Decimal):
        return {"type": "bytes", "logicalType": "decimal", "precision": type.precision, "scale": type.scale}
    return _PRIMITIVES[type]


def avro_schema(dataset: Dataset) -> dict[str, Any]:
    """Derive the Avro record schema of a dataset's wire columns.

    An incompatible change of the contract raises its version, and the version stands in the record's name.
    """
    fields = []
    for column in dataset.wire_columns:
        entry: dict[str, Any] = {"name": column.name, "type": _avro_type(column.type), "doc": column.doc}
        if column.default is not None:
            entry["default"] = column.default
        fields.append(entry)
    namespace, _, name = f"tapehouse.{dataset.name}".rpartition(".")
    suffix = "" if dataset.version == 1 else f"_v{dataset.version}"
    return {
        "type": "record",
        "name": name + suffix,
        "namespace": namespace,
        "doc": dataset.doc,
        "fields": fields,
    }


def avro_text(dataset: Dataset) -> str:
    """Return the schema as canonical JSON text, the form that the registry keeps."""
    return json.dumps(avro_schema(dataset), sort_keys=False, separators=(",", ":"))
