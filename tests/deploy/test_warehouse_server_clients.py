"""clickhouse-connect, SQLAlchemy, Great Expectations and curl work on the server as on ClickHouse."""

from __future__ import annotations

import asyncio
import datetime as dt
import subprocess
import uuid
from decimal import Decimal
from typing import Any

import clickhouse_connect
import great_expectations as gx
import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy as sa
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.external import ExternalData
from great_expectations.expectations.core.expect_column_values_to_be_unique import ExpectColumnValuesToBeUnique
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

EVERY_TYPE = """CREATE TABLE every (
    id UInt64, price Decimal(38, 18), at DateTime64(6, 'UTC'), venue LowCardinality(String), note Nullable(String),
    side Enum8('buy' = 1, 'sell' = 2), key UUID, code FixedString(3), tags Array(String),
    label String DEFAULT concat('row ', toString(id))
) ENGINE = MergeTree ORDER BY id"""
COLUMNS = ["id", "price", "at", "venue", "note", "side", "key", "code", "tags"]
ROW = [
    2**64 - 1,
    Decimal("12345678901234567890.123456789012345678"),
    dt.datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=dt.UTC),
    "binance",
    None,
    "sell",
    uuid.UUID("0195e2a0-0000-7000-8000-000000000001"),
    b"abc",
    ["it's", "a\\b", "tab\there"],
]


def test_every_type_comes_back_as_it_was_inserted(client: Any) -> None:
    client.command(EVERY_TYPE)
    summary = client.insert("every", [ROW], column_names=COLUMNS)
    assert summary.written_rows == 1
    row = list(client.query("SELECT * FROM every", query_tz="UTC").result_rows[0])
    assert row[-1] == f"row {2**64 - 1}"
    row[2] = row[2].replace(tzinfo=dt.UTC)
    assert row[:-1] == ROW


@pytest.mark.parametrize("compression", [False, "gzip", "lz4", "zstd"])
def test_inserts_and_answers_survive_every_compression(server: Any, client: Any, compression: Any) -> None:
    client.command("CREATE TABLE t (id UInt64, name String) ENGINE = MergeTree ORDER BY id")
    with server.client(database=client.database, compress=compression) as other:
        other.insert("t", [[i, f"name {i}"] for i in range(200_000)], column_names=["id", "name"])
        result = other.query("SELECT id, name FROM t ORDER BY id")
        assert result.row_count == 200_000
        assert result.result_rows[-1] == (199_999, "name 199999")
    raw = subprocess.run(
        [
            "curl",
            "-sf",
            "--compressed",
            f"{server.url}?database={client.database}&enable_http_compression=1",
            "-d",
            "SELECT sum(id) FROM t",
        ],
        capture_output=True,
        check=True,
    )
    assert raw.stdout == b"19999900000\n"


def test_frames_and_arrow_are_inserted_and_read(client: Any) -> None:
    client.command(
        "CREATE TABLE t (id UInt64, price Decimal(38, 18), at DateTime64(6, 'UTC')) ENGINE = MergeTree ORDER BY id"
    )
    at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.uint64()),
            "price": pa.array([Decimal("0.000000001234"), Decimal("2.5")], pa.decimal128(38, 18)),
            "at": pa.array([at, at], pa.timestamp("us", "UTC")),
        }
    )
    assert client.insert_arrow("t", table).written_rows == 2
    client.insert_df("t", pd.DataFrame({"id": [3], "price": [Decimal("7.25")], "at": [pd.Timestamp(at)]}))
    back = client.query_arrow("SELECT id, price, at FROM t ORDER BY id")
    assert back["price"].to_pylist()[0] == Decimal("0.000000001234")
    frame = client.query_df("SELECT id, price FROM t ORDER BY id")
    assert list(frame["id"]) == [1, 2, 3]
    with client.query_arrow_stream("SELECT number FROM numbers(300000)") as stream:
        assert sum(batch.num_rows for batch in stream) == 300_000


@pytest.mark.parametrize("form", [False, True])
def test_parameters_are_bound_by_the_engine(server: Any, form: bool) -> None:
    nasty = "it's a \\ 'quote', a\ttab\nand {a line:String}"
    with server.client(form_encode_query_params=form) as client:
        row = client.query(
            "SELECT {s:String}, {n:Nullable(Int32)}, {l:Array(String)}, {t:DateTime64(6, 'UTC')}",
            parameters={
                "s": nasty,
                "n": None,
                "l": ["x'y", "z"],
                "t": dt.datetime(2026, 1, 2, 3, 4, 5, 678901),
            },
        ).result_rows[0]
    assert row[:3] == (nasty, None, ["x'y", "z"])
    assert row[3].replace(tzinfo=None) == dt.datetime(2026, 1, 2, 3, 4, 5, 678901)


def test_external_data_is_a_table_of_that_query_alone(client: Any) -> None:
    data = ExternalData(file_name="ext.csv", data=b"1,a\n2,b\r\n", fmt="CSV", structure=["id UInt8", "s String"])
    assert client.query("SELECT sum(id), max(s) FROM ext", external_data=data).result_rows == [(3, "b")]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM ext")


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("SELEC 1", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT * FROM nowhere", 60),
        ("SELECT * FROM no_db.t", 81),
        ("SELECT nosuch", 47),
        ("SELECT toUInt8('x')", 6),
        ("SELECT 1 SETTINGS nosuch = 1", 115),
        ("SELECT throwIf(number = 50000) FROM numbers(100000)", 395),
    ],
)
def test_an_error_carries_clickhouses_code(client: Any, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(sql)
    assert caught.value.code == code
    assert "tapehouse" not in str(caught.value).replace(str(client.uri), "")


@pytest.mark.parametrize("way", ["rows", "arrow", "values"])
@pytest.mark.parametrize(
    ("table", "code"),
    [
        ("(id Int64, CONSTRAINT small CHECK id < 3) ENGINE = MergeTree ORDER BY id", 469),
        (
            "(id Int64) ENGINE = MergeTree ORDER BY id "
            "SETTINGS min_free_disk_bytes_to_perform_insert = 1000000000000000000",
            243,
        ),
    ],
    ids=["a broken constraint", "no room on the disk"],
)
def test_an_insert_that_stores_nothing_is_never_acknowledged(client: Any, table: str, code: int, way: str) -> None:
    client.command("DROP TABLE IF EXISTS refused")
    client.command(f"CREATE TABLE refused {table}")
    with pytest.raises(DatabaseError) as caught:
        if way == "rows":
            client.insert("refused", [[2], [3]], column_names=["id"])
        elif way == "arrow":
            client.insert_arrow("refused", pa.table({"id": [2, 3]}))
        else:
            client.command("INSERT INTO refused SETTINGS async_insert = 0 VALUES (2), (3)")
    assert caught.value.code == code
    assert client.command("SELECT count() FROM refused") == 0


def test_a_setting_ends_with_its_query(client: Any) -> None:
    show = "SELECT getSetting('max_block_size')"
    before = client.query(show).result_rows[0][0]
    assert client.query(show, settings={"max_block_size": 777}).result_rows[0][0] == 777
    assert client.query(show).result_rows[0][0] == before


def test_a_session_keeps_what_it_set_and_nobody_else_sees_it(server: Any, client: Any) -> None:
    client.command("SET max_threads = 3")
    client.command("CREATE TEMPORARY TABLE mine (x UInt8)")
    client.insert("mine", [[7]], column_names=["x"])
    assert client.query("SELECT x FROM mine", settings={"max_threads": 1}).result_rows == [(7,)]
    assert client.query("SELECT getSetting('max_threads')").result_rows == [(3,)]
    with server.client() as other:
        assert other.query("SELECT getSetting('max_threads') = 3").result_rows == [(0,)]
        with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
            other.query("SELECT * FROM mine")


def test_the_same_token_twice_stores_the_rows_once(client: Any) -> None:
    client.command(
        "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
    )
    token = {"insert_deduplication_token": "orders:0:10-12"}
    table = pa.table({"id": pa.array([4, 5], pa.uint64())})
    for _ in range(2):
        client.insert("t", [[1], [2], [3]], column_names=["id"], settings=token)
        client.insert_arrow("t", table, settings={"insert_deduplication_token": "orders:0:13-14"})
    assert client.query("SELECT count() FROM t").result_rows == [(5,)]
    client.insert("t", [[1], [2], [3]], column_names=["id"], settings={"insert_deduplication_token": "other"})
    assert client.query("SELECT count() FROM t").result_rows == [(8,)]


def test_an_empty_answer_and_statements_without_rows_work(client: Any) -> None:
    assert client.query("SELECT number FROM numbers(3) WHERE number > 5").result_rows == []
    assert client.command("SELECT 42") == 42
    client.command("CREATE TABLE t (id UInt8) ENGINE = Memory")
    assert client.command("EXISTS TABLE t") == 1
    assert client.query("SHOW TABLES").result_rows == [("t",)]
    assert client.query("DESCRIBE TABLE t").result_rows[0][:2] == ("id", "UInt8")


def test_sqlalchemy_reads_writes_and_reflects(server: Any, client: Any) -> None:
    engine = sa.create_engine(f"clickhousedb://default@127.0.0.1:{server.port}/{client.database}")
    client.command("CREATE TABLE bars (id UInt64, close Decimal(38, 18)) ENGINE = MergeTree ORDER BY id")
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO bars VALUES (1, 2.5), (2, 3.5)"))
        assert connection.execute(
            sa.text("SELECT sum(close) FROM bars WHERE id > :least"), {"least": 1}
        ).scalar() == Decimal("3.5")
    assert [column["name"] for column in sa.inspect(engine).get_columns("bars")] == ["id", "close"]
    engine.dispose()


def test_great_expectations_checks_a_table(server: Any, client: Any) -> None:
    client.command("CREATE TABLE bars (id UInt64, close Nullable(Float64)) ENGINE = MergeTree ORDER BY id")
    client.insert("bars", [[1, 2.5], [2, None]], column_names=["id", "close"])
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_sql(
        "warehouse", connection_string=f"clickhousedb://default@127.0.0.1:{server.port}/{client.database}"
    )
    batch = source.add_table_asset("bars", table_name="bars").add_batch_definition_whole_table("all").get_batch()
    assert batch.validate(ExpectColumnValuesToBeUnique(column="id")).success
    assert not batch.validate(ExpectColumnValuesToNotBeNull(column="close")).success


async def test_the_async_client_works_side_by_side(server: Any, client: Any) -> None:
    client.command("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
    other = await clickhouse_connect.get_async_client(host="127.0.0.1", port=server.port, database=client.database)
    await asyncio.gather(*(other.insert("t", [[number]], column_names=["id"]) for number in range(8)))
    assert (await other.query("SELECT count() FROM t")).result_rows == [(8,)]
    await other.close()
