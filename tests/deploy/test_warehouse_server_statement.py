"""The outline of a statement finds FORMAT, data and files where ClickHouse does."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zstandard

from deploy.warehouse_server.body import receive_body, split_form
from deploy.warehouse_server.failures import QueryError, from_engine
from deploy.warehouse_server.request import split_list
from deploy.warehouse_server.statement import is_closed, outline, settings_start


@pytest.mark.parametrize(
    ("sql", "head", "form"),
    [
        (b"SELECT 1", b"SELECT 1", None),
        (b"select 1 format JSON;", b"select 1 ", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", b"SELECT 1 ", "JSON"),
        (b"SELECT format('{}', 1)", b"SELECT format('{}', 1)", None),
        (b"SELECT format FROM t", b"SELECT format FROM t", None),
        (b"SELECT 'FORMAT CSV'", b"SELECT 'FORMAT CSV'", None),
        (b"SELECT 'it''s \\' FORMAT' FORMAT CSV", b"SELECT 'it''s \\' FORMAT' ", "CSV"),
        (b"SELECT $x$ FORMAT ' CSV $x$", b"SELECT $x$ FORMAT ' CSV $x$", None),
        (b"SELECT 1 -- FORMAT CSV", b"SELECT 1", None),
        (b"SELECT 1 /* a /* b */ FORMAT CSV */ FORMAT TSV", b"SELECT 1 /* a /* b */ FORMAT CSV */ ", "TSV"),
        (b"(SELECT 1) UNION ALL (SELECT 2) FORMAT TSV", b"(SELECT 1) UNION ALL (SELECT 2) ", "TSV"),
        (b"WITH 1 AS x SELECT x", b"WITH 1 AS x SELECT x", None),
    ],
)
def test_a_read_is_cut_before_its_format(sql: bytes, head: bytes, form: str | None) -> None:
    statement = outline(sql)
    assert (statement.kind, statement.head.rstrip(), statement.format) == ("read", head.rstrip(), form)


@pytest.mark.parametrize(
    ("sql", "form", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT Native\n\x00'\xff;", "Native", b"\x00'\xff;"),
        (b"insert into t (a, b) values (1, ';')", "Values", b" (1, ';')"),
        (b"INSERT INTO values VALUES (1)", "Values", b" (1)"),
        (b"INSERT INTO db.format (format, values) FORMAT TSV \n1", "TSV", b"1"),
        (b"INSERT INTO t SETTINGS a = 'FORMAT CSV' FORMAT TSV\n1", "TSV", b"1"),
        (b"INSERT INTO t FORMAT CSV SETTINGS a = 1, b = 'x'\n1", "CSV", b"1"),
        (b"INSERT INTO t FORMAT JSONEachRow {}", "JSONEachRow", b"{}"),
        (b"INSERT INTO t FORMAT CSV\nSETTINGS a row\n", "CSV", b"SETTINGS a row\n"),
        (b"INSERT INTO t FORMAT CSV;", "CSV", b""),
    ],
)
def test_an_inserts_data_begins_where_clickhouse_begins_it(sql: bytes, form: str, data: bytes) -> None:
    statement = outline(sql)
    assert (statement.kind, statement.format) == ("insert", form)
    assert sql[statement.data_start :] == data
    assert b"FORMAT" not in statement.head.replace(b"'FORMAT CSV'", b"")


@pytest.mark.parametrize(
    "sql",
    [
        b"INSERT INTO t SELECT 1",
        b"INSERT INTO t (a) SELECT format FROM s",
        b"WITH 1 AS x INSERT INTO t SELECT x",
        b"SET a = 1",
    ],
)
def test_a_statement_without_data_runs_as_it_stands(sql: bytes) -> None:
    assert outline(sql + b" ; ").head.strip() == sql


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        (b"", "SYNTAX_ERROR"),
        (b" -- nothing", "SYNTAX_ERROR"),
        (b"SELECT 1 /* never closed", "SYNTAX_ERROR"),
        (b"SELECT 1 /* a /* b */ FORMAT CSV", "SYNTAX_ERROR"),
        (b"SELECT 1; DROP TABLE t", "SYNTAX_ERROR"),
        (b"SELECT 1 INTO /* */ OUTFILE 'x'", "INTO_OUTFILE_NOT_ALLOWED"),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", "NOT_IMPLEMENTED"),
    ],
)
def test_what_a_server_never_runs_is_refused(sql: bytes, name: str) -> None:
    with pytest.raises(QueryError) as caught:
        outline(sql)
    assert caught.value.name == name


def test_a_nested_engine_message_becomes_one() -> None:
    inner = "Unknown format Foo. (UNKNOWN_FORMAT) (version 26.9.2.1). (UNKNOWN_FORMAT) (version 26.9.2.1)"
    error = from_engine(
        RuntimeError(f"Streaming insert failed: Code: 73. DB::Exception: Code: 73. DB::Exception: {inner}")
    )
    assert (error.code, error.name, error.status) == (73, "UNKNOWN_FORMAT", 404)
    assert str(error) == "Code: 73. DB::Exception: Unknown format Foo. (UNKNOWN_FORMAT)"


def test_a_form_keeps_every_byte() -> None:
    value = bytes(range(256)) + b"\r\n--x\r\n"
    body = b'--xy\r\nContent-Disposition: form-data; name="e"; filename="f"\r\n\r\n' + value + b"\r\n--xy--\r\n"
    (part,) = split_form("multipart/form-data; boundary=xy", body)
    assert (part.name, part.value, part.file) == ("e", value, True)


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        (b"a UInt8, b Decimal(9, 2), c Tuple(x String)", True),
        (b"a Enum8(')' = 1), b String COMMENT ')))' /* ) */ -- )", True),
        (b"a UInt8) ENGINE = Memory --", False),
        (b"a UInt8) ENGINE = Memory AS (SELECT 1", False),
        (b"a Array(UInt8", False),
    ],
)
def test_columns_that_would_end_their_statement_are_told_from_those_that_do_not(text: bytes, closed: bool) -> None:
    assert is_closed(text) == closed


def test_a_small_body_that_unpacks_to_much_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    packer = zstandard.ZstdCompressor().compressobj()
    packed = b"".join(packer.compress(bytes(1 << 24)) for _ in range(32)) + packer.flush()  # half a gigabyte of zeros
    assert len(packed) < 1 << 16

    async def chunks() -> AsyncIterator[bytes]:
        yield packed

    tracemalloc.start()
    try:
        with pytest.raises(QueryError, match="larger than 1000000 bytes"):
            asyncio.run(receive_body(chunks(), "zstd", tmp_path, 1_000_000))
        assert tracemalloc.get_traced_memory()[1] < 1 << 27
    finally:
        tracemalloc.stop()


def test_types_are_split_outside_brackets() -> None:
    assert split_list("UInt8, Decimal(9, 2),Array(String)") == ["UInt8", "Decimal(9, 2)", "Array(String)"]


@pytest.mark.parametrize(
    ("head", "settings"),
    [
        (b"INSERT INTO t (a) ", b""),
        (b"INSERT INTO t (a) SETTINGS x = 1, y = 2 ", b"SETTINGS x = 1, y = 2 "),
        (b"INSERT INTO db.settings (settings) settings x = 1", b"settings x = 1"),
        (b"INSERT INTO settings (a)", b""),
        (b"INSERT INTO TABLE `SETTINGS` (a) /* SETTINGS x = 1 */", b""),
    ],
)
def test_an_inserts_settings_are_found_behind_its_table(head: bytes, settings: bytes) -> None:
    assert head[settings_start(head) :] == settings
