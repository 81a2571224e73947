"""The hash that Python computes before a write is the one that the warehouse computes of what it stored."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.books import BOOKS
from contracts.dataset import Column, Dataset, ListOf, Type
from contracts.dataset import Decimal as DecimalColumn
from contracts.quarantine import QUARANTINE
from contracts.trades import TRADES
from stores.arrow import arrow_schema
from stores.columns import clickhouse_type, content_hash
from stores.hashing import combine, content_hashes
from stores.warehouse import Warehouse


def decimals(type: DecimalColumn) -> st.SearchStrategy[Decimal]:
    limit = 10**type.precision - 1
    return st.integers(-limit, limit).map(lambda whole: Decimal(whole).scaleb(-type.scale))


def values(column: Column) -> st.SearchStrategy[Any]:
    if isinstance(column.type, ListOf):
        return st.lists(decimals(column.type.item), max_size=5)
    if isinstance(column.type, DecimalColumn):
        return decimals(column.type)
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


@pytest.mark.parametrize("dataset", [TRADES, BOOKS, QUARANTINE], ids=lambda d: d.name)
def test_python_and_the_warehouse_agree_on_every_content_hash(platform: Any, dataset: Dataset) -> None:
    warehouse = Warehouse(platform.warehouse)
    columns = dataset.content_columns
    forms = ", ".join(f"{c.name} {clickhouse_type(c)}" for c in columns)
    table = f"hashing_{dataset.table}"
    warehouse.run(f"DROP TABLE IF EXISTS {table}")
    warehouse.run(f"CREATE TABLE {table} (place Int32, {forms}) ENGINE = Memory")

    @settings(max_examples=40)
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


def test_hashes_of_a_part_of_a_table_are_those_of_the_whole() -> None:
    # Slices share the lists' memory: where one begins must not move what another holds.
    columns = BOOKS.content_columns
    blank = {c.name: 0 if isinstance(c.type, Type) and c.type is not Type.STRING else "" for c in columns}
    lists: dict[str, list[Decimal]] = {c.name: [] for c in columns if isinstance(c.type, ListOf)}
    rows = [blank | lists | {"bid_prices": [Decimal(n)] * (n % 4)} for n in range(20)]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(columns))
    whole = list(content_hashes(BOOKS, table))
    cut = pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7, 1), table.slice(8)])
    assert list(content_hashes(BOOKS, cut)) == whole
    assert list(content_hashes(BOOKS, table.slice(5, 6))) == whole[5:11]


def test_books_that_differ_in_which_level_has_which_quantity_have_other_hashes() -> None:
    columns = BOOKS.content_columns
    blank = {c.name: 0 if isinstance(c.type, Type) and c.type is not Type.STRING else "" for c in columns}
    lists: dict[str, list[Decimal]] = {c.name: [] for c in columns if isinstance(c.type, ListOf)}
    one, two = Decimal(1), Decimal(2)
    books = [
        {"bid_prices": [one, two]}, {"bid_prices": [two, one]}, {"bid_prices": [one], "bid_quantities": [two]},
        {"bid_prices": [one]}, {"bid_quantities": [one]}, {"ask_prices": [one]}, {"bid_prices": [Decimal(12)]}, {},
    ]  # fmt: skip
    table = pa.Table.from_pylist([blank | lists | book for book in books], schema=arrow_schema(columns))
    assert len(set(content_hashes(BOOKS, table))) == len(books)
