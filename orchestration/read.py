"""Read bars, trades and features from Python with this machine's settings: `from orchestration.read import bars`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.values import read_settings
from serving.bars import bars as _bars
from serving.frames import Form, Moment
from serving.trades import trades as _trades

if TYPE_CHECKING:
    from features.asof import AsOf
    from serving.vectors import Vector
    from stores.settings import CacheSettings, WarehouseSettings


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


def training_set(
    labels: Any,
    features: Sequence[str] | None = None,
    *,
    time: str = "time",
    as_of: "AsOf" = "known",
    min_quality: float | None = None,
    as_: Form = "polars",
    settings: "WarehouseSettings | None" = None,
) -> Any:
    """Return labels with what was known of the features at each one's time; see assets.training_sets.build.

    labels: a polars or pandas frame, an Arrow table, or a file's path. `settings` name another warehouse.
    """
    import polars as pl

    from assets.training_sets import build, read_labels
    from serving.frames import checked_form, in_form
    from stores.warehouse import Warehouse

    checked_form(as_)
    if isinstance(labels, str | Path):
        frame = read_labels(Path(labels))
    else:
        frame = labels if isinstance(labels, pl.DataFrame) else pl.DataFrame(labels)
    warehouse = Warehouse(settings or read_settings().warehouse)
    try:
        made = build(warehouse, frame, features, time=time, as_of=as_of, min_quality=min_quality)
    finally:
        warehouse.close()
    return made if as_ == "polars" else in_form(made.to_arrow(), as_)


def latest_vector(
    venue: str,
    instrument: str,
    *,
    moment: datetime | None = None,
    whole: bool = False,
    settings: "CacheSettings | None" = None,
) -> "Vector":
    """Return the latest features of an instrument from Redis, without those past their time to live.

    moment: as if it were then; default: now. whole: as they stand, whatever their age. `settings` name another Redis.
    """
    from features.catalog import FEATURES
    from features.training import lives
    from serving.vectors import latest_vector as _latest

    found = _latest(settings or read_settings().cache, venue, instrument)
    return found if whole else found.at(moment or datetime.now(UTC), lives(FEATURES))
