"""Exports of days: what a backup setting asks for before they are dropped, and writing it. One Parquet file a day."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from assets.retention_conditions import day_span
from contracts.dataset import Dataset
from contracts.retention import Retention
from contracts.tape import TAPE
from stores.arrow import arrow_schema
from stores.settings import LakeSettings
from stores.tape_days import tape_rows
from stores.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa


def backup_of(dataset: Dataset, day: date, venue: str, folder: Path) -> Path:
    """Return where the export of a day belongs; the tape's days are a venue's."""
    return folder / dataset.name / (f"{venue}-{day}.parquet" if venue else f"{day}.parquet")


def exported_rows(file: Path) -> int:
    """Return how many rows an export holds, from its own footer."""
    import pyarrow.parquet as pq

    return int(pq.read_metadata(file).num_rows)


def export_day(warehouse: Warehouse, lake: LakeSettings, rule: Retention, day: date, venue: str, file: Path) -> int:
    """Write all rows of a day, as they are read, and return their number; a file is there whole or not at all."""
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    rows = 0
    with pq.ParquetWriter(unfinished, arrow_schema(rule.dataset.columns), compression="zstd") as writer:
        for table in _tape(lake, venue, day) if rule.dataset is TAPE else _table(warehouse, rule, day):
            writer.write_table(table)
            rows += table.num_rows
    unfinished.rename(file)
    return rows


def _table(warehouse: Warehouse, rule: Retention, day: date) -> Iterator["pa.Table"]:
    """Read a day an instrument at a time: a whole one may not fit into memory."""
    table, span = rule.dataset.table, day_span(rule.clock, [day])
    names = ", ".join(column.name for column in rule.dataset.columns)
    for venue, instrument in warehouse.rows(
        f"SELECT DISTINCT venue, instrument FROM {table} WHERE {span} ORDER BY venue, instrument"
    ):
        found = warehouse.table(
            f"SELECT {names} FROM {table} WHERE venue = {{venue:String}} AND instrument = {{instrument:String}} "
            f"AND {span} SETTINGS final = 1",
            {"venue": venue, "instrument": instrument},
        )
        yield found.cast(arrow_schema(rule.dataset.columns))


def _tape(lake: LakeSettings, venue: str, day: date) -> Iterator["pa.Table"]:
    import pyarrow as pa

    schema = arrow_schema(TAPE.columns)
    for batch in tape_rows(lake, venue, day, list(schema.names)):
        yield pa.Table.from_batches([batch]).cast(schema)
