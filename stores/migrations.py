"""Numbered, idempotent DDL, applied in order and held against the contracts."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from contracts.catalog import DATASETS
from contracts.dataset import Dataset
from contracts.errors import TerminalError
from contracts.tape import TAPE
from stores.columns import clickhouse_columns
from stores.warehouse import Warehouse

_LOG = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number UInt32, name String, sha256 String, applied_time DateTime64(6, 'UTC') DEFAULT now64(6)
) ENGINE = ReplacingMergeTree ORDER BY number
"""


@dataclass(frozen=True)
class Migration:
    """One file of DDL."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Tell whether an applied file was changed afterwards."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The file's statements; a semicolon ends a line only at a statement's end."""
        return [part.strip() for part in (self.text + "\n").split(";\n") if part.strip()]


def read_migrations(folder: Path) -> list[Migration]:
    """Read NNNN_name.sql files in order; TerminalError when a number is missing or repeated."""
    migrations = [
        Migration(int(path.stem.split("_", 1)[0]), path.stem.split("_", 1)[1], path.read_text())
        for path in sorted(folder.glob("[0-9]*_*.sql"))
    ]
    numbers = [m.number for m in migrations]
    if numbers != list(range(1, len(numbers) + 1)):
        raise TerminalError(f"migrations in {folder.name}/ must count 1, 2, 3, ... without holes; found {numbers}")
    return migrations


def migrate(warehouse: Warehouse, folder: Path) -> list[str]:
    """Apply what is missing and return its names.

    Raises TerminalError when an applied file was edited, or when a table then differs from its contract.
    """
    warehouse.run(_LOG)
    applied = {
        int(number): str(digest)
        for number, digest in warehouse.rows("SELECT number, sha256 FROM schema_migrations FINAL")
    }
    done = []
    for migration in read_migrations(folder):
        if migration.number in applied:
            if applied[migration.number] != migration.sha256:
                raise TerminalError(
                    f"migration {migration.number:04}_{migration.name} was edited after it was applied; "
                    "restore the file and put the change into a new one"
                )
            continue
        for statement in migration.statements:
            warehouse.run(statement)
        warehouse.run(
            "INSERT INTO schema_migrations (number, name, sha256) VALUES ({n:UInt32}, {name:String}, {sha:String})",
            {"n": migration.number, "name": migration.name, "sha": migration.sha256},
        )
        done.append(f"{migration.number:04}_{migration.name}")
    differences = table_differences(warehouse)
    if differences:
        raise TerminalError("tables differ from their contracts: " + "; ".join(differences))
    return done


def has_table(dataset: Dataset) -> bool:
    """Tell whether the warehouse has a table of it: the tape lies in the lake, a compacted topic is its own store."""
    return dataset is not TAPE and (dataset.topic is None or dataset.delivered)


def table_differences(warehouse: Warehouse) -> list[str]:
    """Say how the warehouse's tables differ from the contracts."""
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in warehouse.rows(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    ):
        found.setdefault(table, {})[column] = kind
    differences = []
    for dataset in filter(has_table, DATASETS):
        wanted, present = clickhouse_columns(dataset), found.get(dataset.table)
        if present is None:
            differences.append(f"{dataset.table} is missing")
        elif list(wanted.items()) != list(present.items()):
            changed = dict(set(wanted.items()) ^ set(present.items()))
            differences.append(f"{dataset.table}: contract and table differ in {sorted(changed) or 'column order'}")
    return differences
