"""Make one day of a rollup in the warehouse. Knows nothing of Dagster."""

from datetime import date

from assets.staged import put_in_place, staged_table
from contracts.bars import BARS
from contracts.rollups import Rollup
from stores.seals import sealed_datasets
from stores.warehouse import Warehouse, literal


def replace_day(warehouse: Warehouse, query: str, rollup: Rollup, day: date) -> int:
    """Make the day's rows from the finer bars, put them in the place of the old ones at once, return their number.

    Run again it gives the same rows; a day without bars ends up empty. A reader sees the old day or the new one. A day
    that is sealed, itself or what it is made from, stays as it is.
    `query` is the text of rollup.sql.
    """
    target = rollup.dataset.table
    if {rollup.dataset.name, rollup.source.name} & sealed_datasets(warehouse, day):
        return int(warehouse.value(f"SELECT count() FROM {target} WHERE toDate(bar_time) = {{day:Date}}", {"day": day}))
    with staged_table(warehouse, target) as staged:
        finest = rollup.source is BARS
        text = query.format(
            target=staged,
            source=f"{BARS.table}_current" if finest else rollup.source.table,
            minutes="1" if finest else "finer.minute_count",
            width_s=rollup.width_s,
        )
        warehouse.run(text, {"day": day})
        count = int(warehouse.value(f"SELECT count() FROM {staged}"))
        put_in_place(warehouse, target, literal(day.isoformat()), staged, filled=count > 0)
    return count
