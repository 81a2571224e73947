"""The resource that says where things are: warehouse, lake, named queries."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stores.settings import LakeSettings, WarehouseSettings

if TYPE_CHECKING:
    from stores.warehouse import Warehouse


@dataclass(frozen=True)
class Store:
    """Where the stored data is; `queries` is the folder of named queries (sql/queries)."""

    warehouse_settings: WarehouseSettings
    lake: LakeSettings
    queries: Path

    def warehouse(self) -> "Warehouse":
        """Open a connection to the warehouse, to be used by one thread."""
        from stores.warehouse import Warehouse  # takes longer to import than the whole code location may

        return Warehouse(self.warehouse_settings)

    def query(self, name: str) -> str:
        """Return the text of a named query."""
        return (self.queries / f"{name}.sql").read_text()
