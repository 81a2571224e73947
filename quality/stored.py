"""Read rows of a dataset as plain values, times in microseconds, and append others."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from contracts.dataset import Dataset, Type

if TYPE_CHECKING:
    from stores.warehouse import Warehouse


def read(
    warehouse: "Warehouse", dataset: Dataset, where: str = "1", parameters: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Return what the dataset's view of the present holds, by column."""
    # Under another name: a condition must still see the time as a time.
    columns = ", ".join(
        f"toUnixTimestamp64Micro({c.name}) AS {c.name}_us" if c.type is Type.TIMESTAMP else c.name
        for c in dataset.columns
    )
    found = warehouse.rows(f"SELECT {columns} FROM {dataset.table}_current WHERE {where}", parameters)
    return [dict(zip((c.name for c in dataset.columns), row, strict=True)) for row in found]


def append(warehouse: "Warehouse", dataset: Dataset, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows; the same rows again insert nothing."""
    held = [dict(row) for row in rows]
    if not held:
        return
    import pyarrow as pa  # the code location must not wait for it

    from stores.arrow import arrow_schema

    token = hashlib.sha256(json.dumps(held, sort_keys=True, default=str).encode()).hexdigest()
    warehouse.insert(
        dataset.table, pa.Table.from_pylist(held, schema=arrow_schema(dataset.columns)), token=f"{dataset.name}:{token}"
    )
