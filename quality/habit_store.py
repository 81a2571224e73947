"""Learn silences from what was received, hour by hour, and read a series' habit from the last weeks of them."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from contracts.silences import SILENCES
from quality.freshness import Series
from quality.freshness_store import WATCHED, first_offset
from quality.habit import HOUR, Habit, Hour, hour_of_week

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

# A silence that began longer ago is not seen: its series is all but never heard.
READ_HOURS = 26
WEEKS = 8


def learn_silences(warehouse: "Warehouse", query: str, now: int) -> None:
    """Measure the hours that are over, of the last day; `query` is the text of silences.sql.

    Run again it writes only what has changed.
    """
    hour = now // HOUR
    since = (hour - READ_HOURS) * HOUR
    for dataset in WATCHED:
        first = first_offset(warehouse, dataset, since)
        if first is not None:
            asked = {"first": first, "since": since, "from_hour": hour - READ_HOURS + 1, "to_hour": hour, "now": now}
            warehouse.run(query.format(table=dataset.table, dataset=dataset.name), asked)


def read_habits(warehouse: "Warehouse", series: Collection[Series], now: int) -> dict[Series, Habit]:
    """Return by hour of the week what is known of these series: of each hour the middle one of the last weeks."""
    if not series:
        return {}
    from stores.warehouse import tuples

    wanted = tuples([(one.venue, one.instrument, one.dataset) for one in sorted(series)])
    rows = warehouse.rows(
        "SELECT venue, instrument, dataset, intDiv(toUnixTimestamp(hour_time), 3600) % 168 AS hour, "
        "sum(silence_count), quantileExact(0.5)(ordinary_ms) "
        f"FROM {SILENCES.table} FINAL WHERE (venue, instrument, dataset) IN ({wanted}) "
        "AND hour_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') GROUP BY venue, instrument, dataset, hour",
        {"since": now - WEEKS * 168 * HOUR},
    )
    found: dict[Series, dict[int, Hour]] = {}
    for venue, instrument, dataset, hour, count, ordinary in rows:
        # The hour counts from the epoch, which the habit's does not.
        known = found.setdefault(Series(venue, instrument, dataset), {})
        known[hour_of_week(int(hour) * HOUR)] = Hour(int(count), int(ordinary))
    return dict(found)
