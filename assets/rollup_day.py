"""Make one day of a rollup in the warehouse. Knows nothing of Dagster."""

import secrets
from contextlib import suppress
from datetime import date

from contracts.bars import BARS
from contracts.errors import TapehouseError
from contracts.rollups import Rollup
from stores.warehouse import Warehouse, literal


def replace_day(warehouse: Warehouse, query: str, rollup: Rollup, day: date) -> int:
    """Make the day's rows from the finer bars, put them in the place of the old ones at once, return their number.

    Run again it gives the same rows; a day without bars ends up empty. A reader sees the old day or the new one.
    `query` is the text of rollup.sql.
    """
    target = rollup.dataset.table
    # A name of its own for every attempt: two runs of one day must not fill, or empty, each other's table.
    staged = f"{target}_staged_{secrets.token_hex(6)}"
    _drop_abandoned(warehouse, target)
    warehouse.run(f"CREATE TABLE {staged} AS {target}")
    try:
        finest = rollup.source is BARS
        text = query.format(
            target=staged,
            source=f"{BARS.table}_current" if finest else rollup.source.table,
            minutes="1" if finest else "finer.minute_count",
            width_s=rollup.width_s,
        )
        warehouse.run(text, {"day": day})
        count = int(warehouse.value(f"SELECT count() FROM {staged}"))
        partition = literal(day.isoformat())
        if count:
            warehouse.run(f"ALTER TABLE {target} REPLACE PARTITION {partition} FROM {staged}")
        else:
            # ClickHouse refuses to replace by nothing, lest that be a mistake; here it is what the bars say.
            warehouse.run(f"ALTER TABLE {target} DROP PARTITION {partition}")
    finally:
        with suppress(TapehouseError):
            warehouse.run(f"DROP TABLE IF EXISTS {staged}")
    return count


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
