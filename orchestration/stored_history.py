"""Stored ranges as recorded history, so that what checks a file checks them too."""

from typing import TYPE_CHECKING, Any

from contracts.errors import TerminalError
from contracts.history import Recorded
from contracts.quotes import QUOTES
from contracts.trades import TRADES

if TYPE_CHECKING:
    import polars as pl

    from stores.settings import WarehouseSettings

# What can be looked at, and the width of its bars in seconds.
GRAINS_S = {"market.bars": 60, "market.bars_5m": 300, "market.bars_1h": 3_600, "market.bars_1d": 86_400}
DATASETS = (TRADES.name, QUOTES.name, *GRAINS_S)
_QUOTE_COLUMNS = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")


def stored_history(
    warehouse: "WarehouseSettings",
    dataset: str,
    instrument: str,
    venue: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> list[Recorded]:
    """Return a stored range, one series for each venue and id space; times as in orchestration.read.

    Raises TerminalError for another dataset or a time that is none, RetryableError when the warehouse is away.
    """
    if dataset not in DATASETS:
        raise TerminalError(f"{dataset!r} is no file and no dataset; valid: {', '.join(DATASETS)}")
    return as_recorded(dataset, instrument, _rows(warehouse, dataset, instrument, venue, since, until))


def as_recorded(dataset: str, instrument: str, rows: "pl.DataFrame") -> list[Recorded]:
    """Split stored rows by venue and id space; a row's line is its number in order of time."""
    import polars as pl

    kind = {TRADES.name: "trades", QUOTES.name: "quotes"}.get(dataset, "bars")
    clock = "bar_time" if kind == "bars" else "event_time"
    columns = {
        "bars": ("open", "high", "low", "close", "volume", "trade_count"),
        "trades": ("price", "quantity", "side", "received_time"),
        "quotes": (*_QUOTE_COLUMNS, "received_time"),
    }[kind]
    found = []
    for part in rows.partition_by("venue", "id_space", maintain_order=True):
        frame = part.select(pl.col(clock).alias("time"), *columns)
        if kind == "trades":
            numbers = part["trade_id"].cast(pl.Int64, strict=False)
            frame = frame.with_columns(trade_id=part["trade_id"] if numbers.null_count() else numbers)
        if kind == "quotes" and (part["event_clock"] == "collector").any():
            frame = frame.drop("received_time")
        frame = frame.with_row_index("line", 1).with_columns(pl.col("line").cast(pl.Int64))
        found.append(
            Recorded(
                kind=kind,
                dataset=f"{dataset} {part['venue'][0]} {part['id_space'][0]}",
                instrument=instrument,
                frame=frame,
                unreadable=pl.DataFrame(schema={"line": pl.Int64, "raw": pl.String, "reason": pl.String}),
                venue=part["venue"][0],
                market="crypto",
                width_s=GRAINS_S.get(dataset, 0),
                # Stored rows carry the order of their ids, not that of a file.
                notes={"feed": True} if kind != "bars" else {},
            )
        )
    return found


def _rows(
    warehouse: "WarehouseSettings",
    dataset: str,
    instrument: str,
    venue: str | None,
    since: str | None,
    until: str | None,
) -> "pl.DataFrame":
    from orchestration import read as reading
    from serving.frames import in_form, micros, of_feed, read

    bounds: dict[str, Any] = {"venue": venue, "start": since, "end": until, "exact": True, "settings": warehouse}
    if dataset == TRADES.name:
        rows: pl.DataFrame = reading.trades(instrument, **bounds)
    elif dataset in GRAINS_S:
        rows = reading.bars(instrument, grain=dataset.partition("_")[2] or "1m", **bounds)
    else:
        begin, end = micros("--from", since), micros("--to", until)
        columns = ("venue", "id_space", "event_time", "event_clock", "received_time", *_QUOTE_COLUMNS)
        query = (
            f"SELECT {', '.join(columns)} FROM {QUOTES.table} FINAL "
            f"WHERE {of_feed('event_time', venue, begin, end)} ORDER BY venue, id_space, venue_sequence, update_id"
        )
        values = {"instrument": instrument, "venue": venue, "since": begin, "until": end}
        rows = in_form(read(warehouse, query, values), "polars")
    return rows
