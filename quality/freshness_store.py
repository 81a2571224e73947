"""Read what was heard of each series from the stored tables, and keep how it stands."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from contracts.books import BOOKS
from contracts.dataset import Dataset
from contracts.freshness import FRESHNESS
from contracts.imports import CONNECTION_PREFIX
from contracts.ledger import LEDGER
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from quality.freshness import Freshness, Heard, Known, Series

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

# What venues send by themselves. Instruments are asked for, a few times a day.
WATCHED: tuple[Dataset, ...] = (TRADES, QUOTES, BOOKS, VENUE_BARS)


def read_standing(warehouse: "Warehouse") -> dict[Series, Freshness]:
    """Read how each series stood when it was noted last."""
    from quality.stored import read

    found = {}
    for row in read(warehouse, FRESHNESS):
        series = Series(row["venue"], row["instrument"], row["dataset"])
        known = Known(row["last_event_time"], row["last_received_time"], row["cadence_ms"])
        found[series] = Freshness(series, known, row["age_ms"], row["state"], row["known_time"])
    return found


def write_standing(warehouse: "Warehouse", rows: Iterable[Freshness]) -> None:
    """Keep how series stand."""
    from quality.stored import append

    append(warehouse, FRESHNESS, (_row(one) for one in rows))


def _row(one: Freshness) -> dict[str, Any]:
    return {
        "venue": one.series.venue,
        "instrument": one.series.instrument,
        "dataset": one.series.dataset,
        "last_event_time": one.known.last_event,
        "last_received_time": one.known.last_received,
        "cadence_ms": one.known.cadence_ms,
        "age_ms": one.age_ms,
        "state": one.state,
        "known_time": one.known_time,
    }


def read_heard(warehouse: "Warehouse", since: int, *, with_gaps: bool) -> dict[Series, Heard]:
    """Read what was received since then, with the silences in between if asked for; those cost more."""
    found: dict[Series, Heard] = {}
    for dataset in WATCHED:
        found |= _heard(warehouse, dataset, since, with_gaps)
    return found


def _heard(warehouse: "Warehouse", dataset: Dataset, since: int, with_gaps: bool) -> dict[Series, Heard]:
    first = first_offset(warehouse, dataset, since)
    if first is None:
        return {}
    # Silences in whole seconds: how many of each length.
    gaps = """
        arrayPopFront(arrayDifference(arraySort(groupUniqArray(toUnixTimestamp(received_time))))) AS silences,
        arraySort(arrayDistinct(silences)),
        arrayMap(length -> countEqual(silences, length), arraySort(arrayDistinct(silences)))"""
    rows = warehouse.rows(
        f"""
        SELECT venue, instrument, toUnixTimestamp64Micro(max(event_time)), toUnixTimestamp64Micro(max(received_time)),
            {gaps if with_gaps else "[], [], []"}
        FROM {dataset.table}
        WHERE kafka_offset >= {{first:Int64}} AND received_time >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC')
            AND NOT startsWith(connection_id, '{CONNECTION_PREFIX}') -- nobody expects more of a file
        GROUP BY venue, instrument""",
        {"first": first, "since": since},
    )
    return {
        Series(venue, instrument, dataset.name): Heard(
            int(event), int(received), {int(g): int(n) for g, n in zip(lengths, counts, strict=True)}
        )
        for venue, instrument, event, received, _, lengths, counts in rows
    }


def first_offset(warehouse: "Warehouse", dataset: Dataset, since: int) -> int | None:
    """Return the lowest offset delivered since then: tables are indexed by it, not by the time of receipt."""
    count, first = warehouse.rows(
        f"SELECT count(), min(first_offset) FROM {LEDGER.table} "
        "WHERE sink = {sink:String} AND closed_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')",
        {"sink": f"warehouse.{dataset.table}", "since": since},
    )[0]
    return int(first) if count else None
