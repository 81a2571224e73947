"""Keeps the trades that lose their place, so that what was known before can still be asked for."""

import pyarrow as pa
import pyarrow.compute as pc

from contracts.trades import DISPLACED_TRADES, TRADES
from stores.warehouse import Warehouse, tuples

# As many grains as one query names: its text stays far below the warehouse's limit of 256 KiB.
GRAINS_A_QUERY = 500


def keep_displaced(warehouse: Warehouse, table: str, rows: pa.Table) -> None:
    """Copy the stored trades whose places `rows` (displaced_count above 0) are about to take; again changes nothing.

    Only of the trades' own table: what a rebuild or a benchmark writes beside it has no history.
    """
    if table != TRADES.table:
        return
    grain = list(TRADES.grain)
    displacing = rows.filter(pc.greater(rows["displaced_count"], 0)).select(grain)
    names = ", ".join(column.name for column in TRADES.columns)
    for start in range(0, displacing.num_rows, GRAINS_A_QUERY):
        chunk = displacing.slice(start, GRAINS_A_QUERY)
        keys = list(zip(*(column.to_pylist() for column in chunk.columns), strict=True))
        warehouse.run(
            f"INSERT INTO {DISPLACED_TRADES.table} ({names}) SELECT {names} FROM {TRADES.table} FINAL "
            f"WHERE ({', '.join(grain)}) IN ({tuples(keys)})"
        )
