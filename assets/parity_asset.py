"""The proof of a day as an asset: rebuilt from the tape, compared by instrument with what was streamed."""

import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

import dagster as dg

from assets.failures import failing_by_type
from assets.specs import DAILY, QUALITY, SPARK_POOL, asset_key, dataset_spec
from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.parity import PARITY
from contracts.rollups import ROLLUPS
from contracts.tape import TAPE
from contracts.trades import TRADES

if TYPE_CHECKING:
    from spark.comparison import Comparison, InstrumentComparison

CHECK = "rebuilt_rows_equal_streamed_rows"
DIFFERENT_SHOWN = 100
# The day's last rollup: when it is there, the day's bars have come to rest.
AFTER = asset_key(ROLLUPS[-1].dataset)
# Not the trades themselves: a run that audits them as well would not rebuild a day whose audit failed.
_COMPARED = [asset_key(dataset) for dataset in (*MARKET, BARS, TAPE) if dataset is not TRADES]

Found = dict[date, "list[Comparison]"]


class Rebuilder(Protocol):
    """Rebuilds a day from the tape, compares it with what was streamed, and keeps the outcome in system.parity."""

    def rebuild(self, day: date, run_id: str, on_progress: Callable[[str], None]) -> "list[Comparison]": ...


@dg.multi_asset(
    specs=[
        dataset_spec(
            PARITY,
            group=QUALITY,
            kinds={"spark", "clickhouse"},
            deps=[*_COMPARED, AFTER],
            description="Made by parsing the day's tape again, in a Spark session of its own: with the same parsers, "
            "rules and queries as the streams, into tables beside theirs. `tapehouse rebuild --day D` does the same.",
            partitions=DAILY,
        )
    ],
    name="system_parity",
    pool=SPARK_POOL,
    check_specs=[
        dg.AssetCheckSpec(
            name=CHECK,
            asset=asset_key(PARITY),
            blocking=True,
            partitions_def=DAILY,
            description="Stops what follows: of every instrument the rows that the day's tape gives are those that "
            "are stored, bit for bit.",
        )
    ],
)
def system_parity(
    context: dg.AssetExecutionContext, rebuilder: dg.ResourceParam[Rebuilder]
) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
    """Rebuild each of the run's days and compare it."""
    found: Found = {}
    with failing_by_type():
        from stores.seals import TapeRetiredError

        for key in context.partition_keys:
            began = time.monotonic()
            day = date.fromisoformat(key)
            try:
                found[day] = rebuilder.rebuild(day, context.run.run_id, context.log.info)
            except TapeRetiredError as error:
                # It was proven before it went, and that stands.
                context.log.info(str(error))
                context.add_asset_metadata({"note": str(error)}, asset_key=asset_key(PARITY), partition_key=key)
                continue
            metadata = day_metadata(day, found[day], time.monotonic() - began)
            context.log.info(f"{key}: {metadata['share_equal']:.2%} equal, {metadata['rows_compared']} rows compared")
            context.add_asset_metadata(metadata, asset_key=asset_key(PARITY), partition_key=key)
    yield dg.MaterializeResult(asset_key=asset_key(PARITY))
    if context.selected_asset_check_keys:
        yield check_result(found)


def day_metadata(day: date, found: "list[Comparison]", seconds: float) -> dict[str, Any]:
    """Return what a day's materialisation tells."""
    from spark.comparison import first_difference, share_equal

    first = first_difference(found)
    told: dict[str, Any] = {
        "dagster/partition_row_count": sum(len(one.instruments) for one in found),
        "share_equal": float(share_equal(found)),
        "rows_compared": sum(one.streamed_count for one in found),
        "seconds": round(seconds, 1),
        "tables": _tables(found),
    }
    if first is not None:
        told |= {"first_difference": _told(first), "different": _different({day: found})}
    elif not found:
        told["note"] = "neither the tape nor a table has a row of this day"
    return told


def check_result(found: Found) -> dg.AssetCheckResult:
    """Tell whether all days came out equal; name what differs first, and where on the tape it lies."""
    from spark.comparison import first_difference, share_equal

    every = [one for comparisons in found.values() for one in comparisons]
    firsts = {day: first for day, told in found.items() if (first := first_difference(told)) is not None}
    count = sum(len(one.instruments) for one in every)
    different = sum(len(one.different) for one in every)
    metadata: dict[str, Any] = {
        "share_equal": float(share_equal(every)),
        "compared": count,
        "unequal": different,
        "rows_compared": sum(one.streamed_count for one in every),
    }
    if not firsts:
        text = f"all {count} are equal, by instrument and dataset" if count else "there are no rows to compare"
        return dg.AssetCheckResult(
            asset_key=asset_key(PARITY), check_name=CHECK, passed=True, description=text, metadata=metadata
        )
    day, first = next(iter(firsts.items()))
    metadata |= {"first_difference": _told(first), "dataset": first.dataset, **_place(first)}
    metadata["different"] = _different(found)
    metadata["what to do"] = (
        f"tapehouse rebuild --day {day.isoformat()} compares again; --keep keeps the rebuilt rows to look into. "
        "tapehouse audit tells whether rows are missing or there twice. Late trades that came in the meantime mend "
        "themselves: the day is rebuilt after its next rollup."
    )
    text = f"{different} of {count} differ; first on {day.isoformat()}, {_told(first)}"
    return dg.AssetCheckResult(
        asset_key=asset_key(PARITY),
        check_name=CHECK,
        passed=False,
        severity=dg.AssetCheckSeverity.ERROR,
        description=text,
        metadata=metadata,
    )


def _told(one: "InstrumentComparison") -> str:
    text = one.difference.text if one.difference else "the histories differ"
    place = f" ({one.difference.place.text})" if one.difference else ""
    return f"{one.dataset} of {one.venue} {one.instrument}: {text}{place}"


def _place(one: "InstrumentComparison") -> dict[str, Any]:
    if one.difference is None or not one.difference.place.known:
        return {}
    place = one.difference.place
    return {
        "connection_id": place.connection_id,
        "message_number": place.message_number,
        "message_index": place.message_index,
        "received_time": dg.MetadataValue.timestamp(place.received_time / 1e6),
    }


_TABLE_COLUMNS = [
    dg.TableColumn("table", "string"),
    dg.TableColumn("streamed", "int", description="Rows that are stored."),
    dg.TableColumn("rebuilt", "int", description="Rows that the tape gives."),
    dg.TableColumn("instruments", "int"),
    dg.TableColumn("unequal", "int", description="Instruments whose rows are not the same."),
]


def _tables(found: "list[Comparison]") -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "table": one.table,
                "streamed": one.streamed_count,
                "rebuilt": one.rebuilt_count,
                "instruments": len(one.instruments),
                "unequal": len(one.different),
            }
        )
        for one in found
    ]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(_TABLE_COLUMNS))


_DIFFERENT_COLUMNS = [
    dg.TableColumn("day", "string"),
    dg.TableColumn("table", "string"),
    dg.TableColumn("venue", "string"),
    dg.TableColumn("instrument", "string"),
    dg.TableColumn("streamed", "int"),
    dg.TableColumn("rebuilt", "int"),
    dg.TableColumn("first difference", "string"),
    dg.TableColumn("on the tape", "string"),
]


def _different(found: Found) -> dg.TableMetadataValue:
    ones = [(day, one) for day, told in found.items() for table in told for one in table.different]
    records = [
        dg.TableRecord(
            {
                "day": day.isoformat(),
                "table": one.dataset,
                "venue": one.venue,
                "instrument": one.instrument,
                "streamed": one.streamed_count,
                "rebuilt": one.rebuilt_count,
                "first difference": one.difference.text if one.difference else "",
                "on the tape": one.difference.place.text if one.difference else "",
            }
        )
        for day, one in ones[:DIFFERENT_SHOWN]
    ]
    return dg.MetadataValue.table(records=records, schema=dg.TableSchema(_DIFFERENT_COLUMNS))
