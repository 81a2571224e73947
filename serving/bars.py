"""Bars of an instrument as a frame: polars, pandas or Arrow."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal, overload

from contracts.bars import BARS
from contracts.errors import TerminalError
from contracts.rollups import ROLLUPS
from stores.settings import WarehouseSettings

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Form = Literal["polars", "pandas", "arrow"]
FORMS: tuple[Form, ...] = ("polars", "pandas", "arrow")

# One-minute bars as they are known now; coarser ones stand in tables of their own.
TABLES = {"1m": f"{BARS.table}_current"} | {
    r.dataset.table.removeprefix(f"{BARS.table}_"): r.dataset.table for r in ROLLUPS
}
KEYS = ("bar_time", "venue", "instrument", "id_space")
NUMBERS = ("open", "high", "low", "close", "volume", "notional")
REST = ("trade_count", "state", "known_time")


@overload
def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: date | datetime | str | None = None,
    end: date | datetime | str | None = None,
    grain: str = "1m",
    as_: Literal["polars"] = "polars",
    exact: bool = False,
) -> "pl.DataFrame": ...


@overload
def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: date | datetime | str | None = None,
    end: date | datetime | str | None = None,
    grain: str = "1m",
    *,
    as_: Literal["pandas"],
    exact: bool = False,
) -> "pd.DataFrame": ...


@overload
def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: date | datetime | str | None = None,
    end: date | datetime | str | None = None,
    grain: str = "1m",
    *,
    as_: Literal["arrow"],
    exact: bool = False,
) -> "pa.Table": ...


def bars(
    settings: WarehouseSettings,
    instrument: str,
    venue: str | None = None,
    start: date | datetime | str | None = None,
    end: date | datetime | str | None = None,
    grain: str = "1m",
    as_: Form = "polars",
    exact: bool = False,
) -> Any:
    """Return the bars of an instrument, in the venue's symbols, oldest first; without `venue` those of every venue.

    `start` is included, `end` is not; both are UTC: days, times, or text such as 2024-08-08 or 2024-08-08T12:00. A time
    without a zone is UTC. `grain` is 1m, 5m, 1h or 1d. Columns: bar_time (microseconds, UTC), venue, instrument,
    id_space, open, high, low, close, volume, notional, vwap, trade_count, state, known_time. Prices are floats; with
    `exact` they are decimals as stored, and vwap, a division, is a float all the same. No bars give an empty frame with
    these columns. Raises TerminalError on an unknown grain, form or time, RetryableError when the warehouse is away.
    """
    table = _one_of("grain", grain, TABLES)
    _one_of("as_", as_, {form: form for form in FORMS})
    since, until = _moment("start", start), _moment("end", end)
    found = _read(settings, _query(table, venue, since, until, exact), instrument, venue, since, until)
    if as_ == "arrow":
        return found
    if as_ == "pandas":
        return found.to_pandas()
    import polars as pl

    return pl.from_arrow(found)


def _query(table: str, venue: str | None, since: datetime | None, until: datetime | None, exact: bool) -> str:
    conditions = ["instrument = {instrument:String}"]
    conditions += ["venue = {venue:String}"] if venue is not None else []
    conditions += ["bar_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')"] if since else []
    conditions += ["bar_time < fromUnixTimestamp64Micro({until:Int64}, 'UTC')"] if until else []
    numbers = [name if exact else f"toFloat64({table}.{name}) AS {name}" for name in NUMBERS]
    vwap = f"toFloat64({table}.notional) / toFloat64({table}.volume) AS vwap"
    columns = ", ".join([*KEYS, *numbers, vwap, *REST])
    return f"SELECT {columns} FROM {table} WHERE {' AND '.join(conditions)} ORDER BY {', '.join(KEYS)}"


def _read(
    settings: WarehouseSettings,
    query: str,
    instrument: str,
    venue: str | None,
    since: datetime | None,
    until: datetime | None,
) -> "pa.Table":
    from stores.warehouse import Warehouse

    values = {"instrument": instrument, "venue": venue, "since": _micros(since), "until": _micros(until)}
    warehouse = Warehouse(settings)
    try:
        return warehouse.table(query, {name: value for name, value in values.items() if value is not None})
    finally:
        warehouse.close()


def _one_of(name: str, value: str, known: dict[str, str] | dict[Form, Form]) -> str:
    found = {str(key): str(one) for key, one in known.items()}.get(value)
    if found is None:
        raise TerminalError(f"{name} {value!r} is unknown; valid: {', '.join(known)}")
    return found


def _moment(name: str, value: date | datetime | str | None) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise TerminalError(
                f"{name} {value!r} is no time; valid: a day such as 2024-08-08, or a time such as 2024-08-08T12:00"
            ) from error
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - it is given its zone below
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _micros(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
