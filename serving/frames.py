"""What every frame has in common: its form, the moments that bound it, and how it is read."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from contracts.errors import TerminalError
from stores.settings import WarehouseSettings

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["polars", "pandas", "arrow"]
FORMS: tuple[Form, ...] = ("polars", "pandas", "arrow")
Moment = date | datetime | str


def checked_form(form: str) -> None:
    """Raise TerminalError unless the form is one of FORMS."""
    if form not in FORMS:
        raise TerminalError(f"as_ {form!r} is unknown; valid: {', '.join(FORMS)}")


def in_form(found: "pa.Table", form: Form) -> Any:
    """Return an Arrow table as the frame asked for."""
    if form == "arrow":
        return found
    if form == "pandas":
        return found.to_pandas()
    import polars as pl

    return pl.from_arrow(found)


def read(settings: WarehouseSettings, query: str, values: Mapping[str, str | int | None]) -> "pa.Table":
    """Ask the warehouse; `values` fill the query's {name:Type}, those that are None stand in no question."""
    from stores.warehouse import Warehouse

    warehouse = Warehouse(settings)
    try:
        return warehouse.table(query, {name: value for name, value in values.items() if value is not None})
    finally:
        warehouse.close()


def of_feed(clock: str, venue: str | None, since: int | None, until: int | None) -> str:
    """Return the condition that rows are an instrument's, a venue's where one is named, and within a span of time.

    It is filled with the values instrument, venue, since (included) and until (not), in microseconds.
    """
    conditions = ["instrument = {instrument:String}"]
    conditions += ["venue = {venue:String}"] if venue is not None else []
    conditions += [f"{clock} >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC')"] if since is not None else []
    conditions += [f"{clock} < fromUnixTimestamp64Micro({{until:Int64}}, 'UTC')"] if until is not None else []
    return " AND ".join(conditions)


def as_of_moment(micros: int) -> str:
    """Write a moment as the argument of a view that knows what was known when."""
    return f"moment = fromUnixTimestamp64Micro({micros}, 'UTC')"


def micros(name: str, value: Moment | None) -> int | None:
    """Return a moment in microseconds; without a zone it is UTC. TerminalError names the argument if it is none."""
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
    moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
