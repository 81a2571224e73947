"""The raw protocol: what curl sends, what is refused, how much memory it takes, who waits for whom."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import subprocess
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

SLOW = "SELECT sum(sipHash64(number)) FROM numbers(100000000000)"


def ask(
    server: Any, body: bytes = b"", headers: dict[str, str] | None = None, method: str = "POST", **params: str
) -> tuple[int, dict[str, str], bytes]:
    """Send one request with nothing but the standard library."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, "/?" + urllib.parse.urlencode(params), body, headers or {})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def curl(*arguments: str, data: bytes | None = None) -> bytes:
    return subprocess.run(["curl", "-s", *arguments], input=data, capture_output=True, check=True, timeout=60).stdout


def form(named: bytes, value: bytes) -> bytes:
    return b"--x\r\nContent-Disposition: form-data; " + named + b"\r\n\r\n" + value + b"\r\n--x--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
# The columns of an external table stand in a statement of their own, which runs before readonly is set.
WRITTEN_BY_STRUCTURE = {
    "query": "SELECT * FROM e",
    "readonly": "2",
    "e_structure": "a UInt8) ENGINE = File(CSV, 'written.csv') --",
}


def test_curl_gets_a_healthy_server_and_a_default_format(server: Any) -> None:
    assert curl(f"{server.url}ping") == b"Ok.\n"
    assert curl(server.url) == b"Ok.\n"
    assert curl(server.url, "-d", "SELECT 1, 'a\tb'") == b"1\ta\\tb\n"
    assert json.loads(curl(f"{server.url}?query=SELECT+1+AS+x&default_format=JSONEachRow")) == {"x": 1}
    assert curl(server.url, "-H", "X-ClickHouse-Format: CSVWithNames", "-d", "SELECT 1 AS x -- end") == b'"x"\n1\n'


def test_headers_name_query_format_zone_and_summary(server: Any) -> None:
    status, headers, _ = ask(server, b"SELECT number FROM numbers(10) FORMAT JSONEachRow", query_id="mine-1")
    assert status == 200
    assert headers["x-clickhouse-query-id"] == "mine-1"
    assert headers["x-clickhouse-format"] == "JSONEachRow"
    assert headers["x-clickhouse-timezone"] == "UTC"
    assert json.loads(headers["x-clickhouse-summary"])["read_rows"] == "10"
    assert ask(server, b"SELECT 1", query_id="a\r\nx-evil: 1")[1]["x-clickhouse-query-id"] == "a??x-evil: 1"
    assert ask(server, b"SELECT timezone(), toDateTime('2026-01-01 00:00:00')::UInt32")[2] == b"UTC\t1767225600\n"


@pytest.mark.parametrize(
    ("clause", "data", "rows"),
    [
        ("FORMAT CSV", b'1,"a"\n2,"b"\n', 2),
        ("FORMAT CSVWithNames", b'name,id\n"a",1\n', 1),
        ("FORMAT JSONEachRow", b'{"id": 1}\n{"id": 2, "name": "b"}\n', 2),
        ("FORMAT TSV", b"1\ta\n", 1),
        ("VALUES", b"(1, upper('a')), (2, 'b;')", 2),
        ("SETTINGS format_csv_delimiter = ';' FORMAT CSV", b"1;a\n", 1),
        ("FORMAT CSV SETTINGS format_csv_delimiter = ';'", b"1;a\n", 1),
        ("SELECT id + 1, upper(name) FROM input('id UInt64, name String') FORMAT CSV", b"1,a\n2,b\n", 2),
    ],
)
@pytest.mark.parametrize("place", ["query and body", "body"])
def test_data_is_inserted_in_its_format(
    server: Any, client: Any, clause: str, data: bytes, rows: int, place: str
) -> None:
    client.command("CREATE TABLE t (id UInt64, name String DEFAULT 'none') ENGINE = MergeTree ORDER BY id")
    sql = f"INSERT INTO t (id, name) /* FORMAT */ {clause}"
    if place == "body":
        status, headers, body = ask(server, sql.encode() + b"\n" + data, database=client.database)
    else:
        status, headers, body = ask(server, data, database=client.database, query=sql)
    assert (status, body) == (200, b"")
    assert client.query("SELECT count() FROM t").result_rows == [(rows,)]
    if "input(" not in clause:
        assert json.loads(headers["x-clickhouse-summary"])["written_rows"] == str(rows)


def test_parquet_is_inserted_and_read(server: Any, client: Any) -> None:
    client.command("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
    file = io.BytesIO()
    pq.write_table(pa.table({"id": pa.array(range(1000), pa.uint64())}), file)
    url = f"{server.url}?database={client.database}&query=INSERT+INTO+t+FORMAT+Parquet"
    assert curl(url, "--data-binary", "@-", data=file.getvalue()) == b""
    back = curl(f"{server.url}?database={client.database}", "-d", "SELECT id FROM t FORMAT Parquet")
    assert pq.read_table(io.BytesIO(back)).num_rows == 1000


@pytest.mark.parametrize(
    ("body", "params", "headers", "status", "name"),
    [
        (b"SELEC 1", {}, {}, 400, "SYNTAX_ERROR"),
        (b";", {}, {}, 400, "SYNTAX_ERROR"),
        (b"", {}, {}, 400, "SYNTAX_ERROR"),
        (b"SELECT '\xff", {}, {}, 400, "SYNTAX_ERROR"),
        (b"SHOW TABLES FORMAT \x00 JSON", {}, {}, 400, "SYNTAX_ERROR"),
        (b"SELECT 1 /* never closed", {}, {}, 400, "SYNTAX_ERROR"),
        (b"SELECT * FROM nowhere", {}, {}, 404, "UNKNOWN_TABLE"),
        (b"SELECT 1", {"database": "nowhere"}, {}, 404, "UNKNOWN_DATABASE"),
        (b"SELECT 1", {"no_such_setting": "1"}, {}, 404, "UNKNOWN_SETTING"),
        (b"SELECT 1", {"x=1, max_threads": "1"}, {}, 404, "UNKNOWN_SETTING"),
        (b"SELECT 1 FORMAT Nonsense", {}, {}, 404, "UNKNOWN_FORMAT"),
        (b"SELECT 1 FORMAT DataFrame", {}, {}, 404, "UNKNOWN_FORMAT"),
        (b"INSERT INTO nowhere FORMAT CSV\n1\n", {}, {}, 404, "UNKNOWN_TABLE"),
        (b"SELECT 1 INTO OUTFILE '/tmp/x'", {}, {}, 400, "INTO_OUTFILE_NOT_ALLOWED"),
        (b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", {}, {}, 501, "NOT_IMPLEMENTED"),
        (b"SELECT {x:UInt8}", {"param_x": "y"}, {}, 400, "BAD_QUERY_PARAMETER"),
        (b"SELECT 1", {"session_timeout": "x"}, {}, 500, "INVALID_SESSION_TIMEOUT"),
        (b"SELECT 1", {"session_timeout": "\u00b2"}, {}, 500, "INVALID_SESSION_TIMEOUT"),
        (b"SELECT 1", {"session_timeout": "9" * 5000}, {}, 500, "INVALID_SESSION_TIMEOUT"),
        (b"SELECT 1", {"session_id": "n", "session_check": "1"}, {}, 404, "SESSION_NOT_FOUND"),
        (b"SELECT 1", {}, {"Content-Encoding": "rot13"}, 501, "NOT_IMPLEMENTED"),
        (b"SELECT 1", {}, {"Content-Encoding": "gzip"}, 400, "CANNOT_DECOMPRESS"),
        (b"SELECT 1", {}, {"Content-Encoding": "zstd"}, 400, "CANNOT_DECOMPRESS"),
        (b"SELECT 1", {}, {"Content-Encoding": "lz4"}, 400, "CANNOT_DECOMPRESS"),
        (gzip.compress(b"SELECT 1")[:-9], {}, {"Content-Encoding": "gzip"}, 400, "CANNOT_DECOMPRESS"),
        (b"--x\r\nbroken", {}, FORM, 400, "BAD_ARGUMENTS"),
        (form(b'name="query"', b"\xff"), {}, FORM, 400, "BAD_ARGUMENTS"),
        (form(b'name="\xff"', b"SELECT 1"), {}, FORM, 400, "BAD_ARGUMENTS"),
        (form(b'name="e"; filename="f"', b"1\n"), WRITTEN_BY_STRUCTURE, FORM, 400, "BAD_ARGUMENTS"),
        (SLOW.encode(), {"max_execution_time": "0.3"}, {}, 408, "TIMEOUT_EXCEEDED"),
    ],
)
def test_a_mistake_gets_its_status_and_harms_nobody(
    server: Any, body: bytes, params: dict[str, str], headers: dict[str, str], status: int, name: str
) -> None:
    answer, answer_headers, text = ask(server, body, headers, **params)
    assert (answer, f"({name})" in text.decode()) == (status, True), text
    assert text.startswith(b"Code: " + answer_headers["x-clickhouse-exception-code"].encode())
    assert ask(server, b"SELECT 1")[2] == b"1\n"


@pytest.mark.parametrize("host", ["[::1", "elsewhere/ping?x#y", ""])
def test_the_header_host_does_not_say_where_a_request_goes(server: Any, host: str) -> None:
    assert ask(server, b"SELECT 1", {"Host": host})[::2] == (200, b"1\n")


def test_get_cannot_write(server: Any, client: Any) -> None:
    status, _, text = ask(
        server, method="GET", query="CREATE TABLE t (x UInt8) ENGINE = Memory", database=client.database
    )
    assert (status, b"READONLY" in text) == (400, True)


def test_a_bad_row_in_the_middle_stores_nothing(server: Any, client: Any) -> None:
    client.command("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
    data = b"".join(b"%d\n" % i for i in range(100_000)) + b"oops\n"
    status, _, text = ask(server, data, query="INSERT INTO t FORMAT TSV", database=client.database)
    assert status == 400, text
    assert client.query("SELECT count() FROM t").result_rows == [(0,)]


def test_a_character_that_the_engines_message_cuts_in_half_is_told_all_the_same(server: Any, client: Any) -> None:
    client.command("CREATE TABLE t (a UInt64, b String) ENGINE = Memory")
    data = "1,x\n2 \u00a0 ,y\n".encode()
    status, _, text = ask(server, data, query="INSERT INTO t FORMAT CSV", database=client.database)
    assert (status, text.startswith(b"Code: ")) == (400, True), text
    assert b"UNKNOWN_EXCEPTION" not in text


def test_half_an_upload_stores_nothing(server: Any, client: Any, wait_until: Any) -> None:
    client.command("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")
    path = "/?" + urllib.parse.urlencode({"query": "INSERT INTO t FORMAT TSV", "database": client.database})
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", "1000000")
    connection.endheaders(b"1\n2\n3\n")
    connection.close()
    # The next insert is answered behind it; had the half one been run, its rows would be there too.
    for _ in range(3):
        assert ask(server, b"9\n", query="INSERT INTO t FORMAT TSV", database=client.database)[0] == 200
    assert client.query("SELECT count(), min(id) FROM t").result_rows == [(3, 9)]


def test_64_megabytes_are_inserted_in_bounded_memory(server: Any, client: Any) -> None:
    client.command("CREATE TABLE t (id UInt64, s String) ENGINE = MergeTree ORDER BY id")
    data = b"".join(b"%d\t%s\n" % (i, b"x" * 120) for i in range(500_000))
    assert len(data) > 60 << 20
    status, headers, text = ask(server, data, query="INSERT INTO t FORMAT TSV", database=client.database)
    assert status == 200, text
    assert json.loads(headers["x-clickhouse-summary"])["written_rows"] == "500000"
    assert client.query("SELECT count(), sum(id) FROM t").result_rows == [(500_000, 500_000 * 499_999 // 2)]


@pytest.mark.parametrize("output", ["Native", "JSON", "ArrowStream", "CSVWithNames"])
def test_a_large_answer_streams_in_flat_memory(server: Any, output: str) -> None:
    sql = f"SELECT number, toString(number) AS s FROM numbers(6000000) FORMAT {output}"
    before, most, size = server.resident_bytes(), 0, 0
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/", sql.encode())
    answer = connection.getresponse()
    while piece := answer.read(1 << 20):
        size += len(piece)
        most = max(most, server.resident_bytes())
    connection.close()
    assert size > 60 << 20
    assert most - before < 60 << 20


def test_a_failure_midway_is_told_inside_the_stream(server: Any, client: Any) -> None:
    sql = b"SELECT throwIf(number = 3000000), number FROM numbers(4000000) SETTINGS max_threads = 1 FORMAT TSV"
    status, headers, body = ask(server, sql)
    tag = headers["x-clickhouse-exception-tag"].encode()
    assert status == 200
    assert b"__exception__\r\n" + tag in body
    assert b"FUNCTION_THROW_IF_VALUE_IS_NON_ZERO" in body[-1000:]
    with (
        pytest.raises(Exception, match="throwIf"),
        client.query_row_block_stream(sql.decode().replace(" FORMAT TSV", "")) as rows,
    ):
        for _ in rows:
            pass


def running(server: Any, text: str) -> int:
    sql = f"SELECT countIf(position(query, {text!r}) > 0 AND position(query, 'countIf') = 0) FROM system.processes"
    return int(ask(server, sql.encode())[2])


@pytest.mark.parametrize("sql", [SLOW, "SELECT * FROM numbers(100000000000)"])
def test_a_client_that_hangs_up_ends_its_query(server: Any, wait_until: Any, sql: str) -> None:
    sql += f" WHERE number != {time.monotonic_ns()}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", "/", sql.encode())
    wait_until(lambda: running(server, sql) == 1, "the query runs")
    connection.close()
    wait_until(lambda: running(server, sql) == 0, "the query has ended", 10)


def test_a_long_query_blocks_nobody(server: Any) -> None:
    stop = threading.Event()

    def long() -> int:
        return ask(server, SLOW.encode(), max_execution_time="3")[0]

    def short(_: int) -> float:
        start = time.monotonic()
        assert ask(server, b"SELECT 1")[2] == b"1\n"
        return time.monotonic() - start

    with ThreadPoolExecutor(10) as pool:
        slow = [pool.submit(long) for _ in range(2)]
        times = list(pool.map(short, range(40)))
        assert not any(future.done() for future in slow)
        assert max(times) < 1.5
        assert [future.result() for future in slow] == [408, 408]
    stop.set()


def test_many_clients_write_and_fail_at_once_and_nothing_is_lost(server: Any, client: Any) -> None:
    client.command("CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id")

    def work(number: int) -> None:
        with server.client(database=client.database) as own:
            for turn in range(5):
                own.insert("t", [[number * 100 + turn]], column_names=["id"])
                with pytest.raises(Exception, match="nosuch"):
                    own.query("SELECT nosuch FROM t")
                assert own.query("SELECT {n:UInt64}", parameters={"n": number}).result_rows == [(number,)]

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    assert client.query("SELECT count(), uniqExact(id) FROM t").result_rows == [(100, 100)]


def test_a_large_insert_that_failed_is_completed_by_its_repetition(server: Any, client: Any) -> None:
    client.command(
        "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 1000"
    )
    options = {
        "query": "INSERT INTO t FORMAT TSV",
        "database": client.database,
        "insert_deduplication_token": "t:0:0-9999",
        "max_insert_block_size": "1000",
        "min_insert_block_size_rows": "0",
        "min_insert_block_size_bytes": "0",
    }
    data = b"".join(b"%d\n" % i for i in range(10_000))
    assert ask(server, data + b"oops\n", **options)[0] == 400
    for _ in range(2):
        assert ask(server, data, **options)[0] == 200
    assert client.query("SELECT count(), uniqExact(id) FROM t").result_rows == [(10_000, 10_000)]


def test_an_insert_takes_parameters_and_an_empty_body(server: Any, client: Any) -> None:
    client.command("CREATE TABLE t (id UInt64, s String) ENGINE = MergeTree ORDER BY id")
    text = "it's\\\\ \\t"
    sql = b"INSERT INTO t VALUES ({n:UInt64}, {s:String})"
    assert ask(server, sql, database=client.database, param_n="7", param_s=text)[0] == 200
    assert client.query("SELECT id, s FROM t").result_rows == [(7, "it's\\ \t")]
    assert ask(server, b"", database=client.database, query="INSERT INTO t FORMAT CSV")[0] == 200
    assert client.query("SELECT count() FROM t").result_rows == [(1,)]


def test_curl_uploads_a_file_that_asks_for_continue(server: Any, client: Any, tmp_path: Path) -> None:
    client.command("CREATE TABLE t (id UInt64, s String) ENGINE = MergeTree ORDER BY id")
    file = tmp_path / "t.csv.gz"
    file.write_bytes(gzip.compress(b"".join(b'%d,"%x"\n' % (i, i * 7919) for i in range(400_000))))
    url = f"{server.url}?database={client.database}&query=INSERT+INTO+t+FORMAT+CSV"
    arguments = ["-H", "Content-Encoding: gzip", "-H", "Expect: 100-continue", "--data-binary", f"@{file}"]
    assert curl(url, *arguments) == b""
    assert client.query("SELECT count() FROM t").result_rows == [(400_000,)]


def test_queries_leave_no_file_descriptor_behind(server: Any, wait_until: Any) -> None:
    def round_of_queries() -> int:
        for number in range(30):
            ask(server, b"SELECT number FROM numbers(10)")
            ask(server, b"SELECT nosuch")
            ask(server, b"SELECT 1", session_id=f"s{number}")
        return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))

    first = round_of_queries()
    wait_until(lambda: round_of_queries() <= first + 10, "as few files are open as before")
