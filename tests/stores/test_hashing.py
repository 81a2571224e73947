"""The hash that Python computes before a write is the one that the warehouse computes of what it stored."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.dataset import Column, Dataset, Type
from contracts.dataset import Decimal as DecimalColumn
from contracts.quarantine import QUARANTINE
from contracts.trades import TRADES
from stores.arrow import arrow_schema
from stores.columns import clickhouse_type, content_hash
from stores.hashing import combine, content_hashes
from stores.warehouse import Warehouse


def values(column: Column) -> st.SearchStrategy[Any]:
    if isinstance(column.type, DecimalColumn):
        limit = 10**column.type.precision - 1
        scale = column.type.scale
        return st.integers(-limit, limit).map(lambda whole: Decimal(whole).scaleb(-scale))
    return {
        Type.STRING: st.text(st.characters(codec="utf-8"), max_size=12),
        Type.BYTES: st.binary(max_size=12),
        Type.INT32: st.integers(-(2**31), 2**31 - 1),
        Type.INT64: st.integers(-(2**63), 2**63 - 1),
        Type.UINT64: st.integers(0, 2**64 - 1),
        # What DateTime64 holds, ahead of and behind the epoch.
        Type.TIMESTAMP: st.datetimes(datetime(1901, 1, 1), datetime(2290, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),
    }[column.type]


def rows(dataset: Dataset) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries({c.name: values(c) for c in dataset.content_columns}), min_size=1, max_size=8)


@pytest.mark.parametrize("dataset", [TRADES, QUARANTINE], ids=lambda d: d.name)
def test_python_and_the_warehouse_agree_on_every_content_hash(platform: Any, dataset: Dataset) -> None:
    warehouse = Warehouse(platform.warehouse)
    columns = dataset.content_columns
    forms = ", ".join(f"{c.name} {clickhouse_type(c)}" for c in columns)
    table = f"hashing_{dataset.table}"
    warehouse.run(f"DROP TABLE IF EXISTS {table}")
    warehouse.run(f"CREATE TABLE {table} (place Int32, {forms}) ENGINE = Memory")

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(rows(dataset))
    def agree(drawn: list[dict[str, Any]]) -> None:
        arrow = pa.Table.from_pylist(drawn, schema=arrow_schema(columns))
        warehouse.run(f"TRUNCATE TABLE {table}")
        placed = arrow.append_column("place", pa.array(range(len(drawn)), pa.int32()))
        warehouse.insert(table, placed, token="x")
        stored = warehouse.rows(f"SELECT {content_hash(dataset)} FROM {table} ORDER BY place")
        mine = content_hashes(dataset, arrow)
        assert [int(row[0]) for row in stored] == [int(h) for h in mine]
        assert int(warehouse.value(f"SELECT sum({content_hash(dataset)}) FROM {table}")) == combine(mine)

    agree()
    warehouse.run(f"DROP TABLE {table}")
