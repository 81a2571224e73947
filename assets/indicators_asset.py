"""Indicators of every bar as an asset: a day of all grains, made after its rollups."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import AFTER_CHECKS, DAILY, FEATURES, WAREHOUSE_POOL, asset_key, dataset_spec, made_daily
from assets.store import Store
from contracts.bars import BARS
from contracts.indicators import INDICATORS
from contracts.rollups import ROLLUPS

if TYPE_CHECKING:
    import polars as pl

    from assets.indicator_day import DayIndicators

KEY = asset_key(INDICATORS)
DAYS_A_RUN = 31
NAMED = 5
OFFENDING_SHOWN = 20
COVERED, WARMED_UP = "each_bar_has_its_row", "warm_up_is_null_not_wrong"

_SPEC = dataset_spec(
    INDICATORS,
    group=FEATURES,
    kinds={"clickhouse", "polars"},
    deps=[asset_key(BARS), *(asset_key(rollup.dataset) for rollup in ROLLUPS)],
    description="Made from the bars of every grain and as many before the day as the longest indicator depends on; "
    "running it again gives the same rows. A corrected day makes again also the later days that depend on it. "
    "docs/indicators.md has the definitions.",
    partitions=DAILY,
    freshness=made_daily(),
    automation=AFTER_CHECKS,
)


@dg.multi_asset(
    specs=[_SPEC],
    name=INDICATORS.table,
    pool=WAREHOUSE_POOL,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_A_RUN),
    check_specs=[
        dg.AssetCheckSpec(
            name=COVERED,
            asset=KEY,
            blocking=True,
            partitions_def=DAILY,
            description="Stops what follows: every bar of the day has one row of its grain, and no row lacks its bar.",
        ),
        dg.AssetCheckSpec(
            name=WARMED_UP,
            asset=KEY,
            blocking=True,
            partitions_def=DAILY,
            description="Stops what follows: no value stands on fewer bars than its definition asks for, and no "
            "average is missing behind that.",
        ),
    ],
)
def market_indicators(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Make the indicators of each of the run's days."""
    made = []
    with failing_by_type():
        from assets.indicator_day import make_day

        warehouse = store.warehouse()
        days = [date.fromisoformat(key) for key in context.partition_keys]
        for day in days:
            found = make_day(warehouse, day, others=days)
            context.log.info(f"{day}: {found.rows}")
            context.add_asset_metadata(day_metadata(found), asset_key=KEY, partition_key=day.isoformat())
            for one, grains in found.touched.items():
                told = {"made again after": day.isoformat(), "grains": ", ".join(grains)}
                context.log_event(dg.AssetObservation(KEY, partition=one.isoformat(), metadata=told))
            made.append(found)
    yield dg.MaterializeResult(asset_key=KEY)
    asked = {key.name for key in context.selected_asset_check_keys}
    for name, offending in (
        (COVERED, [(one.day, one.bare) for one in made]),
        (WARMED_UP, [(one.day, one.early) for one in made]),
    ):
        if name in asked:
            yield check_result(name, sum(sum(one.rows.values()) for one in made), offending)


def check_result(name: str, rows: int, offending: "Sequence[tuple[date, pl.DataFrame]]") -> dg.AssetCheckResult:
    """Tell whether no key offends; name the first that do."""
    count = sum(frame.height for _, frame in offending)
    named = [" ".join(map(str, row)) for _, frame in offending for row in frame.head(NAMED).rows()]
    more = [f"and {count - NAMED} more"] if count > NAMED else []
    records = [
        dg.TableRecord({column: str(value) for column, value in row.items()})
        for _, frame in offending
        for row in frame.head(OFFENDING_SHOWN).rows(named=True)
    ]
    columns = [dg.TableColumn(column, "string") for column in (records[0].data if records else ())]
    told: dict[str, Any] = {"rows": rows, "offending": count}
    if records:
        told["first"] = dg.MetadataValue.table(records=records, schema=dg.TableSchema(columns))
        told["what to do"] = (
            "Materialise the day's partition again. When it stays so, bars changed while it was made, or an indicator "
            "is not what it is declared to be: tests/features hold every one of them against its definition."
        )
    return dg.AssetCheckResult(
        asset_key=KEY,
        check_name=name,
        passed=not count,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join([*named[:NAMED], *more]) or f"all {rows} rows",
        metadata=told,
    )


def day_metadata(found: "DayIndicators") -> dict[str, Any]:
    """Return what a day's materialisation tells: rows, the values' ranges, what is missing, a picture."""
    rows = sum(found.rows.values())
    told: dict[str, Any] = {"dagster/partition_row_count": rows} | {
        f"rows_{grain}": count for grain, count in found.rows.items()
    }
    if found.touched:
        told["made_again"] = ", ".join(f"{day} ({', '.join(grains)})" for day, grains in found.touched.items())
    if not rows:
        return told | {"note": "no bars on this day"}
    from assets.indicator_plots import indicators_plot
    from assets.plots import as_markdown

    finest = next(made for made in found.made if made.frame.height)
    values = [table for made in found.made if (table := _ranges(made.frame, made.columns, made.grain)) is not None]
    every = [record for table in values for record in table]
    told["known_time"] = dg.MetadataValue.timestamp(finest.frame.get_column("known_time").max())
    missing, cells = sum(int(one["missing"]) for one in every), sum(int(one["rows"]) for one in every)
    told["missing_share"] = missing / max(cells, 1)
    told["values"] = dg.MetadataValue.table(
        records=[dg.TableRecord(one) for one in every], schema=dg.TableSchema(_COLUMNS)
    )
    picture = indicators_plot(finest.frame, found.day)
    return told | {"largest_series": dg.MetadataValue.md(as_markdown(picture, f"indicators of {found.day}"))}


_COLUMNS = [
    dg.TableColumn("grain", "string"),
    dg.TableColumn("indicator", "string"),
    dg.TableColumn("rows", "int"),
    dg.TableColumn("missing", "int", description="Rows without a value: warm-up, or not defined."),
    *(dg.TableColumn(name, "float") for name in ("lowest", "median", "highest")),
]


def _ranges(frame: "pl.DataFrame", columns: list[str], grain: str) -> list[dict[str, Any]] | None:
    import polars as pl

    if not frame.height:
        return None
    statistics = {
        "lowest": pl.Expr.min,
        "median": pl.Expr.median,
        "highest": pl.Expr.max,
        "missing": pl.Expr.null_count,
    }
    found = {name: frame.select(take(pl.col(columns))).row(0, named=True) for name, take in statistics.items()}
    return [
        {"grain": grain, "indicator": column, "rows": frame.height}
        | {name: _plain(values[column]) for name, values in found.items()}
        for column in columns
    ]


def _plain(value: float | int | None) -> float | int | None:
    return float(f"{value:.6g}") if isinstance(value, float) else value
