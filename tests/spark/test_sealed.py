"""What comes late for a sealed day is quarantined, whole and with its reason, and makes no bar."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.trades import TRADES
from spark.bars import refresh
from spark.deliver import WritePlan, write_decoded
from spark.placement import Range
from spark.sealed import behind_seals
from spark.unpacking import unpack
from stores.arrow import arrow_schema
from stores.records import pack
from stores.seals import DAY, Seal, SealedDays, sealed_spans, write_seals
from stores.warehouse import Warehouse

SCHEMA = arrow_schema(TRADES.wire_columns)
MAY = int(datetime(2026, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000
QUERY = Path(__file__).resolve().parents[2] / "sql" / "queries" / "bars.sql"


def trade(number: int, at: int, **changes: Any) -> dict[str, Any]:
    return {
        "venue": "v", "instrument": "i", "id_space": "s", "trade_id": str(number), "venue_sequence": number,
        "price": Decimal(number + 1), "quantity": Decimal(1), "side": "buy", "trade_count": 1, "event_time": at,
        "received_time": MAY + 50 * DAY, "connection_id": "c", "message_number": number, "message_index": 0,
    } | changes  # fmt: skip


def events(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


spans = st.lists(
    st.tuples(st.sampled_from("vw"), st.integers(0, 9), st.integers(1, 3)).map(
        lambda told: (told[0], MAY + told[1] * DAY, MAY + (told[1] + told[2]) * DAY)
    ),
    max_size=5,
)
told = st.tuples(
    st.sampled_from("vwx"),
    st.integers(0, 12 * 24).map(lambda hours: MAY + hours * DAY // 24),
    st.sampled_from(["c", "import-3", "my-import-3"]),
    st.sampled_from(["spot.trade", "lean.trade", "file.trade", "clean.trade"]),
)


@given(rows=st.lists(told, max_size=30), sealed=spans)
def test_exactly_the_rows_of_sealed_days_are_late_and_no_imported_ones(
    rows: list[tuple[str, int, str, str]], sealed: list[tuple[str, int, int]]
) -> None:
    made = [trade(n, at, venue=v, connection_id=c, id_space=s) for n, (v, at, c, s) in enumerate(rows)]
    late = {
        n
        for n, (venue, at, connection, space) in enumerate(rows)
        if any(venue == v and start <= at < end for v, start, end in sealed)
        and not connection.startswith("import-")
        and not space.startswith(("lean.", "file."))
    }
    assert behind_seals(TRADES, events(*made), sealed) == dict.fromkeys(late, "day_sealed")


@pytest.fixture(scope="module")
def plan(new_database: Any) -> WritePlan:
    return WritePlan(
        dataset=TRADES.name, topic="market.trades", topic_id="T", broker=None, warehouse=new_database("sealed"),
        schemas_fresh=True, table="market_trades",
    )  # fmt: skip


def arrived(rows: Sequence[dict[str, Any]], sealed: Any) -> pa.Table:
    """Return rows as they come from Kafka: a record of them all."""
    value = pack(7, pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA))
    records = pa.table(
        {
            "kafka_partition": pa.array([0], pa.int32()),
            "kafka_offset": pa.array([0], pa.int64()),
            "value": pa.array([value], pa.binary()),
        }
    )
    return unpack(records, TRADES, {7: "{}"}, sealed)


def test_a_late_trade_lies_in_quarantine_and_the_bars_stay_as_they_were(plan: WritePlan) -> None:
    warehouse = Warehouse(plan.warehouse)
    days = SealedDays(warehouse, TRADES, every_s=0)
    assert days.spans() == ()
    for day in (1, 2, 4):
        seal = Seal(TRADES.name, datetime(2026, 5, day).date(), "v", "T", 0, 9, 9, "rule")
        write_seals(warehouse, [seal], datetime.now(UTC))
    assert days.spans() == (("v", MAY, MAY + 2 * DAY), ("v", MAY + 3 * DAY, MAY + 4 * DAY))
    assert sealed_spans(warehouse, "market.quotes") == ()
    rows = [
        trade(0, MAY + 5), trade(1, MAY + 2 * DAY), trade(2, MAY + 3 * DAY, venue="w"),
        trade(3, MAY + 3 * DAY, price=Decimal(0)),
    ]  # fmt: skip
    made = arrived(rows, days.spans())
    assert made["rejection"].to_pylist() == ["day_sealed", None, None, "price_not_positive"]
    written = write_decoded(made, Range("T", 0, 0, 0), plan)
    assert (written.delivery.read_count, written.delivery.stored_count, written.delivery.quarantined_count) == (4, 2, 2)
    assert written.touched == [("v", "i", "s", MAY + 2 * DAY), ("w", "i", "s", MAY + 3 * DAY)]
    refresh(warehouse, QUERY.read_text(), [(minute, "final") for minute in written.touched], known_time=1)
    bars = warehouse.rows("SELECT venue, toUnixTimestamp64Micro(bar_time) FROM market_bars_current ORDER BY venue")
    assert bars == [("v", MAY + 2 * DAY), ("w", MAY + 3 * DAY)]
    found = warehouse.rows("SELECT reason, hex(payload) FROM system_quarantine WHERE reason = 'day_sealed'")
    (late,) = unpack(
        pa.table(
            {
                "kafka_partition": pa.array([0], pa.int32()),
                "kafka_offset": pa.array([0], pa.int64()),
                "value": pa.array([bytes.fromhex(found[0][1])], pa.binary()),
            }
        ),
        TRADES,
        {7: "{}"},
    ).to_pylist()
    assert (found[0][0], late["trade_id"]) == ("day_sealed", "0"), "whole, so that it can be sent again"
