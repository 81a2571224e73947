"""Read bars and trades from Python with the settings of this machine: `from orchestration.read import bars, trades`."""

from typing import TYPE_CHECKING, Any

from orchestration.values import read_settings
from serving.bars import bars as _bars
from serving.frames import Form, Moment
from serving.trades import trades as _trades

if TYPE_CHECKING:
    from stores.settings import WarehouseSettings


def bars(
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    grain: str = "1m",
    as_: Form = "polars",
    exact: bool = False,
    settings: "WarehouseSettings | None" = None,
    as_of: Moment | None = None,
) -> Any:
    """Return bars as a polars, pandas or Arrow frame; see serving.bars.bars. `settings` name another warehouse."""
    warehouse = settings or read_settings().warehouse
    return _bars(warehouse, instrument, venue, start, end, grain, as_=as_, exact=exact, as_of=as_of)


def trades(
    instrument: str,
    venue: str | None = None,
    start: Moment | None = None,
    end: Moment | None = None,
    as_: Form = "polars",
    exact: bool = False,
    settings: "WarehouseSettings | None" = None,
    as_of: Moment | None = None,
) -> Any:
    """Return trades as a frame of the form asked for; see serving.trades.trades. `settings` name another warehouse."""
    warehouse = settings or read_settings().warehouse
    return _trades(warehouse, instrument, venue, start, end, as_=as_, exact=exact, as_of=as_of)
