"""Bars of a grain: a day of them, and as many before it as its indicators depend on. Knows nothing of Dagster."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from contracts.bars import BARS
from contracts.rollups import ROLLUPS
from features.indicators.catalog import standard
from features.indicators.declared import Use
from stores.seals import sealed_datasets
from stores.warehouse import tuples

if TYPE_CHECKING:
    import polars as pl

    from stores.warehouse import Warehouse

SERIES = ("venue", "instrument", "id_space")
# Where bars of each grain stand, and how wide they are.
DATASETS = {"1m": BARS} | {r.dataset.table.removeprefix(f"{BARS.table}_"): r.dataset for r in ROLLUPS}
TABLES = {grain: dataset.table for grain, dataset in DATASETS.items()}
WIDTHS = {"1m": timedelta(minutes=1)} | {
    r.dataset.table.removeprefix(f"{BARS.table}_"): timedelta(seconds=r.width_s) for r in ROLLUPS
}
# What beta and correlation are to: of each venue the first of these that it trades.
BENCHMARKS = ("BTCUSDT", "BTC-USD", "BTC/USD", "XBT/USD")
_NUMBERS = ("open", "high", "low", "close", "volume", "notional")
_COLUMNS = ", ".join((*SERIES, "bar_time", *_NUMBERS, "known_time"))
_KEYS = ", ".join((*SERIES, "bar_time"))


def uses_of(grain: str) -> tuple[Use, ...]:
    """Return the indicators that are kept of a grain."""
    return standard(grain, benchmark=True)


def needed_before(grain: str) -> int | None:
    """Return how many bars before a day its indicators depend on; None: all of them."""
    lookbacks = [use.lookback for use in uses_of(grain)]
    if any(one.bars is None and one.anchor != "day" for one in lookbacks):
        return None
    return max(one.bars or 0 for one in lookbacks)


def grains_of(warehouse: "Warehouse", day: date) -> list[str]:
    """Return the grains that a day can be made of: of those whose bars are retired what is stored stays as it is."""
    # The day before counts too: what it held is needed, and would be missing.
    sealed = sealed_datasets(warehouse, day) | sealed_datasets(warehouse, day - timedelta(days=1))
    return [grain for grain, dataset in DATASETS.items() if dataset.name not in sealed]


def day_of(day: date) -> datetime:
    """Return the midnight at which a day begins."""
    return datetime.combine(day, time(), UTC)


def micros(moment: datetime) -> int:
    """Return a moment in microseconds."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def read_bars(warehouse: "Warehouse", grain: str, day: date) -> "pl.DataFrame":
    """Return the day's bars as they are known now, and of each of their series exactly the bars before that count.

    Which those are depends on the bars alone, not on what else was asked: a day made again is made of the same.
    """
    import polars as pl

    begin, need = day_of(day), needed_before(grain)
    end = begin + timedelta(days=1)
    if need is None:
        return _rows(warehouse, grain, _span(None, end))
    # Twice the time that they take where every bar is there; those that are short are asked for by name.
    near = _rows(warehouse, grain, _span(begin - 2 * need * WIDTHS[grain], end))
    before = pl.col("bar_time") < begin
    counts = near.group_by(SERIES).agg(before.sum().alias("held"), (~before).sum().alias("today"))
    wanted = counts.filter(pl.col("today") > 0)
    short = wanted.filter(pl.col("held") < need).select(SERIES).sort(SERIES)
    if short.height:
        series = f"({', '.join(SERIES)}) IN ({tuples(short.rows())})"
        near = pl.concat(
            [
                near.filter(~before),
                near.filter(before).join(short, on=SERIES, how="anti"),
                _rows(warehouse, grain, f"{_span(None, begin)} AND {series}", newest=need),
            ]
        )
    near = near.join(wanted.select(SERIES), on=SERIES, how="semi").sort(*SERIES, "bar_time")
    place = before.sum().over(SERIES) - pl.int_range(pl.len()).over(SERIES)
    return near.filter(place <= need)


def later_times(warehouse: "Warehouse", grain: str, day: date, series: Sequence[tuple[str, ...]]) -> "pl.DataFrame":
    """Return the times of the series' bars from a day on, as far as the day's indicators are depended on."""
    need = needed_before(grain)
    most = None if need is None else need + timedelta(days=1) // WIDTHS[grain]
    condition = f"bar_time >= {_moment(day_of(day))} AND ({', '.join(SERIES)}) IN ({tuples(series)})"
    rows = _rows(warehouse, grain, condition, oldest=most)
    return rows.select(*SERIES, "bar_time").sort(*SERIES, "bar_time")


def _rows(
    warehouse: "Warehouse", grain: str, condition: str, *, newest: int | None = None, oldest: int | None = None
) -> "pl.DataFrame":
    import polars as pl

    source = f"SELECT * FROM {TABLES[grain]} WHERE {condition}"
    if grain == "1m":
        source += f" ORDER BY {_KEYS}, revision DESC LIMIT 1 BY {_KEYS}"
    limit = newest or oldest
    only = f"ORDER BY {_KEYS} {'DESC' if newest else ''} LIMIT {limit} BY {', '.join(SERIES)}" if limit else ""
    found = warehouse.table(f"SELECT {_COLUMNS} FROM ({source}) WHERE state != 'withdrawn' {only}")
    frame = pl.from_arrow(found)
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col(*SERIES).cast(pl.String)).rechunk()


def _span(begin: datetime | None, end: datetime) -> str:
    since = [f"bar_time >= {_moment(begin)}"] if begin is not None else []
    return " AND ".join([*since, f"bar_time < {_moment(end)}"])


def _moment(moment: datetime) -> str:
    return f"fromUnixTimestamp64Micro({micros(moment)}, 'UTC')"
