"""Numbers of the stored tables, as Dagster metadata. Each query's work is bounded by days, or by small tables."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from assets.store import Store
from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.dataset import Dataset
from contracts.gaps import GAPS, STATES
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.seals import SEALS
from contracts.trades import DISPLACED_TRADES, TRADES

ROWS_SHOWN = 20


def changed_days(store: Store, since: int) -> list[tuple[date, int]]:
    """Return the days whose bars changed after `since`, oldest change first, with the time of the newest change."""
    found = store.warehouse().rows(store.query("rollup_days"), {"since": since})
    return [(day, int(known)) for day, known, _ in found]


def trades_of_days(store: Store, days: Sequence[date]) -> dict[date, dict[str, Any]]:
    """Return the exact numbers of each of the days."""
    if not days:
        return {}
    found = store.warehouse().rows(
        "SELECT toDate(event_time) AS day, count(), uniqExact(venue, instrument), "
        "toUnixTimestamp64Micro(max(event_time)), toUnixTimestamp64Micro(max(ingested_time)) "
        f"FROM {TRADES.table} FINAL WHERE toDate(event_time) IN {{days:Array(Date)}} GROUP BY day ORDER BY day",
        {"days": list(days)},
    )
    return {
        day: {
            "dagster/partition_row_count": int(count),
            "instruments": int(instruments),
            "newest_event": _time(newest),
            "newest_ingested": _time(ingested),
        }
        for day, count, instruments, newest, ingested in found
    }


def delivered_numbers(store: Store, dataset: Dataset) -> dict[str, Any]:
    """Return the table's rows as ledger and seals count them, so that a large table need not be read."""
    warehouse = store.warehouse()
    retired = warehouse.value(
        f"SELECT sum(row_count) FROM {SEALS.table}_current WHERE dataset = {{name:String}} AND state = 'dropped'",
        {"name": dataset.name},
    )
    stored, duplicates, quarantined = warehouse.rows(
        "SELECT sum(stored_count), sum(duplicate_count), sum(quarantined_count) "
        f"FROM {LEDGER.table} FINAL WHERE sink = {{sink:String}}",
        {"sink": f"warehouse.{dataset.table}"},
    )[0]
    newest = warehouse.value(f"SELECT toUnixTimestamp64Micro(max(event_time)) FROM {dataset.table}")
    return {
        "dagster/row_count": int(stored) - int(retired),
        "duplicates": int(duplicates),
        "quarantined": int(quarantined),
        **_newest("newest_event", newest),
    }


def gaps_numbers(store: Store) -> dict[str, Any]:
    """Return the revisions of gaps, and how the gaps stand now."""
    columns = ("venue", "id_space", "kind", "state", "gaps", "missing", "recovered")
    found = store.warehouse().rows(
        "SELECT venue, id_space, kind, state, count() AS gaps, sumIf(missing_count, missing_count > 0), "
        f"sum(recovered_count) FROM {GAPS.table}_current GROUP BY venue, id_space, kind, state "
        "ORDER BY gaps DESC, venue, id_space, kind, state"
    )
    counts = {state: sum(int(row[4]) for row in found if row[3] == state) for state in STATES}
    standing = {f"{state}_gaps": count for state, count in counts.items() if state in ("open", "unfillable")}
    return delivered_numbers(store, GAPS) | standing | _rows_table("gaps", columns, found)


def book_snapshot_numbers(store: Store) -> dict[str, Any]:
    """Return how many whole books are kept."""
    count, incomplete, newest = store.warehouse().rows(
        "SELECT count(), countIf(state = 'incomplete'), toUnixTimestamp64Micro(max(snapshot_time)) "
        f"FROM {BOOK_SNAPSHOTS.table} FINAL WHERE state != 'withdrawn'"
    )[0]
    return {"dagster/row_count": int(count), "incomplete": int(incomplete), **_newest("newest_snapshot", newest)}


def displaced_numbers(store: Store) -> dict[str, Any]:
    """Return how many trades lost their place to a row from earlier on the tape."""
    count, newest = store.warehouse().rows(
        f"SELECT count(), toUnixTimestamp64Micro(max(event_time)) FROM {DISPLACED_TRADES.table} FINAL"
    )[0]
    return {"dagster/row_count": int(count), **_newest("newest_event", newest)}


def bars_numbers(store: Store) -> dict[str, Any]:
    """Return the numbers of the bars as they are known now."""
    count, instruments, provisional, newest, known = store.warehouse().rows(
        "SELECT count(), uniqExact(venue, instrument), countIf(state = 'provisional'), "
        f"toUnixTimestamp64Micro(max(bar_time)), toUnixTimestamp64Micro(max(known_time)) FROM {BARS.table}_current"
    )[0]
    return {
        "dagster/row_count": int(count),
        "instruments": int(instruments),
        "provisional_bars": int(provisional),
        **_newest("newest_bar", newest),
        **_newest("newest_known", known),
    }


def quarantine_numbers(store: Store) -> dict[str, Any]:
    """Return how much is in quarantine, and why."""
    columns = ("dataset", "venue", "reason", "records", "example")
    found = store.warehouse().rows(
        f"SELECT dataset, venue, reason, count() AS records, any(detail) FROM {QUARANTINE.table} FINAL "
        "GROUP BY dataset, venue, reason ORDER BY records DESC, reason"
    )
    newest = store.warehouse().value(f"SELECT toUnixTimestamp64Micro(max(ingested_time)) FROM {QUARANTINE.table}")
    return {
        "dagster/row_count": sum(int(row[3]) for row in found),
        **_newest("newest", newest),
        **_rows_table("reasons", columns, found),
    }


def ledger_numbers(store: Store) -> dict[str, Any]:
    """Return what was delivered to each sink."""
    columns = ("sink", "topic", "ranges", "read", "stored", "duplicate", "quarantined")
    found = store.warehouse().rows(
        "SELECT sink, topic, count(), sum(read_count), sum(stored_count), sum(duplicate_count), sum(quarantined_count) "
        f"FROM {LEDGER.table} FINAL GROUP BY sink, topic ORDER BY sink, topic"
    )
    newest = store.warehouse().value(f"SELECT toUnixTimestamp64Micro(max(closed_time)) FROM {LEDGER.table}")
    return {
        "dagster/row_count": sum(int(row[2]) for row in found),
        **_newest("last_closed", newest),
        **_rows_table("deliveries", columns, found),
    }


def lake_numbers(store: Store) -> dict[str, Any]:
    """Return the numbers of the tape in the lake, from the table's own log."""
    import pyarrow as pa

    from stores.lake import open_tape

    table = open_tape(store.lake)
    if table is None:
        return {"dagster/row_count": 0, "note": "no payload was archived yet"}
    files = pa.table(table.get_add_actions(flatten=True))
    rows = files["num_records"].to_pylist()
    return {
        "dagster/row_count": sum(int(count or 0) for count in rows),
        "files": files.num_rows,
        "size_mib": round(sum(files["size_bytes"].to_pylist()) / 2**20, 3),
        "version": table.version(),
    }


def _time(micros: int) -> dg.TimestampMetadataValue:
    return dg.MetadataValue.timestamp(datetime.fromtimestamp(int(micros) / 1_000_000, UTC))


def _newest(name: str, micros: int) -> dict[str, Any]:
    # An empty table's newest time is the epoch, which would look like a fact.
    return {name: _time(micros)} if micros else {}


def _rows_table(name: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    if not rows:
        return {}
    schema = dg.TableSchema(
        [dg.TableColumn(c, "string" if isinstance(rows[0][i], str) else "int") for i, c in enumerate(columns)]
    )
    records = [dg.TableRecord(dict(zip(columns, row, strict=True))) for row in rows[:ROWS_SHOWN]]
    return {name: dg.MetadataValue.table(records=records, schema=schema)}
