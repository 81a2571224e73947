"""Make one day of indicators in the warehouse, of bars of every grain. Knows nothing of Dagster."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from assets.indicator_bars import BENCHMARKS, DATASETS, SERIES, day_of, grains_of, later_times, read_bars, uses_of
from assets.staged import put_in_place, staged_table
from contracts.indicators import INDICATORS
from features.indicators.declared import Use
from stores.arrow import arrow_schema
from stores.warehouse import literal

if TYPE_CHECKING:
    import polars as pl

    from stores.warehouse import Warehouse

TABLE = INDICATORS.table
KEYS = ("grain", *SERIES, "bar_time")
_OF_DAY = "bar_time >= toDateTime64({day:Date}, 6, 'UTC') AND bar_time < toDateTime64({day:Date} + 1, 6, 'UTC')"


@dataclass(frozen=True, eq=False)
class Made:
    """One grain of a day: the day's bars with their indicators beside, as Float64, and how many bars came before each.

    `earlier` counts them per series up to what the longest indicator needs.
    """

    grain: str
    uses: tuple[Use, ...]
    frame: "pl.DataFrame"

    @property
    def columns(self) -> list[str]:
        """The names of the values."""
        return [column for use in self.uses for column in use.columns]


@dataclass(frozen=True, eq=False)
class DayIndicators:
    """A day as it was made and as it then stood in the warehouse, and the later days that it touched.

    `bare`: bars without a row, and rows without a bar. `early`: values that stand on fewer bars than their definition
    asks for, and missing ones that do not. Both have the keys, as they were read back.
    """

    day: date
    made: tuple[Made, ...]
    bare: "pl.DataFrame"
    early: "pl.DataFrame"
    touched: dict[date, list[str]]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows each grain has."""
        return {one.grain: one.frame.height for one in self.made}


def make_day(warehouse: "Warehouse", day: date, *, others: Collection[date] = ()) -> DayIndicators:
    """Make the day's rows of all grains, put them in the place of the old ones, look at what is stored, and make again
    the later days that depend on a bar of the day that changed.

    Run again it gives the same rows. `others` are days that the caller makes as well.
    """
    later = {grain: [one for one in days if one not in others] for grain, days in _later_days(warehouse, day).items()}
    before = _stored(warehouse, day, tuple(later)) if any(later.values()) else None
    made = tuple(make_grain(warehouse, grain, day) for grain in grains_of(warehouse, day))
    _replace(warehouse, day, made)
    after = _stored(warehouse, day, tuple(one.grain for one in made))
    touched: dict[date, list[str]] = {}
    if before is not None:
        for grain, days in _touched(warehouse, day, before, after, later).items():
            for one in days:
                if _replace(warehouse, one, (make_grain(warehouse, grain, one),)):
                    touched.setdefault(one, []).append(grain)
    return DayIndicators(day, made, _bare(made, after), _early(made, after), dict(sorted(touched.items())))


def make_grain(warehouse: "Warehouse", grain: str, day: date) -> Made:
    """Return the day's bars of a grain with their indicators."""
    import polars as pl

    from features.indicators.frames import compute

    uses, bars = uses_of(grain), _with_benchmarks(read_bars(warehouse, grain, day))
    earlier = pl.int_range(pl.len()).over(SERIES).alias("earlier")
    found = compute(bars, uses).join(
        bars.select(*SERIES, "bar_time", "close", "notional", earlier),
        on=(*SERIES, "bar_time"),
        validate="1:1",
        maintain_order="left",
    )
    return Made(grain, uses, found.filter(pl.col("bar_time") >= day_of(day)))


def _with_benchmarks(bars: "pl.DataFrame") -> "pl.DataFrame":
    """Put the close of the venue's benchmark of the same time beside each bar, null where it has none."""
    import polars as pl

    order = {name: place for place, name in enumerate(BENCHMARKS)}
    found = bars.filter(pl.col("instrument").is_in(BENCHMARKS)).select(
        "venue",
        "bar_time",
        pl.col("close").alias("benchmark"),
        pl.col("instrument").replace_strict(order, return_dtype=pl.Int64).alias("_place"),
        "instrument",
        "id_space",
    )
    # One series a venue, or its returns would go from one instrument to another.
    series = ["venue", "instrument", "id_space"]
    chosen = found.select("_place", *series).unique().sort("venue", "_place", "id_space").group_by("venue").first()
    of_venue = found.join(chosen.select(series), on=series, how="semi").select("venue", "bar_time", "benchmark")
    return bars.sort(*SERIES, "bar_time").join(
        of_venue, on=["venue", "bar_time"], how="left", validate="m:1", maintain_order="left"
    )


def _replace(warehouse: "Warehouse", day: date, made: tuple[Made, ...]) -> list[str]:
    """Put the rows in the place of the old ones where they differ; return the grains that did."""
    import polars as pl

    from features.stored import packed

    schema = arrow_schema(INDICATORS.columns)
    with staged_table(warehouse, TABLE) as staged:
        for one in made:
            if one.frame.height:
                rows = packed(one.frame.with_columns(grain=pl.lit(one.grain)), one.columns, "indicators")
                table = rows.select(schema.names).to_arrow().cast(schema)
                warehouse.insert(staged, table, token=secrets.token_hex(16))
        new, old = (_said(warehouse, table, day) for table in (staged, TABLE))
        changed = [one.grain for one in made if new.get(one.grain) != old.get(one.grain)]
        for grain in changed:
            partition = f"({literal(grain)}, {literal(day.isoformat())})"
            put_in_place(warehouse, TABLE, partition, staged, filled=grain in new)
    return changed


def _said(warehouse: "Warehouse", table: str, day: date) -> dict[str, tuple[int, int]]:
    """Return by grain how many rows a day has, and a hash of them in any order."""
    rows = warehouse.rows(
        f"SELECT grain, count(), sum(cityHash64(*)) FROM {table} WHERE {_OF_DAY} GROUP BY grain", {"day": day}
    )
    return {str(grain): (int(count), int(said)) for grain, count, said in rows}


def _stored(warehouse: "Warehouse", day: date, grains: tuple[str, ...]) -> "pl.DataFrame":
    """Return the day's stored rows of these grains: keys, names, and a hash of all that they say."""
    import polars as pl

    found = pl.from_arrow(
        warehouse.table(
            f"SELECT {', '.join(KEYS)}, indicators, cityHash64(indicators, numbers, known_time) AS said FROM {TABLE} "
            f"WHERE {_OF_DAY} AND has({{grains:Array(String)}}, toString(grain))",
            {"day": day, "grains": list(grains)},
        )
    )
    assert isinstance(found, pl.DataFrame)
    return found.with_columns(pl.col("grain", *SERIES, "indicators").cast(pl.String))


def _later_days(warehouse: "Warehouse", day: date) -> dict[str, list[date]]:
    """Return by grain the days after this one that are stored; only names of partitions are read."""
    rows = warehouse.rows(
        "SELECT DISTINCT partition FROM system.parts WHERE database = currentDatabase() AND table = {table:String} "
        "AND active AND rows > 0",
        {"table": TABLE},
    )
    found: dict[str, list[date]] = {}
    for (partition,) in rows:
        grain, stored = (part.strip("' ") for part in str(partition).strip("()").split(","))
        if date.fromisoformat(stored) > day:
            found.setdefault(grain, []).append(date.fromisoformat(stored))
    return {grain: sorted(found[grain]) for grain in DATASETS if grain in found}


def _touched(
    warehouse: "Warehouse", day: date, before: "pl.DataFrame", after: "pl.DataFrame", later: dict[str, list[date]]
) -> dict[str, list[date]]:
    """Return by grain the stored days that depend on a bar of the day which came, went or changed."""
    import polars as pl

    from features.indicators.touched import touched_days

    keys = [*KEYS, "said"]
    changed = before.join(after, on=keys, how="anti").vstack(after.join(before, on=keys, how="anti"))
    found: dict[str, list[date]] = {}
    for grain, stored in later.items():
        of_grain = changed.filter(pl.col("grain") == grain)
        if not stored or not of_grain.height or grain not in grains_of(warehouse, day):
            continue
        corrected = of_grain.select(*SERIES, "bar_time").unique()
        names = corrected.select(SERIES).unique().sort(SERIES)
        times = later_times(warehouse, grain, day, names.rows())
        days: set[date] = set()
        for name in names.rows(named=True):
            moments, hit = (
                one.filter(**name).get_column("bar_time").sort().dt.timestamp("us").to_numpy()
                for one in (times, corrected)
            )
            days.update(touched_days(uses_of(grain), moments, hit))
        found[grain] = sorted(days & set(stored) - {day})
    return found


def _bare(made: tuple[Made, ...], stored: "pl.DataFrame") -> "pl.DataFrame":
    """Return the keys of bars without a row, and of rows without a bar."""
    import polars as pl

    keys = stored.clear().select(KEYS)
    wanted = pl.concat(
        [keys, *(one.frame.select(pl.lit(one.grain).alias("grain"), *SERIES, "bar_time") for one in made)]
    )
    missing = wanted.join(stored, on=KEYS, how="anti").with_columns(what=pl.lit("bar without a row"))
    beyond = stored.select(KEYS).join(wanted, on=KEYS, how="anti").with_columns(what=pl.lit("row without a bar"))
    return pl.concat([missing, beyond]).sort(KEYS)


def _early(made: tuple[Made, ...], stored: "pl.DataFrame") -> "pl.DataFrame":
    """Return where a value stands too early, and where one of the averages of closes alone is missing too late."""
    import polars as pl

    parts = []
    for one in made:
        bars = one.frame.select(pl.lit(one.grain).alias("grain"), *SERIES, "bar_time", "earlier")
        held = stored.join(bars, on=KEYS).with_columns(pl.col("indicators").str.split(","))
        for use in one.uses:
            for column, warm_up in zip(use.columns, use.warm_up, strict=True):
                there = pl.col("indicators").list.contains(column)
                early = there & (pl.col("earlier") < warm_up)
                # Averages of closes are defined over any prices: behind their warm-up one that is missing is lost.
                lost = ~there & (pl.col("earlier") >= warm_up) if use.indicator.name in ("sma", "ema", "wma") else False
                wrong = held.filter(early | lost)
                if wrong.height:
                    parts.append(wrong.select(*KEYS, "earlier", indicator=pl.lit(column)))
    empty = stored.clear().select(*KEYS, earlier=pl.lit(0, pl.Int64), indicator=pl.lit(""))
    return pl.concat([empty, *parts], how="vertical_relaxed").sort(KEYS)
