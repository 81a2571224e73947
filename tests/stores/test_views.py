"""The views say how things stand: gaps by their last revision, instruments as spans of equal words."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.dataset import Dataset, Type
from contracts.gaps import GAPS
from contracts.instruments import INSTRUMENTS
from orchestration.prepare import MIGRATIONS
from stores.arrow import arrow_schema
from stores.migrations import migrate
from stores.warehouse import Warehouse

DAY = int(datetime(2022, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3600 * 1_000_000
FOREVER = int(datetime(2299, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def store(platform: Any) -> Iterator[Warehouse]:
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS views_test")
    server.run("CREATE DATABASE views_test")
    warehouse = Warehouse(replace(platform.warehouse, database="views_test"))
    migrate(warehouse, MIGRATIONS)
    yield warehouse
    server.run("DROP DATABASE views_test")


def put(store: Warehouse, dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    zero = {Type.STRING: "", Type.TIMESTAMP: DAY}
    blank = {c.name: zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(0) for c in dataset.columns}
    table = pa.Table.from_pylist([blank | row for row in rows], schema=arrow_schema(dataset.columns))
    store.run(f"TRUNCATE TABLE {dataset.table}")
    store.insert(dataset.table, table, token=str(hash(str(rows))))


def test_a_gap_stands_as_its_last_revision_says_whatever_the_order_of_arrival(store: Warehouse) -> None:
    told = [(7, 1, "open"), (7, 3, "filled"), (7, 2, "open"), (8, 1, "open")]
    gaps = [{"venue": "v", "gap_number": g, "revision": r, "state": s} for g, r, s in told]
    put(store, GAPS, [*gaps, {**gaps[1], "venue": "w", "state": "unfillable"}])
    found = store.rows("SELECT venue, gap_number, revision, state FROM system_gaps_current ORDER BY venue, gap_number")
    assert found == [("v", 7, 3, "filled"), ("v", 8, 1, "open"), ("w", 7, 3, "unfillable")]


told = st.lists(
    st.tuples(st.sampled_from(["X", "Y"]), st.integers(0, 23), st.sampled_from(["0.1", "0.2"])),
    max_size=14,
    unique_by=lambda one: one[:2],
)


@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(told)
def test_instruments_told_alike_are_one_span_and_spans_meet_without_holes(
    store: Warehouse, drawn: list[tuple[str, int, str]]
) -> None:
    expected = []
    for instrument in ("X", "Y"):
        steps = sorted((hour, step) for name, hour, step in drawn if name == instrument)
        changes = [one for one, before in zip(steps, [None, *steps], strict=False) if not before or one[1] != before[1]]
        ends = [DAY + hour * HOUR for hour, _ in changes[1:]] + [FOREVER]
        expected += [
            (instrument, Decimal(step), DAY + hour * HOUR, end)
            for (hour, step), end in zip(changes, ends[: len(changes)], strict=True)
        ]
    rows = [
        {"instrument": name, "event_time": DAY + hour * HOUR, "venue_sequence": hour, "price_step": Decimal(step)}
        for name, hour, step in drawn
    ]
    if rows:
        put(store, INSTRUMENTS, rows)
    else:
        store.run(f"TRUNCATE TABLE {INSTRUMENTS.table}")
    found = store.rows(
        "SELECT instrument, price_step, toUnixTimestamp64Micro(valid_from), toUnixTimestamp64Micro(valid_to) "
        "FROM reference_instruments_history ORDER BY instrument, valid_from"
    )
    assert found == expected
