"""Read bars from Python with the settings of this machine: `from orchestration.read import bars`."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from orchestration.values import read_settings
from serving.bars import Form
from serving.bars import bars as _bars

if TYPE_CHECKING:
    from stores.settings import WarehouseSettings

Moment = date | datetime | str | None


def bars(
    instrument: str,
    venue: str | None = None,
    start: Moment = None,
    end: Moment = None,
    grain: str = "1m",
    as_: Form = "polars",
    exact: bool = False,
    settings: "WarehouseSettings | None" = None,
) -> Any:
    """Return bars as a polars, pandas or Arrow frame; see serving.bars.bars. `settings` name another warehouse."""
    return _bars(settings or read_settings().warehouse, instrument, venue, start, end, grain, as_=as_, exact=exact)
