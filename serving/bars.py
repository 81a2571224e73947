"""Bars of an instrument as a frame: polars, pandas or Arrow."""

from typing import TYPE_CHECKING, Any, Literal, overload

from contracts.bars import BARS
from contracts.errors import TerminalError
from contracts.rollups import ROLLUPS
from serving.frames import FORMS, Form, Moment, as_of_moment, checked_form, in_form, micros, of_feed, read
from stores.settings import WarehouseSettings

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["FORMS", "Form", "bars"]

# One-minute bars as they are known now; coarser ones stand in tables of their own.
TABLES = {"1m": f"{BARS.table}_current"} | {
    r.dataset.table.removeprefix(f"{BARS.table}_"): r.dataset.table for r in ROLLUPS
}
WIDTHS_S = {r.dataset.table.removeprefix(f"{BARS.table}_"): r.width_s for r in ROLLUPS}
KEYS = ("bar_time", "venue", "instrument", "id_space")
NUMBERS = ("open", "high", "low", "close", "volume", "notional")
REST = ("trade_count", "state", "known_time")


@overload
def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    grain: str = "1m",
    as_: Literal["polars"] = "polars",
    exact: bool = False,
    as_of: Moment | None = None,
) -> "pl.DataFrame": ...


@overload
def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    grain: str = "1m",
    *,
    as_: Literal["pandas"],
    exact: bool = False,
    as_of: Moment | None = None,
) -> "pd.DataFrame": ...


@overload
def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    grain: str = "1m",
    *,
    as_: Literal["arrow"],
    exact: bool = False,
    as_of: Moment | None = None,
) -> "pa.Table": ...


@overload
def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    grain: str = "1m",
    *,
    as_: Form,
    exact: bool = False,
    as_of: Moment | None = None,
) -> Any: ...


def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    grain: str = "1m",
    as_: Form = "polars",
    exact: bool = False,
    as_of: Moment | None = None,
) -> Any:
    """Return the bars of an instrument, in the venue's symbols, oldest first; without `venue` those of every venue.

    `start` is included, `end` is not; both are UTC: days, times, or text such as 2024-08-08 or 2024-08-08T12:00. A time
    without a zone is UTC. `grain` is 1m, 5m, 1h or 1d. Columns: bar_time (microseconds, UTC), venue, instrument,
    id_space, open, high, low, close, volume, notional, vwap, trade_count, state, known_time. Prices are floats; with
    `exact` they are decimals as stored, and vwap, a division, is a float all the same. No bars give an empty frame with
    these columns. With `as_of` the bars are those that were known at that moment: later trades, refilled ones too, have
    not corrected them yet, and coarser bars are made from the minutes known then. Raises TerminalError on an unknown
    grain, form or time, RetryableError when the warehouse is away.
    """
    checked_form(as_)
    since, until, known = micros("start", start), micros("end", end), micros("as_of", as_of)
    table = _source(grain, known)
    query = f"SELECT {_columns(exact)} FROM {table} AS bars WHERE {of_feed('bar_time', venue, since, until)} "
    values = {"instrument": instrument, "venue": venue, "since": since, "until": until}
    return in_form(read(settings, f"{query} ORDER BY {', '.join(KEYS)}", values), as_)


def _columns(exact: bool) -> str:
    numbers = [name if exact else f"toFloat64(bars.{name}) AS {name}" for name in NUMBERS]
    vwap = "toFloat64(bars.notional) / toFloat64(bars.volume) AS vwap"
    return ", ".join([*KEYS, *numbers, vwap, *REST])


def _source(grain: str, known: int | None) -> str:
    """Name the table, or the view of what was known at that moment (microseconds), that holds bars of this grain."""
    if grain not in TABLES:
        raise TerminalError(f"grain {grain!r} is unknown; valid: {', '.join(TABLES)}")
    if known is None:
        return TABLES[grain]
    if grain not in WIDTHS_S:
        return f"{BARS.table}_as_of({as_of_moment(known)})"
    return f"{BARS.table}_rolled_as_of({as_of_moment(known)}, width_s = {WIDTHS_S[grain]})"
