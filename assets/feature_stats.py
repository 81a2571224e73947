"""How a day's features are: missing, fresh, spread, and how far they moved from the days before. Without Dagster."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from assets.feature_day import stored_rows
from assets.indicator_bars import day_of
from features.catalog import FEATURES
from features.declared import ENTITY
from features.drift import drift
from features.stats import summary
from features.stored import unpacked

if TYPE_CHECKING:
    import polars as pl

    from stores.warehouse import Warehouse

# A week holds every hour and day of the week once; one minute in seven makes as many rows of it as a day has.
REFERENCE_DAYS = 7
ROWS_LOOKED_AT = 200_000


def feature_table(warehouse: "Warehouse", day: date, tables: "Mapping[str, pl.DataFrame]") -> "pl.DataFrame":
    """Return a row a feature: summary of the day, and its drift from the seven days before.

    Large days are looked at by even samples. Drift is told of instruments that were there before.
    """
    import polars as pl

    begin = day_of(day)
    before = stored_rows(
        warehouse,
        begin - timedelta(days=REFERENCE_DAYS),
        begin,
        f"intDiv(toUnixTimestamp(event_time), 60) % {REFERENCE_DAYS} = 0",
    )
    parts = []
    for source, table in tables.items():
        sample = table.gather_every(-(-max(table.height, 1) // ROWS_LOOKED_AT))
        names = [feature.name for feature in FEATURES if feature.source.name == source]
        reference = unpacked(before.filter(pl.col("source") == source), "features", names)
        both = sample.join(reference.select(ENTITY).unique(), on=ENTITY, how="semi")
        reference = reference.join(sample.select(ENTITY).unique(), on=ENTITY, how="semi")
        told = summary(sample, begin + timedelta(days=1))
        moved = drift(reference, both) if reference.height and both.height else None
        parts.append(
            told.join(moved, on="feature", how="left", maintain_order="left")
            if moved is not None
            else told.with_columns(psi=pl.lit(None, pl.Float64), verdict=pl.lit("unknown"))
        )
    return pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame()
