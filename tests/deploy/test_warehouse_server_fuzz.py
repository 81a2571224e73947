"""The warehouse server under damaged requests: every one is answered in ClickHouse's form, and the next one, too.

A longer search: `TEST_FUZZ=20 pytest tests/deploy/test_warehouse_server_fuzz.py` tries twenty times as many examples.
"""

from __future__ import annotations

import gzip
import http.client
import os
import re
import socket
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import Any

import lz4.frame  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("TEST_FUZZ", "1"))
BOUNDED = {"max_execution_time": "5", "max_result_rows": "100000", "max_memory_usage": "1000000000"}
UNKNOWN = 1002  # what is told of where the server's own code broke

STATEMENTS = [
    "SELECT 1",
    "SELECT number, toString(number) FROM numbers(3) FORMAT JSONEachRow",
    "SELECT 'a''b', \"x\" FROM (SELECT 1 AS x) FORMAT TSV SETTINGS max_threads = 1",
    "WITH 1 AS a, (SELECT 2) AS b SELECT a + b AS c ORDER BY c LIMIT 1",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "FROM numbers(2) SELECT number",
    "SELECT [1, 2], (1, 'x'), map('a', 1), CAST('1.5' AS Decimal(9, 2)) -- the end",
    "SELECT $tag$ FORMAT 'x' $tag$ /* a /* nested */ comment */ FORMAT CSV",
    "SELECT count() FROM fuzzed WHERE b LIKE '%x%'",
    "INSERT INTO fuzzed (a, b) VALUES (1, 'x'), (2, 'y;')",
    'INSERT INTO fuzzed FORMAT CSV\n1,"x"\n2,y\n',
    'INSERT INTO fuzzed FORMAT JSONEachRow {"a": 1, "b": "x"}',
    "INSERT INTO fuzzed SELECT number, 'n' FROM numbers(2)",
    "INSERT INTO fuzzed SELECT a + 1, upper(b) FROM input('a UInt64, b String') FORMAT CSV\n1,a\n",
    "EXPLAIN SELECT 1",
    "DESCRIBE TABLE fuzzed",
    "SHOW TABLES FORMAT JSON",
    "EXISTS fuzzed",
    "SET max_threads = 1",
]
PIECES = [
    "'", '"', "`", "\\", "\\'", "$", "$x$", "--", "/*", "*/", "#!", "# ", ";", "(", ")", "[", "]", "{", "}", ",", ".",
    "\n", "\t", "\r\n", "\0", "\x7f", "\u00a0", "\u2212", "\u202e", "\ufeff", "\N{SNOWMAN}", "SELECT", "FORMAT",
    "FORMAT CSV", "FORMAT Native", "FORMAT Null", "SETTINGS", "SETTINGS max_threads = 2", "INTO", "INTO OUTFILE",
    "OUTFILE '/tmp/tapehouse-fuzzed'", "INFILE", "FROM INFILE '/etc/hostname'", "VALUES", "INSERT", "input(", "WITH",
    "UNION ALL", "1", "1.", "1e400", "99999999999999999999999999999999999999999", "0x", "NULL", "{x:UInt8}",
    "{x:String}", "AS", "TRUNCATE", "TEMPORARY", "EXPLAIN", "(" * 400, "[" * 3000, "-" * 500, "/*" * 300, "NOT " * 2000,
]  # fmt: skip
TOKENS = re.compile(r"\w+|\s+|[^\w\s]")


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw a statement, whole or with some of its tokens dropped, doubled, moved or replaced."""
    tokens = TOKENS.findall(draw(st.sampled_from(STATEMENTS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(tokens)))
        how = draw(st.sampled_from(["insert", "insert", "drop", "double", "swap", "cut"]))
        if how == "insert":
            tokens.insert(
                at, f" {draw(st.sampled_from(PIECES))} " if draw(st.booleans()) else draw(st.sampled_from(PIECES))
            )
        elif how == "drop":
            del tokens[at : at + 1]
        elif how == "double":
            tokens[at:at] = tokens[at : at + 3]
        elif how == "swap" and tokens:
            other = draw(st.integers(0, len(tokens) - 1))
            tokens[at % len(tokens)], tokens[other] = tokens[other], tokens[at % len(tokens)]
        else:
            del tokens[at:]
    return "".join(tokens)


names = st.sampled_from(
    ["query", "database", "default_format", "session_id", "session_timeout", "session_check", "compress", "decompress",
     "wait_end_of_query", "enable_http_compression", "query_id", "param_x", "param_", "param_x y", "max_threads",
     "readonly", "max_block_size", "no_such", "e_structure", "e_types", "e_format", "", "x=1", "\0", "\N{SNOWMAN}"]
)  # fmt: skip
values = st.sampled_from(
    ["", "0", "1", "-1", "\N{SUPERSCRIPT TWO}", "9" * 5000, "1e9", "nan", "default", "system", "JSON", "Native",
     "CSV", "Nonsense", "DataFrame", "\N{ROMAN NUMERAL EIGHT}", "a UInt64, b String", "a UInt64) ENGINE = Memory --",
     "'", "\\",
     "\\N", "\n", "\0", "\r\nx-evil: 1", "\N{SNOWMAN}", "x" * 3000]
) | st.text(max_size=8)  # fmt: skip
headers = st.dictionaries(
    st.sampled_from(["Accept-Encoding", "Content-Type", "Host", "X-ClickHouse-Database", "X-ClickHouse-Format",
                     "X-ClickHouse-Key", "Authorization", "X-ClickHouse-User", "Referer"]),
    st.sampled_from(["", "gzip", "zstd;q=0, lz4", "deflate;q=", "*", "[::1", "a/b?c#d", "multipart/form-data",
                     "multipart/form-data; boundary=", "multipart/form-data; boundary=edge", "Basic !!", "Basic /w==",
                     "Bearer x", "default", "nowhere", "JSON", "Nonsense", "\xff", "x" * 300]),
    max_size=3,
)  # fmt: skip
ENCODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "lz4": lz4.frame.compress,
}


@st.composite
def bodies(draw: st.DrawFn, text: str) -> tuple[bytes, dict[str, str]]:
    """Draw how a statement is sent: plain, compressed, as a form; whole, cut off, or with bytes overwritten."""
    plain = text.encode(errors="replace")
    told: dict[str, str] = {}
    how = draw(st.sampled_from(["plain", "plain", "form", *ENCODERS]))
    if how == "form":
        parts = [b'name="query"\r\n\r\n' + plain]
        for _ in range(draw(st.integers(0, 2))):
            name = draw(st.sampled_from(["e", "e_structure", "e`", "", "query"]))
            file = draw(st.sampled_from(["", '; filename="f"']))
            parts.append(f'name="{name}"{file}\r\n\r\n'.encode() + draw(st.sampled_from([b"", b"1\tx\n", b"\xff\xfe"])))
        plain = (
            b"".join(b"--edge\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--edge--\r\n"
        )
        told["Content-Type"] = "multipart/form-data; boundary=edge"
    elif how != "plain":
        plain = ENCODERS[how](plain)
        told["Content-Encoding"] = draw(st.sampled_from([how, how, how, *ENCODERS, "br", "GZIP", ""]))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(plain)))
        tail = draw(st.sampled_from([b"", plain[at + 1 :]]))
        plain = plain[:at] + draw(st.binary(max_size=3)) + tail
    return plain, told


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, dict[str, str], dict[str, str], bytes]:
    """Draw a method, URL parameters, headers and a body."""
    text = draw(texts())
    method = draw(st.sampled_from(["POST", "POST", "POST", "GET", "HEAD", "PUT", "OPTIONS"]))
    given_names = draw(st.dictionaries(names, values, max_size=3))
    told = draw(headers)
    if draw(st.booleans()):
        given_names["query"] = text
        body = draw(st.sampled_from([b"", b"1,x\n", b"\xff", b"(3, 'z')"]))
    else:
        body, more = draw(bodies(text))
        told |= more
    return method, given_names, told, body


def send(server: Any, method: str, params: dict[str, str], told: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
    """Send one request by the standard library and return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.putrequest(method, "/?" + urllib.parse.urlencode(params, errors="replace"), skip_host="Host" in told,
                              skip_accept_encoding=True)  # fmt: skip
        for name, value in told.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.fixture
def lively(server: Any) -> Iterator[Any]:
    """A server with a table to damage; afterwards it still answers."""
    post(server, "CREATE DATABASE IF NOT EXISTS fuzz")
    post(server, "CREATE TABLE IF NOT EXISTS fuzz.fuzzed (a UInt64, b String) ENGINE = Memory")
    yield server
    assert post(server, "SELECT 1") == b"1\n"
    assert server.process.poll() is None


def post(server: Any, sql: str, **params: str) -> bytes:
    status, _, body = send(server, "POST", params, {}, sql.encode())
    assert status == 200, body
    return body


SEARCH = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=150 * TIMES, **SEARCH)  # type: ignore[arg-type]
@given(requests())
def test_any_request_is_answered_in_clickhouses_form(
    lively: Any, drawn: tuple[str, dict[str, str], dict[str, str], bytes]
) -> None:
    method, params, told, body = drawn
    status, answered, text = send(lively, method, {**BOUNDED, "database": "fuzz", **params}, told, body)
    assert 200 <= status < 600
    if status in (200, 404) and "x-clickhouse-exception-code" not in answered:
        return
    assert int(answered["x-clickhouse-exception-code"]) != UNKNOWN, (drawn, text)
    if method != "HEAD" and "Content-Encoding" not in answered:
        assert text.startswith(b"Code: "), (drawn, text)
    assert post(lively, "SELECT 1") == b"1\n"


@settings(max_examples=60 * TIMES, **SEARCH)  # type: ignore[arg-type]
@given(st.binary(max_size=60), st.sampled_from([b"", b"POST / HTTP/1.1\r\nHost: x\r\n"]), st.binary(max_size=60))
def test_any_bytes_on_the_socket_end_that_connection_alone(lively: Any, head: bytes, line: bytes, rest: bytes) -> None:
    chunked = line and b"Transfer-Encoding: chunked\r\n\r\n8\r\nSELECT 1\r\n" + rest
    with socket.create_connection(("127.0.0.1", lively.port), timeout=30) as raw:
        raw.sendall((line or head) + (chunked or rest))
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(65536):
            pass
    assert post(lively, "SELECT 1") == b"1\n"


def test_what_the_server_accepts_the_engine_accepts_and_answers_alike(lively: Any) -> None:
    import chdb

    engine = chdb.connect(":memory:")
    for setting, value in {**BOUNDED, "implicit_select": "0", "session_timezone": "UTC"}.items():
        engine.query(f"SET {setting} = '{value}'")
    engine.query("CREATE DATABASE fuzz")
    engine.query("CREATE TABLE fuzz.fuzzed (a UInt64, b String) ENGINE = Memory")
    engine.query("USE fuzz")

    def direct(text: str) -> bytes:
        return bytes(engine.query(text, "TSV").bytes())

    def empty() -> None:
        post(lively, "TRUNCATE TABLE fuzz.fuzzed")
        direct("TRUNCATE TABLE fuzz.fuzzed")

    @settings(max_examples=120 * TIMES, **SEARCH)  # type: ignore[arg-type]
    @given(texts())
    def agree(text: str) -> None:
        empty()
        sent = {**BOUNDED, "database": "fuzz", "default_format": "TSV", "session_timezone": "UTC"}
        status, _, answered = send(lively, "POST", sent, {}, text.encode(errors="replace"))
        if status != 200 or "input(" in text:  # which the engine as a library does not know
            return
        try:
            found = direct(text)
        except RuntimeError as error:
            if "NO_DATA_TO_INSERT" in str(error):
                return  # over HTTP an insert may bring nothing
            raise AssertionError(f"the server accepts what the engine refuses: {text!r}: {error}") from error
        rows = "SELECT * FROM fuzz.fuzzed ORDER BY ALL FORMAT TSV"
        assert post(lively, rows) == direct(rows), text
        if re.match(r"[\s(]*(select|with|from)\b", text, re.IGNORECASE) and "insert" not in text.lower():
            assert answered == found, text

    try:
        agree()
    finally:
        engine.close()
        post(lively, "TRUNCATE TABLE fuzz.fuzzed")
