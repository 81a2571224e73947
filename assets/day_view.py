"""What the UI shows of one day of bars: counts, a table of the series, a plot of their closes. No Dagster."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

from stores.warehouse import Warehouse

SERIES_SHOWN = 20
SERIES_PLOTTED = 6
POINTS_A_SERIES = 1_500


@dataclass(frozen=True)
class SeriesDay:
    """One series on one day; `turnover` is the notional as a float, good enough to sort and show."""

    venue: str
    instrument: str
    id_space: str
    bar_count: int
    trade_count: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    turnover: float


@dataclass(frozen=True)
class DayView:
    """A day of bars. `series` holds the largest by turnover; `closes` the plotted ones among them."""

    day: date
    bar_count: int
    trade_count: int
    provisional_count: int
    instrument_count: int
    known_time: datetime | None
    series: list[SeriesDay]
    closes: dict[SeriesDay, list[tuple[datetime, float]]]

    @property
    def midnight(self) -> datetime:
        """The instant at which the day begins."""
        return datetime.combine(self.day, time(), UTC)


_WHERE = "bar_time >= toDateTime64({day:Date}, 6, 'UTC') AND bar_time < toDateTime64({day:Date} + 1, 6, 'UTC')"


def read_day(warehouse: Warehouse, table: str, day: date, *, closes_from: str = "") -> DayView:
    """Read a day of a table, or view, that has the columns of bars; `closes_from` names a finer one to plot."""
    totals = warehouse.rows(
        f"SELECT count(), sum(trade_count), countIf(state != 'final'), uniqExact(venue, instrument), "
        f"toUnixTimestamp64Micro(max(known_time)) FROM {table} WHERE {_WHERE}",
        {"day": day},
    )[0]
    bars, trades, provisional, instruments, known = (int(value) for value in totals)
    series = [
        SeriesDay(*row)
        for row in warehouse.rows(
            f"SELECT venue, instrument, id_space, count(), sum(b.trade_count), argMin(b.open, b.bar_time), "
            f"max(b.high), min(b.low), argMax(b.close, b.bar_time), sum(toFloat64(b.notional)) AS turnover "
            f"FROM {table} AS b WHERE {_WHERE} GROUP BY venue, instrument, id_space "
            f"ORDER BY turnover DESC, venue, instrument, id_space LIMIT {SERIES_SHOWN}",
            {"day": day},
        )
    ]
    closes = {one: _closes(warehouse, closes_from or table, day, one) for one in series[:SERIES_PLOTTED]}
    since = datetime.fromtimestamp(known / 1_000_000, UTC) if bars else None
    return DayView(day, bars, trades, provisional, instruments, since, series, closes)


def _closes(warehouse: Warehouse, table: str, day: date, one: SeriesDay) -> list[tuple[datetime, float]]:
    rows = warehouse.rows(
        f"SELECT toUnixTimestamp64Micro(bar_time) AS at, toFloat64(close) FROM {table} WHERE {_WHERE} "
        "AND venue = {venue:String} AND instrument = {instrument:String} AND id_space = {id_space:String} "
        f"ORDER BY at LIMIT {POINTS_A_SERIES}",
        {"day": day, "venue": one.venue, "instrument": one.instrument, "id_space": one.id_space},
    )
    return [(datetime.fromtimestamp(int(at) / 1_000_000, UTC), float(close)) for at, close in rows]
