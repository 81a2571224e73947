"""What keeps the platform small: retired days with their seals, and few large files. Both are made by schedules."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.failures import failing_by_type
from assets.parity_asset import AFTER
from assets.specs import OWNERS, QUALITY, WAREHOUSE_POOL, asset_key, dataset_spec
from assets.store import Store
from assets.thresholds import RetentionWishes
from contracts.parity import PARITY
from contracts.seals import SEALS
from contracts.tape import TAPE

if TYPE_CHECKING:
    from assets.retention import Retirement
    from stores.compaction import Size

ROWS_SHOWN = 100
STORAGE = dg.AssetKey(["system", "storage"])


@dg.multi_asset(
    specs=[
        dataset_spec(
            SEALS,
            group=QUALITY,
            kinds={"clickhouse", "deltalake"},
            deps=[asset_key(PARITY), AFTER],
            description="A day is retired when it is over its time, its rollups hold its trades, its parity passed for "
            "the rows that are there, and its backup is where the settings want it: it is sealed, and dropped by the "
            "next run. `tapehouse retention --dry-run` shows what that would be.",
        )
    ],
    name="system_seals",
    pool=WAREHOUSE_POOL,
)
def system_seals(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[Store], wishes: dg.ResourceParam[RetentionWishes]
) -> dg.MaterializeResult[None]:
    """Drop what was sealed, and seal what is due."""
    with failing_by_type():
        from assets.retention import Places, retire

        told = retire(Places(store.warehouse(), store.lake), wishes, datetime.now(UTC), context.log.info)
    return dg.MaterializeResult(asset_key=asset_key(SEALS), metadata=retirement_metadata(told))


def retirement_metadata(told: "Sequence[Retirement]") -> dict[str, Any]:
    """Return how many days are in which state, and each with its rule and reason."""
    counts = {f"{state}_partitions": sum(one.state == state for one in told) for state in ("dropped", "sealed", "kept")}
    rows = {"dropped_rows": sum(one.rows for one in told if one.state == "dropped")}
    if not told:
        return counts | rows
    columns = ("dataset", "partition", "rows", "state", "rule", "reason")
    schema = dg.TableSchema([dg.TableColumn(name, "int" if name == "rows" else "string") for name in columns])
    records = [dg.TableRecord({name: getattr(one, name) for name in columns}) for one in told[:ROWS_SHOWN]]
    return counts | rows | {"partitions": dg.MetadataValue.table(records=records, schema=schema)}


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            STORAGE,
            deps=[asset_key(TAPE), AFTER],
            description="The files of the lake and the parts of the warehouse: of days that are over there are few and "
            "large ones. Rows and hashes stay as they are, no reader is disturbed; `tapehouse compact` does the same.",
            group_name=QUALITY,
            owners=OWNERS,
            kinds={"clickhouse", "deltalake"},
        )
    ],
    name="system_storage",
    pool=WAREHOUSE_POOL,
)
def system_storage(context: dg.AssetExecutionContext, store: dg.ResourceParam[Store]) -> dg.MaterializeResult[None]:
    """Compact what is over, and tell files, bytes and what a million rows cost."""
    with failing_by_type():
        from stores.compaction import compact

        warehouse = store.warehouse()
        before = storage_sizes(store)
        done = compact(warehouse, store.lake, datetime.now(UTC).date(), context.log.info)
        after = storage_sizes(store)
    return dg.MaterializeResult(
        asset_key=STORAGE, metadata={"compacted_partitions": len(done)} | sizes_metadata(before, after)
    )


def storage_sizes(store: Store) -> "dict[str, Size]":
    """Return by table what it consists of; the tape's is the lake's."""
    from stores.compaction import lake_size, warehouse_sizes

    return warehouse_sizes(store.warehouse()) | {TAPE.name: lake_size(store.lake)}


def sizes_metadata(before: "Mapping[str, Size]", after: "Mapping[str, Size]") -> dict[str, Any]:
    """Return files and bytes before and after, and the cost of a million rows, by table and in all."""
    columns = ("table", "files_before", "files_after", "bytes_before", "bytes_after", "rows", "bytes_a_million")
    records = []
    for name, now in sorted(after.items()):
        then = before.get(name, now)
        values = (name, then.files, now.files, then.bytes, now.bytes, now.rows, now.bytes_a_million)
        records.append(dg.TableRecord(dict(zip(columns, values, strict=True))))
    told: dict[str, Any] = {
        "files_before": sum(one.files for one in before.values()),
        "files_after": sum(one.files for one in after.values()),
        "bytes_before": sum(one.bytes for one in before.values()),
        "bytes_after": sum(one.bytes for one in after.values()),
    }
    if records:
        schema = dg.TableSchema([dg.TableColumn(name, "string" if name == "table" else "int") for name in columns])
        told["tables"] = dg.MetadataValue.table(records=records, schema=schema)
    return told
