"""Make one day of features in the warehouse: what changed is appended as a revision. Knows nothing of Dagster."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from assets import feature_frames as read
from assets.feature_frames import HELD, Span
from assets.indicator_bars import day_of
from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.features import FEATURES as STORED
from contracts.quotes import QUOTES
from contracts.scores import BAR_SCORES
from contracts.trades import TRADES as TRADES_TABLE
from features.catalog import FEATURES
from features.compute import compute, reach, revised
from features.declared import ENTITY, EVENT, KNOWN, Feature
from features.market import BARS as BAR_SOURCE
from features.market import BOOKS, TRADES
from features.market import QUOTES as QUOTE_SOURCE
from features.stored import packed, unpacked
from stores.arrow import arrow_schema
from stores.seals import sealed_datasets

if TYPE_CHECKING:
    import polars as pl

    from stores.warehouse import Warehouse

TABLE = STORED.table
# Sources of ticks are made entity by entity; the others look at all of them together.
TICKS = (TRADES, QUOTE_SOURCE, BOOKS)
# What the frames are read from.
FRAMES = {
    "bars": BARS,
    "trades": TRADES_TABLE,
    "quotes": QUOTES,
    "books": BOOK_SNAPSHOTS,
    "scores": BAR_SCORES,
}
DAY = timedelta(days=1)
# An entity with bars in so many minutes of a day fills every window; a thin one may leave features without values.
BUSY_MINUTES = 1_152
# Averages that remember for ever keep a billionth of what left their window, which may have been large.
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class DayFeatures:
    """A day as it was made and as it then stood in the warehouse.

    `tables`: by source, one row an entity and minute of the day. `appended`: by source, how many rows were new or said
    something else. `stored`: by source, of how many moments there is a row. `bare`: bars that no row tells of.
    `silent`: features without a single value of any busy instrument. `touched`: later days with
    how many rows were appended to them.
    """

    day: date
    tables: dict[str, "pl.DataFrame"]
    appended: dict[str, int]
    stored: dict[str, int]
    bare: "pl.DataFrame"
    silent: list[str]
    touched: dict[date, int]


def spans(day: date, features: Collection[Feature] = FEATURES) -> dict[str, Span]:
    """Return by frame what has to be read of it to make a day: always the same, so that a day is made alike."""
    begin, frames = day_of(day), {name for feature in features for name in feature.source.frames}
    windows = reach(features)
    return {
        name: Span(
            begin - max(windows[feature.source.name] for feature in features if name in feature.source.frames) - HELD,
            begin + DAY,
        )
        for name in sorted(frames)
    }


def make_day(warehouse: "Warehouse", day: date, now: datetime, *, others: Collection[date] = ()) -> DayFeatures:
    """Make the day's features, append those that say something new, and do the same for later days that it reaches.

    Run again it appends nothing. `others` are days that the caller makes as well. A value that changed although nothing
    new was known is told as known `now`: then it was the code that changed.
    """
    features = open_features(warehouse, day)
    computed, bars, silent = compute_day(warehouse, day, features)
    appended = append_day(warehouse, day, computed, now)
    later = [day + DAY * place for place in range(1, _days_reached() + 1)]
    there = _days_stored(warehouse)
    touched = {one: _append_again(warehouse, one, now) for one in later if one in there and one not in others}
    bare = _bare(bars, computed) if any(one.source is BAR_SOURCE for one in features) else bars.clear()
    return DayFeatures(day, computed, appended, _stored_counts(warehouse, day), bare, silent, touched)


def _append_again(warehouse: "Warehouse", day: date, now: datetime) -> int:
    computed, _, _ = compute_day(warehouse, day, open_features(warehouse, day))
    return sum(append_day(warehouse, day, computed, now).values())


def open_features(warehouse: "Warehouse", day: date) -> list[Feature]:
    """Return the features that a day can be made of: what is made from retired rows stays as it is."""
    sealed = sealed_datasets(warehouse, day) | sealed_datasets(warehouse, day - DAY)
    closed = {name for name, dataset in FRAMES.items() if dataset.name in sealed}
    return [feature for feature in FEATURES if not closed.intersection(feature.source.frames)]


def compute_day(
    warehouse: "Warehouse", day: date, features: Collection[Feature] = FEATURES
) -> tuple[dict[str, "pl.DataFrame"], "pl.DataFrame", list[str]]:
    """Return the day's rows by source, the day's bars that they tell of, and the features that never have a value."""
    import polars as pl

    found = spans(day)
    of = read.bar_feeds(warehouse, found["bars"])
    together = [feature for feature in features if feature.source not in TICKS]
    frames = {
        "bars": read.bars(warehouse, found["bars"], list(of)),
        "pairs": read.pairs(warehouse),
        "scores": read.scores(warehouse, found["scores"], list(of)),
    }
    begin = day_of(day)
    bars = frames["bars"].filter((pl.col("bar_time") >= begin) & (pl.col("state") != "withdrawn"))
    busy = bars.group_by(ENTITY).len().filter(pl.col("len") >= BUSY_MINUTES).select(ENTITY)
    parts = [_computed(together, frames, day, busy)]
    for source, frame, feeds, rows_of in (
        (TRADES, "trades", of, read.trades),
        (QUOTE_SOURCE, "quotes", read.feeds(warehouse, QUOTES.table, "event_time", found["quotes"]), read.quotes),
        (BOOKS, "books", read.feeds(warehouse, BOOK_SNAPSHOTS.table, "snapshot_time", found["books"]), read.books),
    ):
        own = [feature for feature in features if feature.source is source]
        groups = read.batches(feeds) if own else []
        parts += [_computed(own, {frame: rows_of(warehouse, found[frame], group)}, day, busy) for group in groups]
    tables: dict[str, list[pl.DataFrame]] = {}
    valued: dict[str, bool] = {}
    for made, filled in parts:
        for name, table in made.items():
            tables.setdefault(name, []).append(table)
        for name, there in filled.items():
            valued[name] = valued.get(name, False) or there
    joined = {name: pl.concat(several).sort(*ENTITY, EVENT) for name, several in tables.items()}
    return joined, bars, sorted(name for name, there in valued.items() if not there)


def _computed(
    features: list[Feature], frames: Mapping[str, "pl.DataFrame"], day: date, busy: "pl.DataFrame"
) -> tuple[dict[str, "pl.DataFrame"], dict[str, bool]]:
    """Return the day's rows by source, and by feature whether it has a value where busy entities fill its window."""
    import polars as pl

    begin = day_of(day)
    usable = [one for one in features if all(frames[name].height for name in one.source.frames)]
    tables: dict[str, pl.DataFrame] = {}
    filled: dict[str, bool] = {}
    for name, table in compute(usable, frames, until=begin + DAY).items():
        own = [one for one in usable if one.source.name == name]
        place = pl.int_range(pl.len()).over(ENTITY)
        settled = table.with_columns(place.alias("_place")).join(busy, on=ENTITY, how="semi")
        for one in own:
            values = settled.filter(pl.col("_place") >= one.rows).get_column(one.name)
            filled |= {one.name: values.count() > 0} if len(values) else {}
        tables[name] = table.filter(pl.col(EVENT) > begin)
    return tables, filled


def append_day(
    warehouse: "Warehouse", day: date, computed: Mapping[str, "pl.DataFrame"], now: datetime
) -> dict[str, int]:
    """Append the rows of a day that are new or say something else than the last revision; return how many by source."""
    import polars as pl

    schema = arrow_schema(STORED.columns)
    before, appended = _last(warehouse, day), {}
    # A source that nothing was read of is not made anew: its rows may have been retired.
    for source, made in sorted(computed.items()):
        rows = _fresh(source, before.filter(pl.col("source") == source).drop("source"), made, now)
        appended[source] = rows.height
        if rows.height:
            table = rows.with_columns(source=pl.lit(source)).select(schema.names).to_arrow().cast(schema)
            warehouse.insert(TABLE, table, token=secrets.token_hex(16))
    return appended


def _fresh(source: str, stored: "pl.DataFrame", computed: "pl.DataFrame", now: datetime) -> "pl.DataFrame":
    """Return the rows to append of one source, in stored form."""
    import polars as pl

    names = [feature.name for feature in FEATURES if feature.source.name == source]
    keys, us = [*ENTITY, EVENT], pl.Datetime("us", "UTC")
    if not stored.height:
        return packed(computed, names, "features")
    was = unpacked(stored, "features", names)
    # A moment that nothing tells of any more has no values.
    gone = was.join(computed, on=keys, how="anti").with_columns(pl.lit(None, pl.Float64).alias(name) for name in names)
    rows = packed(pl.concat([computed, gone.select(computed.columns)]), names, "features")
    # Both sides as they are stored: the same digits are the same value.
    same_form = unpacked(rows, "features", names)
    known = pl.when(pl.col(KNOWN) > pl.col(f"{KNOWN}:before")).then(KNOWN).otherwise(pl.lit(now, us))
    fresh = revised(was, same_form.select(was.columns), known, TOLERANCE).select(*keys, KNOWN)
    return rows.drop(KNOWN).join(fresh, on=keys)


def _last(warehouse: "Warehouse", day: date) -> "pl.DataFrame":
    """Return the last revision of each of the day's moments."""
    return stored_rows(warehouse, day_of(day), day_of(day) + DAY)


def stored_rows(warehouse: "Warehouse", after: datetime, until: datetime, condition: str = "1") -> "pl.DataFrame":
    """Return the last revisions of the moments after one and up to another, in stored form."""
    import polars as pl

    key = "source, venue, instrument, event_time"
    found = pl.from_arrow(
        warehouse.table(
            f"SELECT * FROM {TABLE} WHERE event_time > fromUnixTimestamp64Micro({{after:Int64}}, 'UTC') "
            f"AND event_time <= fromUnixTimestamp64Micro({{until:Int64}}, 'UTC') AND {condition} "
            f"ORDER BY {key}, known_time DESC LIMIT 1 BY {key}",
            {"after": int(after.timestamp()) * 1_000_000, "until": int(until.timestamp()) * 1_000_000},
        )
    )
    assert isinstance(found, pl.DataFrame)
    return found.with_columns(pl.col("source", *ENTITY, "features").cast(pl.String))


def _stored_counts(warehouse: "Warehouse", day: date) -> dict[str, int]:
    rows = warehouse.rows(
        f"SELECT source, uniqExact(venue, instrument, event_time) FROM {TABLE} "
        "WHERE event_time > toDateTime64({day:Date}, 6, 'UTC') "
        "AND event_time <= toDateTime64({day:Date} + 1, 6, 'UTC') GROUP BY source",
        {"day": day},
    )
    return {str(source): int(count) for source, count in rows}


def _days_stored(warehouse: "Warehouse") -> set[date]:
    rows = warehouse.rows(
        "SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase() AND table = {table:String} "
        "AND active AND rows > 0",
        {"table": TABLE},
    )
    return {date.fromisoformat(str(partition)) for (partition,) in rows}


def _days_reached() -> int:
    """Return for how many days after it a day is read."""
    return -(-(max(reach(FEATURES).values()) + HELD) // DAY)


def _bare(bars: "pl.DataFrame", computed: Mapping[str, "pl.DataFrame"]) -> "pl.DataFrame":
    import polars as pl

    minutes = bars.select(*ENTITY, (pl.col("bar_time") + timedelta(minutes=1)).alias(EVENT))
    return minutes.join(computed["bars"], on=[*ENTITY, EVENT], how="anti") if "bars" in computed else minutes
