"""Fill a table beside another, to put its partitions in the place of the old ones at once. Knows nothing of Dagster."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from contracts.errors import TapehouseError
from stores.warehouse import Warehouse


@contextmanager
def staged_table(warehouse: Warehouse, target: str) -> Iterator[str]:
    """Make an empty table like the target and hand out its name; it is gone afterwards, whatever happened."""
    # A name of its own for every attempt: two runs of one day must not fill, or empty, each other's table.
    staged = f"{target}_staged_{secrets.token_hex(6)}"
    _drop_abandoned(warehouse, target)
    warehouse.run(f"CREATE TABLE {staged} AS {target}")
    try:
        yield staged
    finally:
        with suppress(TapehouseError):
            warehouse.run(f"DROP TABLE IF EXISTS {staged}")


def put_in_place(warehouse: Warehouse, target: str, partition: str, staged: str, *, filled: bool) -> None:
    """Replace a partition of the target by the staged one, or take it away where that is empty.

    `partition` is SQL text.
    """
    if filled:
        warehouse.run(f"ALTER TABLE {target} REPLACE PARTITION {partition} FROM {staged}")
    else:
        # ClickHouse refuses to replace by nothing, lest that be a mistake; here it is what the day says.
        warehouse.run(f"ALTER TABLE {target} DROP PARTITION {partition}")


def _drop_abandoned(warehouse: Warehouse, target: str) -> None:
    """Drop what runs that were killed have left: no attempt takes an hour.

    A table that another run makes at this moment has no time yet, or the epoch's.
    """
    for (name,) in warehouse.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, {prefix:String}) "
        "AND metadata_modification_time BETWEEN '2000-01-01' AND now() - INTERVAL 1 HOUR",
        {"prefix": f"{target}_staged_"},
    ):
        warehouse.run(f"DROP TABLE IF EXISTS {name}")
