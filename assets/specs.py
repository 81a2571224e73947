"""How a contract looks in Dagster: key, group, owner, kinds, description and column schema."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import dagster as dg

from contracts.dataset import Clock, Column, Dataset, Decimal, ListOf, Role, Type

OWNERS = ["team:market-data"]

# Dagster sorts groups by name: the numbers keep them in the order of the road.
SOURCES, STREAMS, STORED, ROLLUPS = "1_sources", "2_streams", "3_stored", "4_rollups"
FEATURES = "5_features"
QUALITY = "6_quality"
REPORT = "7_report"

# What writes to the warehouse, or starts a Spark session, waits for its turn; dagster.yaml has the limits.
WAREHOUSE_POOL, SPARK_POOL = "warehouse", "spark"

# Days of event time. Only a day that is over is a partition.
DAILY = dg.DailyPartitionsDefinition(start_date="2021-01-01", timezone="UTC", end_offset=0)

# For assets that must not follow from a day whose blocking checks failed: a check stops its own run, this all others.
# Any day may be done again, not only the last. What is only observed has no materialisation: eager's wish that no
# dependency be missing would never be granted.
AFTER_CHECKS = (
    dg.AutomationCondition.eager()
    .without(dg.AutomationCondition.in_latest_time_window())
    .without(~dg.AutomationCondition.any_deps_missing())
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
)

_CLOCKS = {
    Clock.EVENT: "the venue's clock",
    Clock.RECEIVED: "the collector's clock",
    Clock.INGESTED: "the streaming core's clock",
}


def asset_key(dataset: Dataset) -> dg.AssetKey:
    """One dataset, one name: the contract's name, split at its dots."""
    return dg.AssetKey(dataset.name.split("."))


def type_name(type: Type | Decimal | ListOf) -> str:
    """Name a column's type as contracts do."""
    if isinstance(type, ListOf):
        return f"list of {type_name(type.item)}"
    if isinstance(type, Decimal):
        return f"decimal({type.precision}, {type.scale})"
    return type.value


def column_description(column: Column) -> str:
    """Return the column's doc with its unit, clock, allowed values and role."""
    notes = [
        f"Unit: {column.unit}." if column.unit else "",
        f"Clock: {_CLOCKS[column.clock]}." if column.clock else "",
        f"One of: {', '.join(column.symbols)}." if column.symbols else "",
        "Provenance: says how we came to know it." if column.role is Role.PROVENANCE else "",
    ]
    return " ".join([column.doc, *(note for note in notes if note)])


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """Derive the table schema that the UI shows."""
    grain = set(dataset.grain)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=type_name(column.type),
                description=column_description(column),
                constraints=dg.TableColumnConstraints(nullable=False),
                tags={"grain": ""} if column.name in grain else {},
            )
            for column in dataset.columns
        ]
    )


def fresh_within(minutes: int) -> dg.FreshnessPolicy:
    """Promise a materialisation at least every so many minutes, with a warning at two thirds of them."""
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(minutes=minutes), warn_window=timedelta(minutes=minutes * 2 // 3)
    )


def made_daily() -> dg.FreshnessPolicy:
    """Promise that the day before is made by 01:00 UTC. What is only observed has no such promise: Dagster's policies
    look at materialisations alone."""
    return dg.FreshnessPolicy.cron(deadline_cron="0 1 * * *", lower_bound_delta=timedelta(hours=1), timezone="UTC")


def dataset_spec(
    dataset: Dataset,
    *,
    group: str,
    kinds: set[str],
    deps: Iterable[dg.AssetKey],
    description: str = "",
    table_name: str = "",
    partitions: dg.PartitionsDefinition[str] | None = None,
    freshness: dg.FreshnessPolicy | None = None,
    automation: dg.AutomationCondition[dg.AssetKey] | None = None,
) -> dg.AssetSpec:
    """Describe a dataset as an asset; `description` follows the contract's own doc."""
    grain = ", ".join(f"`{name}`" for name in dataset.grain)
    metadata: dict[str, Any] = {
        "dagster/table_name": table_name or dataset.table,
        "dagster/column_schema": column_schema(dataset),
        "contract_version": dataset.version,
    }
    return dg.AssetSpec(
        asset_key(dataset),
        deps=sorted(deps),
        description=f"{dataset.doc}\n\n{description}\n\n**A row is unique by** {grain}.".replace("\n\n\n\n", "\n\n"),
        group_name=group,
        owners=OWNERS,
        kinds=kinds,
        metadata=metadata,
        partitions_def=partitions,
        freshness_policy=freshness or (made_daily() if group == ROLLUPS else None),
        automation_condition=automation,
    )


def days_of(context: dg.AssetCheckExecutionContext) -> list[date]:
    """Return the days of a run of checks; run by themselves, from an asset's page, checks take yesterday."""
    run = context.op_execution_context
    if run.has_partition_key or run.has_partition_key_range:
        return [date.fromisoformat(key) for key in run.partition_keys]
    return [datetime.now(UTC).date() - timedelta(days=1)]


def observable(
    name: str, specs: Sequence[dg.AssetSpec], partitions: dg.PartitionsDefinition[str] | None = None
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make one function observe several assets, any of which can be observed alone. Dagster's own has no types."""
    made = dg.multi_observable_source_asset(specs=specs, name=name, partitions_def=partitions, can_subset=True)
    return cast(Callable[[Callable[..., Any]], dg.AssetsDefinition], made)
