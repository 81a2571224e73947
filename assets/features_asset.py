"""Features of every instrument and minute as an asset: appended by revision, linted, and shown in Redis."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import AFTER_CHECKS, DAILY, FEATURES, WAREHOUSE_POOL, asset_key, dataset_spec, made_daily
from assets.store import Store
from contracts.bars import BARS
from contracts.book_snapshots import BOOK_SNAPSHOTS
from contracts.features import FEATURES as STORED
from contracts.indicators import INDICATORS
from contracts.instruments import INSTRUMENTS
from contracts.quotes import QUOTES
from contracts.scores import BAR_SCORES
from contracts.trades import TRADES

if TYPE_CHECKING:
    from assets.feature_day import DayFeatures
    from assets.feature_lint import Linted
    from serving.vectors import Row
    from stores.warehouse import Warehouse

KEY = asset_key(STORED)
DAYS_A_RUN = 31
NAMED = 5
COVERED, HONEST, LIVELY = "each_bar_has_its_features", "no_feature_knows_the_future", "no_feature_fell_silent"

_MADE_FROM = (BARS, TRADES, QUOTES, BOOK_SNAPSHOTS, BAR_SCORES, INSTRUMENTS)
_SPEC = dataset_spec(
    STORED,
    group=FEATURES,
    kinds={"clickhouse", "polars", "redis"},
    # Behind the indicators: then the day's rollups are there, and its audit, claims and score hold.
    deps=[asset_key(dataset) for dataset in (*_MADE_FROM, INDICATORS)],
    description="Running it again appends nothing; a correction appends what it changed, on later days too as far as "
    "windows reach. The last vector of every instrument is shown in Redis. docs/features.md lists the features.",
    partitions=DAILY,
    freshness=made_daily(),
    automation=AFTER_CHECKS,
)


class Vectors(Protocol):
    """Shows the latest vectors to those who read online; see serving.vectors."""

    def show(self, rows: "Iterable[Row]") -> int: ...


class NoVectors:
    """Shows them to nobody."""

    def show(self, rows: "Iterable[Row]") -> int:
        """Change nothing."""
        return 0 * len(list(rows))


def _check(name: str, description: str, *, blocking: bool = False) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name=name, asset=KEY, blocking=blocking, partitions_def=DAILY, description=description)


@dg.multi_asset(
    specs=[_SPEC],
    name=STORED.table,
    pool=WAREHOUSE_POOL,
    backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=DAYS_A_RUN),
    check_specs=[
        _check(
            COVERED,
            "Stops what follows: every bar of the day has features of its minute, and every row that was computed is "
            "stored.",
            blocking=True,
        ),
        _check(
            HONEST,
            "Stops what follows: poisoned futures and rows outside of windows change no feature, tried on the busiest "
            "instruments of the day, and on the shipped sample where the day is too short for a window.",
            blocking=True,
        ),
        _check(LIVELY, "Warns: every feature has values of the instruments that were traded in most minutes."),
    ],
)
def market_features(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], vectors: dg.ResourceParam[Vectors]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Make the features of each of the run's days, and show the last of them."""
    made = []
    with failing_by_type():
        from assets.feature_day import make_day

        warehouse, now = store.warehouse(), datetime.now(UTC)
        days = [date.fromisoformat(key) for key in context.partition_keys]
        for day in days:
            found = make_day(warehouse, day, now, others=days)
            told = day_metadata(warehouse, found)
            for one, count in found.touched.items():
                changed: dict[str, Any] = {"made again after": day.isoformat(), "new_revisions": count}
                context.log_event(dg.AssetObservation(KEY, partition=one.isoformat(), metadata=changed))
            # What is shown is what is stored: only now.
            told["online_changed"] = vectors.show(
                row for one in (day, *found.touched) for row in last_rows(warehouse, one)
            )
            context.log.info(f"{day}: {sum(found.appended.values())} revisions are new")
            context.add_asset_metadata(told, asset_key=KEY, partition_key=day.isoformat())
            made.append(found)
    yield dg.MaterializeResult(asset_key=KEY)
    asked = {key.name for key in context.selected_asset_check_keys}
    if COVERED in asked:
        yield covered(made)
    if HONEST in asked:
        with failing_by_type():
            from assets.feature_lint import lint_day
            from features.catalog import FEATURES as CATALOGUE

            # The code is the same on every day of a run.
            yield honest(lint_day(warehouse, days[-1], CATALOGUE), days[-1])
    if LIVELY in asked:
        yield lively(made)


def covered(made: "list[DayFeatures]") -> dg.AssetCheckResult:
    """Tell whether every bar has its features, and every computed row is stored."""
    import polars as pl

    bare = [(one.day, *row) for one in made for row in one.bare.head(NAMED).rows()]
    lost = [
        (one.day, source, one.stored.get(source, 0), table.height)
        for one in made
        for source, table in one.tables.items()
        if one.stored.get(source, 0) < table.height
    ]
    count = sum(one.bare.height for one in made)
    texts = [f"{day} {venue} {instrument} {at:%H:%M}: no features" for day, venue, instrument, at in bare[:NAMED]]
    texts += [f"{day} {source}: {held} of {computed} rows stored" for day, source, held, computed in lost]
    rows = sum(table.select(pl.len()).item() for one in made for table in one.tables.values())
    return _result(COVERED, texts, f"{rows} rows", {"rows": rows, "bars without features": count})


def honest(linted: "Linted", day: date) -> dg.AssetCheckResult:
    """Tell whether the linter found nothing; name every leak."""
    told: dict[str, Any] = {
        "leaks": len(linted.leaks),
        "tried on the day": len(linted.on_day),
        "tried on the sample": len(linted.on_sample),
        "day": day.isoformat(),
    }
    if linted.leaks:
        told["what to do"] = (
            "A model that learned from it knew the future. Repair the feature's expression or its window in "
            "features/catalog.py (tapehouse features lint says the same), then materialise the days again."
        )
    good = f"{len(linted.on_day)} features on the day, {len(linted.on_sample)} on the sample"
    return _result(HONEST, [str(leak) for leak in linted.leaks], good, told)


def lively(made: "list[DayFeatures]") -> dg.AssetCheckResult:
    """Tell whether a feature had no value where its windows were full."""
    texts = [f"{one.day}: {', '.join(one.silent)}" for one in made if one.silent]
    count = sum(len(one.silent) for one in made)
    return _result(LIVELY, texts, "none", {"silent": count}, severity=dg.AssetCheckSeverity.WARN)


def _result(
    name: str,
    texts: list[str],
    good: str,
    metadata: dict[str, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=KEY,
        check_name=name,
        passed=not texts,
        severity=severity,
        description="; ".join(texts[:NAMED]) or good,
        metadata=metadata,
    )


def last_rows(warehouse: "Warehouse", day: date) -> "Iterator[Row]":
    """Return the day's last row of every source and instrument, as offline reads give it."""
    import polars as pl

    from assets.feature_day import DAY, stored_rows
    from assets.indicator_bars import day_of
    from features.declared import MINUTE
    from features.stored import unpacked
    from serving.vectors import Row

    end = day_of(day) + DAY
    # Every entity has a row of every minute up to the day's end.
    rows = stored_rows(warehouse, end - MINUTE, end)
    for (source,), of_source in rows.group_by("source", maintain_order=True):
        names: Mapping[str, None] = dict.fromkeys(
            name for told in of_source.get_column("features").to_list() for name in told.split(",") if name
        )
        values = unpacked(of_source.drop("source"), "features", names).with_columns(pl.lit(str(source)).alias("source"))
        for one in values.rows(named=True):
            held = {name: one[name] for name in names if one[name] is not None}
            yield Row(str(source), one["venue"], one["instrument"], one["event_time"], one["known_time"], held)


def day_metadata(warehouse: "Warehouse", found: "DayFeatures") -> dict[str, Any]:
    """Return what a day's materialisation tells: rows, revisions, what is missing, drift, a picture."""
    rows = sum(table.height for table in found.tables.values())
    told: dict[str, Any] = {
        "dagster/partition_row_count": sum(found.stored.values()),
        "new_revisions": sum(found.appended.values()),
        **{f"rows_{source}": table.height for source, table in found.tables.items()},
    }
    if found.touched:
        told["new_revisions_later"] = {day.isoformat(): count for day, count in found.touched.items()}
    if not rows:
        return told | {"note": "no bars, quotes or books on this day"}
    from assets.feature_plots import features_plot
    from assets.feature_stats import feature_table
    from assets.plots import as_markdown

    table = feature_table(warehouse, found.day, found.tables)
    cells = float(table.select((table["missing_share"].fill_null(1.0) * table["rows"]).sum()).item())
    told["missing_share"] = cells / max(int(table["rows"].sum()), 1)
    told["drifted"] = int((table["verdict"] == "drifted").sum())
    told["entities"] = int(max(one.select("venue", "instrument").n_unique() for one in found.tables.values()))
    told["features"] = dg.MetadataValue.table(
        records=[dg.TableRecord({name: _plain(row[name]) for name in _COLUMNS}) for row in table.rows(named=True)],
        schema=dg.TableSchema([dg.TableColumn(name, kind) for name, kind in _COLUMNS.items()]),
    )
    return told | {
        "picture": dg.MetadataValue.md(as_markdown(features_plot(table, found.day), f"features {found.day}"))
    }


_COLUMNS = {
    "feature": "string",
    "rows": "int",
    "missing_share": "float",
    "age_s": "float",
    **dict.fromkeys(("lowest", "p01", "median", "p99", "highest", "psi"), "float"),
    "verdict": "string",
}


def _plain(value: object) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
