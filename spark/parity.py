"""Keep what a rebuild of a day came to, in system.parity."""

import secrets
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa

from contracts.parity import PARITY
from spark.comparison import Comparison, InstrumentComparison
from spark.differences import NOWHERE
from stores.arrow import arrow_schema
from stores.seals import sealed_datasets
from stores.warehouse import Warehouse

_OF_DAY = "day_time = toDateTime64({day:Date}, 6, 'UTC')"


def record_parity(
    warehouse: Warehouse, day: date, found: Sequence[Comparison], run_id: str, now: datetime | None = None
) -> int:
    """Write a row for each instrument of each table as the day's next revision, and return how many they were.

    What an earlier rebuild had found and this one finds on neither side is written as nothing on both: else the view
    would go on telling of it. What is sealed was not compared, and keeps what it came to.
    """
    instruments = [one for table in found for one in table.instruments]
    sealed = sealed_datasets(warehouse, day)
    present = {(one.venue, one.instrument, one.dataset) for one in instruments}
    for venue, instrument, dataset in warehouse.rows(
        f"SELECT venue, instrument, dataset FROM {PARITY.table}_current "
        f"WHERE {_OF_DAY} AND (streamed_count > 0 OR rebuilt_count > 0)",
        {"day": day},
    ):
        if dataset not in sealed and (venue, instrument, dataset) not in present:
            instruments.append(InstrumentComparison(dataset, venue, instrument, 0, 0, 0, 0))
    if not instruments:
        return 0
    revision = 1 + int(warehouse.value(f"SELECT max(revision) FROM {PARITY.table} WHERE {_OF_DAY}", {"day": day}))
    shared = {
        "day_time": datetime.combine(day, time(), UTC),
        "revision": revision,
        "run_id": run_id,
        "known_time": now or datetime.now(UTC),
    }
    rows = pa.Table.from_pylist([_row(one) | shared for one in instruments], schema=arrow_schema(PARITY.columns))
    warehouse.insert(PARITY.table, rows, token=f"{PARITY.name}:{secrets.token_hex(8)}")
    return len(instruments)


def _row(one: InstrumentComparison) -> dict[str, Any]:
    place = one.difference.place if one.difference else NOWHERE
    return {
        "venue": one.venue,
        "instrument": one.instrument,
        "dataset": one.dataset,
        "streamed_count": one.streamed_count,
        "rebuilt_count": one.rebuilt_count,
        "streamed_hash": one.streamed_hash,
        "rebuilt_hash": one.rebuilt_hash,
        "equal": int(one.equal),
        "first_difference": one.difference.text if one.difference else "",
        **place._asdict(),
    }
