"""Trades of an instrument as a frame: polars, pandas or Arrow."""

from typing import Any

from contracts.trades import TRADES
from serving.frames import Form, Moment, as_of_moment, checked_form, in_form, micros, of_feed, read
from stores.settings import WarehouseSettings

KEYS = ("event_time", "venue", "instrument", "id_space", "venue_sequence", "trade_id")
NUMBERS = ("price", "quantity")
REST = ("side", "trade_count", "received_time", "ingested_time")


def trades(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    as_: Form = "polars",
    exact: bool = False,
    as_of: Moment | None = None,
) -> Any:
    """Return the trades of an instrument, in the venue's symbols, oldest first; without `venue` those of every venue.

    `start` is included, `end` is not; both are UTC and bound event_time: days, times, or text such as 2024-08-08.
    Columns: event_time (microseconds, UTC), venue, instrument, id_space, venue_sequence, trade_id, price, quantity,
    side, trade_count, received_time, ingested_time. Prices are floats; with `exact` they are decimals as stored. With
    `as_of` the trades are those that were known at that moment, by ingested_time, as they were stored then. Raises
    TerminalError on an unknown form or time, RetryableError when the warehouse is away.
    """
    checked_form(as_)
    since, until, known = micros("start", start), micros("end", end), micros("as_of", as_of)
    source = f"{TRADES.table} AS trades FINAL"
    if known is not None:
        source = f"{TRADES.table}_as_of({as_of_moment(known)}) AS trades"
    numbers = [name if exact else f"toFloat64(trades.{name}) AS {name}" for name in NUMBERS]
    query = (
        f"SELECT {', '.join([*KEYS, *numbers, *REST])} FROM {source} "
        f"WHERE {of_feed('event_time', venue, since, until)} ORDER BY {', '.join(KEYS)}"
    )
    values = {"instrument": instrument, "venue": venue, "since": since, "until": until}
    return in_form(read(settings, query, values), as_)
