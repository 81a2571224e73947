"""The tables that the streams write: observed, with a partition's numbers for each day that changed."""

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Any

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import DAILY, STORED, asset_key, dataset_spec, made_daily, observable
from assets.store import Store
from assets.streams import IMPORT_TOPIC, TABLE_TOPICS, TAPE_TOPICS, stream_key
from assets.table_numbers import (
    book_snapshot_numbers,
    changed_days,
    delivered_numbers,
    displaced_numbers,
    gaps_numbers,
    lake_numbers,
    ledger_numbers,
    quarantine_numbers,
    trades_of_days,
)
from contracts.alerts import MARKET_ALERTS
from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.books import BOOKS
from contracts.catalog import MARKET
from contracts.dataset import Dataset
from contracts.gaps import GAPS
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE
from contracts.trades import DISPLACED_TRADES, TRADES

DAYS_AN_OBSERVATION = 31
MARK = "reported_until"
MARK_DEPTH = 50

_TABLE_STREAMS = [stream_key(topic) for topic in TABLE_TOPICS]
_TAPE_STREAMS = [stream_key(topic) for topic in (*TAPE_TOPICS.values(), IMPORT_TOPIC)]

_BY_DAY = [
    dataset_spec(
        TRADES,
        group=STORED,
        kinds={"clickhouse", "table"},
        deps=[stream_key(TRADES.name)],
        description="Written by the stream. Observing notes the numbers of each closed day that changed.",
        partitions=DAILY,
    ),
    dataset_spec(
        BARS,
        group=STORED,
        kinds={"clickhouse", "table"},
        deps=[asset_key(TRADES)],
        description="Every revision is kept; `market_bars_current` shows the bars as they are known now, with vwap. "
        "A day counts as materialised when its claims were put to it; observing notes the numbers of changed days.",
        partitions=DAILY,
        freshness=made_daily(),
    ),
]
_TOLD = {
    BOOKS.name: "`market_book_at` answers with the book of any moment, best first.",
    MARKET_ALERTS.name: "The process alert-stream finds them; docs/real-time.md says by which rules.",
}


def _written(dataset: Dataset) -> dg.AssetSpec:
    told = _TOLD.get(dataset.name, "")
    deps = [stream_key(dataset.name)]
    description = f"Written by the stream. {told}".strip()
    return dataset_spec(dataset, group=STORED, kinds={"clickhouse", "table"}, deps=deps, description=description)


_WHOLE = [
    *(_written(dataset) for dataset in (*MARKET, MARKET_ALERTS, GAPS) if dataset is not TRADES),
    dataset_spec(
        BOOK_SNAPSHOTS,
        group=STORED,
        kinds={"clickhouse", "table"},
        deps=[asset_key(BOOKS)],
        description="What the streams keep so that no question about a moment has to read far back.",
    ),
    dataset_spec(
        DISPLACED_TRADES,
        group=STORED,
        kinds={"clickhouse", "table"},
        deps=[stream_key(TRADES.name)],
        description="`market_trades_as_of` answers from it where a row was replaced after the moment asked for.",
    ),
    # A record that can't be read, or breaks a rule, may come by any topic.
    dataset_spec(QUARANTINE, group=STORED, kinds={"clickhouse", "table"}, deps=_TABLE_STREAMS),
    dataset_spec(LEDGER, group=STORED, kinds={"clickhouse", "table"}, deps=[*_TABLE_STREAMS, *_TAPE_STREAMS]),
    dataset_spec(
        TAPE,
        group=STORED,
        kinds={"deltalake", "spark"},
        deps=_TAPE_STREAMS,
        description="The truth that outlives Kafka: everything else can be made again from it.",
        table_name="lake.tape",
    ),
]


@observable("observe_market", _BY_DAY, DAILY)
def observe_market(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store]) -> Iterator[dg.ObserveResult]:
    """Note the whole table's numbers, and those of each closed day that changed since the last note.

    Run for one partition it notes that day alone.
    """
    with failing_by_type():
        # Dagster wants bars after the trades that they are made from.
        for key in (spec.key for spec in _BY_DAY if spec.key in context.selected_asset_keys):
            mark = _mark(context, key)
            if context.has_partition_key:
                days = [date.fromisoformat(context.partition_key)]
            else:
                changed = [(d, known) for d, known in changed_days(store, mark) if DAILY.has_partition_key(str(d))]
                # Days that changed at one moment stay together, or the mark would pass over the rest of them.
                last = changed[:DAYS_AN_OBSERVATION][-1][1] if changed else mark
                days = [day for day, known in changed if known <= last]
                mark = last
            context.log.info(f"{key.to_user_string()}: {len(days)} days changed")
            for day, numbers in _of_days(store, key, days):
                # A materialisation would make Dagster forget the outcome of the day's checks: "not evaluated".
                context.log_event(dg.AssetObservation(key, partition=day.isoformat(), metadata=numbers))
            yield dg.ObserveResult(asset_key=key, metadata=_of_table(store, key) | {MARK: mark})


@observable("observe_tables", _WHOLE)
def observe_tables(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store]) -> Iterator[dg.ObserveResult]:
    """Note the numbers of every table but trades and bars, and of the tape."""
    numbers: dict[dg.AssetKey, Callable[[Store], dict[str, Any]]] = {
        **{asset_key(dataset): partial(delivered_numbers, dataset=dataset) for dataset in (*MARKET, MARKET_ALERTS)},
        asset_key(GAPS): gaps_numbers,
        asset_key(BOOK_SNAPSHOTS): book_snapshot_numbers,
        asset_key(DISPLACED_TRADES): displaced_numbers,
        asset_key(QUARANTINE): quarantine_numbers,
        asset_key(LEDGER): ledger_numbers,
        asset_key(TAPE): lake_numbers,
    }
    with failing_by_type():
        # Dagster wants book snapshots after the books that they are made from.
        for key in (spec.key for spec in _WHOLE if spec.key in context.selected_asset_keys):
            yield dg.ObserveResult(asset_key=key, metadata=numbers[key](store))


def _mark(context: dg.AssetExecutionContext, key: dg.AssetKey) -> int:
    """Return until when changes were noted: it stands in the last observation."""
    for record in context.instance.fetch_observations(key, limit=MARK_DEPTH).records:
        observed = record.asset_observation
        if observed is not None and MARK in observed.metadata:
            return int(str(observed.metadata[MARK].value))
    return 0


def _of_days(store: Store, key: dg.AssetKey, days: list[date]) -> Iterator[tuple[date, dict[str, Any]]]:
    if key == asset_key(TRADES):
        yield from trades_of_days(store, days).items()
        return
    from assets.day_metadata import day_metadata
    from assets.day_view import read_day

    warehouse = store.warehouse()
    for day in days:
        yield day, day_metadata(read_day(warehouse, f"{BARS.table}_current", day))


def _of_table(store: Store, key: dg.AssetKey) -> dict[str, Any]:
    from assets.table_numbers import bars_numbers

    return delivered_numbers(store, TRADES) if key == asset_key(TRADES) else bars_numbers(store)
