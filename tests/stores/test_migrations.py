"""Migrations are numbered, applied once, never edited afterwards, and end in what the contracts say."""

from pathlib import Path
from typing import Any

import pytest

from contracts.errors import TerminalError
from orchestration.prepare import MIGRATIONS, apply_migrations
from stores.migrations import migrate, read_migrations, table_differences
from stores.warehouse import Warehouse


def test_applying_again_changes_nothing_and_tables_are_as_contracts_say(platform: Any) -> None:
    assert apply_migrations(platform.settings) == []
    assert table_differences(Warehouse(platform.warehouse)) == []


def test_every_migration_can_be_repeated(platform: Any) -> None:
    warehouse = Warehouse(platform.warehouse)
    for migration in read_migrations(MIGRATIONS):
        for statement in migration.statements:
            warehouse.run(statement)
    assert table_differences(warehouse) == []


def test_an_edited_migration_is_refused(platform: Any, tmp_path: Path) -> None:
    for file in MIGRATIONS.glob("*.sql"):
        (tmp_path / file.name).write_text(file.read_text())
    edited = tmp_path / "0001_delivery_ledger.sql"
    edited.write_text(edited.read_text() + "\n-- a thought that came later\n")
    with pytest.raises(TerminalError, match="0001_delivery_ledger was edited after it was applied"):
        migrate(Warehouse(platform.warehouse), tmp_path)


def test_a_hole_in_the_numbers_is_refused(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0003_b.sql"):
        (tmp_path / name).write_text("SELECT 1;\n")
    with pytest.raises(TerminalError, match=r"without holes; found \[1, 3\]"):
        read_migrations(tmp_path)


def test_a_table_that_differs_from_its_contract_is_named(platform: Any) -> None:
    warehouse = Warehouse(platform.warehouse)
    warehouse.run("ALTER TABLE system_quarantine ADD COLUMN colour String")
    try:
        assert table_differences(warehouse) == ["system_quarantine: contract and table differ in ['colour']"]
    finally:
        warehouse.run("ALTER TABLE system_quarantine DROP COLUMN colour")
