"""Lines of foreign recordings: none is lost, each tells what it holds, and files that are none are refused."""

import base64
import gzip
import json
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.errors import TapehouseError, TerminalError
from sources.foreign import ForeignRecord, endpoint_of, foreign_lines, read_foreign

RECEIVED = b'1633998512.5647850: {"stream":"a@trade"}\n'
ANSWER = b'https://api.binance.com/api/v3/depth?symbol=NKNUSDT&limit=1000 -> 1633998512.320639: {"lastUpdateId":1}\n'
OPENED = b"wss://ws.kraken.com <-> 1618678132.368463\n"


def lines(tmp_path: Path, content: bytes, name: str = "a", endpoint: str = "") -> list[ForeignRecord]:
    path = tmp_path / name
    path.write_bytes(content)
    return list(foreign_lines(path, endpoint))


def jsonl(*entries: dict[str, object]) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def test_answer_of_rest_is_a_payload_with_its_request_and_its_own_time(tmp_path: Path) -> None:
    assert lines(tmp_path, ANSWER) == [
        ForeignRecord(
            1633998512320639,
            "spot",
            b'{"lastUpdateId":1}',
            request="/api/v3/depth?symbol=NKNUSDT&limit=1000",
        )
    ]


def test_what_was_sent_opened_and_configured_is_no_payload(tmp_path: Path) -> None:
    sent = b'wss://ws.kraken.com <- 1618678132.83097: {"event":"subscribe"}\n'
    found = lines(tmp_path, OPENED + sent + b'configuration: {"trades":[]}\n\n' + RECEIVED)
    assert [record.control for record in found] == ["address", "sent", "configuration", "blank", ""]
    assert found[1].payload == sent.rstrip(b"\n")


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("stream.binance.com:9443/stream", "spot"),
        ("data-api.binance.vision/api/v3/time", "spot"),
        ("fstream.binance.com/stream", "usdm"),
        ("fapi.binance.com/fapi/v1/depth", "usdm"),
        ("dstream.binance.com/stream", ""),
        ("sample_data__BINANCE.ws.1.0", "spot"),
        ("sample_data__BINANCE_FUTURES.0", "usdm"),
        ("BINANCE_DELIVERY.ws.1.0", ""),
        ("examples__usdm__btcusdt_20240808.gz", "usdm"),
        ("ws-feed.pro.coinbase.com", "exchange"),
        ("api.pro.coinbase.com/products", "exchange"),
        ("ws-feed.exchange.coinbase.com", "exchange"),
        ("advanced-trade-ws.coinbase.com", "advanced"),
        ("api.coinbase.com/api/v3/brokerage/market/products", "advanced"),
        ("COINBASE.jsonl.zst", ""),
        ("ws.kraken.com", "v1"),
        ("ws.kraken.com/v2", "v2"),
        ("api.kraken.com/0/public/AssetPairs", "v1"),
        ("www.deribit.com/ws/api/v2", ""),
    ],
)
def test_addresses_and_names_tell_the_endpoint(address: str, endpoint: str) -> None:
    assert endpoint_of(address) == endpoint


def test_address_overrides_the_name_and_the_caller_both(tmp_path: Path) -> None:
    content = b"wss://fstream.binance.com/stream <-> 1.0\n".replace(b"1.0", b"1633998511.1") + RECEIVED
    assert lines(tmp_path, content, "BINANCE.ws")[1].endpoint == "usdm"
    assert lines(tmp_path, content, "BINANCE.ws", "spot")[1].endpoint == "spot"


def test_kraken_rest_belongs_to_the_feed_beside_it(tmp_path: Path) -> None:
    opened = {"t": "connect", "conn": "K.ws.1", "ts": 1786309548.0, "addr": "wss://ws.kraken.com/v2"}
    answer = {
        "t": "http",
        "conn": "K.http.1",
        "ts": 1786309549,
        "url": "https://api.kraken.com/0/public/Time",
        "data": "{}",
    }
    assert [record.endpoint for record in lines(tmp_path, jsonl(opened, answer))] == ["v2", "v2"]
    assert [record.endpoint for record in lines(tmp_path, jsonl(answer))] == ["v1"]


def test_json_lines_give_payloads_as_they_were_sent(tmp_path: Path) -> None:
    payload = '{"p":"1.0","é":"\\u20ac"}'
    found = lines(
        tmp_path,
        jsonl(
            {"t": "header", "format": 2, "exchange": "BINANCE_FUTURES", "config": {}},
            {"conn": "B.ws.2", "ts": 1786309548.6290078, "t": "recv", "data": payload},
            {"t": "recv", "conn": "B.ws.2", "ts": 1786309549, "b64": base64.b64encode(b"\xff\x00").decode()},
            {"t": "send", "conn": "B.ws.2", "ts": 1786309549.5, "addr": "wss://fstream.binance.com", "data": "{}"},
            {
                "t": "http",
                "conn": "B.h",
                "ts": 1786309550.25,
                "url": "https://fapi.binance.com/fapi/v1/time?a=b",
                "data": "[]",
            },
        ),
    )
    assert found[1] == ForeignRecord(1786309548629007, "usdm", payload.encode(), connection="B.ws.2")
    assert found[2].payload == b"\xff\x00"
    assert [record.control for record in found] == ["configuration", "", "", "sent", ""]
    assert (found[4].request, found[4].received_time) == ("/fapi/v1/time?a=b", 1786309550250000)


@pytest.mark.parametrize(
    "broken",
    [
        b'{"t":"recv","conn":"a","ts":1786309548.0,"data":"{}"',
        b'{"t":"recv","conn":"a","ts":"1786309548","data":"{}"}',
        b'{"t":"recv","conn":"a","ts":true,"data":"{}"}',
        b'{"t":"recv","conn":"a","ts":1e300,"data":"{}"}',
        b'{"t":"recv","conn":["a"],"ts":1,"data":"{}"}',
        b'{"t":"recv","conn":"a","ts":1786309548.0,"data":{}}',
        b'{"t":"recv","conn":"a","ts":1786309548.0,"b64":"%"}',
        b'{"t":"recv","conn":"a","ts":1786309548.0}',
        b'{"t":"http","conn":"a","ts":1786309548.0,"data":"{}","url":1}',
        b'{"t":"send","conn":"a","ts":1786309548.0}',
        b'{"t":"closed","conn":"a","ts":1786309548.0,"addr":"wss://a"}',
        b'{"t":"header"}',
        b"{}",
        b"163399851",
        b"1633998512.5",
        b"wss://ws.kraken.com",
        b"what is this",
        b"\xff\xfe\x00",
    ],
)
def test_line_in_no_known_form_is_kept_and_said_to_be_unreadable(tmp_path: Path, broken: bytes) -> None:
    found = lines(tmp_path, RECEIVED + broken + b"\n" + RECEIVED)
    assert [record.control for record in found] == ["", "unreadable", ""]
    assert found[1].payload == broken


def test_connection_opened_again_is_another_one(tmp_path: Path) -> None:
    opened = OPENED + OPENED + RECEIVED + OPENED + RECEIVED + RECEIVED
    assert [r.connection for r in lines(tmp_path, opened) if not r.control] == ["", "#2", "#2"]
    begun_before = RECEIVED + OPENED + RECEIVED
    assert [r.connection for r in lines(tmp_path, begun_before) if not r.control] == ["", "#2"]


def test_connections_of_a_file_are_counted_apart(tmp_path: Path) -> None:
    def entry(kind: str, conn: str) -> dict[str, object]:
        return {"t": kind, "conn": conn, "ts": 1, "addr": "wss://ws.kraken.com", "data": "{}"}

    order = [entry("connect", "a"), entry("recv", "a"), entry("recv", "b"), entry("connect", "a"), entry("recv", "a")]
    found = lines(tmp_path, jsonl(*order, entry("recv", "b")))
    assert [r.connection for r in found if not r.control] == ["a", "b", "a#2", "b"]


HFT = b'1723161254206652067 {"stream":"btcusdt@trade","data":{}}\n'
BOOK = b'1723161254206652068 {"lastUpdateId":5,"bids":[],"asks":[]}\n'


@pytest.mark.parametrize(("name", "path"), [("spot", "/api/v3/depth"), ("usdm", "/fapi/v1/depth")])
def test_book_between_streams_answers_a_request_for_their_symbol(tmp_path: Path, name: str, path: str) -> None:
    for content in (HFT + BOOK, HFT + b"\n" + BOOK, BOOK + HFT, BOOK + b"\n" + HFT):
        (found,) = [record.request for record in lines(tmp_path, content, name) if b"lastUpdateId" in record.payload]
        assert found == f"{path}?symbol=BTCUSDT&limit=1000"


def test_waiting_for_a_stream_changes_no_order_and_loses_nothing(tmp_path: Path) -> None:
    content = BOOK + b"\n" * 200 + BOOK + HFT
    found = lines(tmp_path, content, "spot")
    assert [record.control for record in found] == ["", *["blank"] * 200, "", ""]
    # The first gave up waiting: nothing said for which symbol it is.
    assert [found[0].request, found[201].request] == ["", "/api/v3/depth?symbol=BTCUSDT&limit=1000"]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compression_is_told_by_content_not_by_name(tmp_path: Path, pack: object) -> None:
    for name in ("a.txt", "a.gz", "a.zst"):
        assert lines(tmp_path, pack(RECEIVED), name) == lines(tmp_path, RECEIVED, name)  # type: ignore[operator]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_several_packed_pieces_are_one_file(tmp_path: Path, pack: object) -> None:
    packed = b"".join(pack(part) for part in (RECEIVED[:10], RECEIVED[10:], b"", RECEIVED))  # type: ignore[operator]
    assert lines(tmp_path, packed) == lines(tmp_path, RECEIVED * 2)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_cut_off_compression_is_noticed_after_what_came_before(tmp_path: Path, pack: object) -> None:
    whole = pack(RECEIVED * 10_000 + bytes(range(256)) * 64)  # type: ignore[operator]
    path = tmp_path / "a"
    for length in (len(whole) - 1, len(whole) - 9, len(whole) // 2, 12):
        path.write_bytes(whole[:length])
        with pytest.raises(TerminalError, match=r"was cut off|damaged"):
            list(foreign_lines(path))
    path.write_bytes(whole[:-1])
    heard: list[ForeignRecord] = []
    with pytest.raises(TerminalError, match="was cut off"):
        heard.extend(foreign_lines(path))
    assert len(heard) > 9_000  # zstd unpacks whole blocks
    path.write_bytes(whole + b"rubbish")
    with pytest.raises(TerminalError, match="damaged"):
        list(foreign_lines(path))


@pytest.mark.parametrize("content", [bytes(range(256)) * 8, b"\x89PNG\r\n\x1a\n\x00", b"a,b\n1,2\n" * 1000])
def test_other_files_are_refused_with_what_is_valid(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(TerminalError, match=r"no recording in a known form.*cryptofeed"):
        lines(tmp_path, content)


def test_empty_file_has_no_lines_and_a_missing_one_is_named(tmp_path: Path) -> None:
    assert lines(tmp_path, b"") == []
    assert [record.control for record in lines(tmp_path, b"\n\n")] == ["blank", "blank"]
    with pytest.raises(TerminalError, match="gone can't be read: No such file"):
        list(foreign_lines(tmp_path / "gone"))
    with pytest.raises(TerminalError, match="can't be read: Is a directory"):
        list(foreign_lines(tmp_path))


def test_line_longer_than_any_payload_is_one_unreadable_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sources.foreign._LONGEST_LINE", 100)
    long = b"1633998512.5: " + b"x" * 1_000_000 + b"\n"
    found = lines(tmp_path, RECEIVED + long + RECEIVED)
    assert [record.control for record in found] == ["", "unreadable", ""]
    assert found[2] == found[0]


# What lines begin with, so that hypothesis meets every reader.
BEGINNINGS = st.sampled_from(
    [
        b"",
        b"1633998512.56: ",
        b"1723161254206652067 ",
        b'1723161254206652067 {"stream":',
        b'1723161254206652067 {"lastUpdateId":',
        b'{"lastUpdateId"',
        b"wss://a <-> ",
        b"https://a/b?c -> 1633998512.5: ",
        b"configuration: ",
        b'{"t":"recv",',
        b'{"t":"http","conn":"a","ts":1,',
        b'{"t":"connect","conn":"a","ts":1,"addr":"wss://a"}',
    ]
)


@given(st.lists(st.tuples(BEGINNINGS, st.binary(max_size=40)), max_size=8), st.sampled_from(["spot", "a", "v2"]))
def test_every_line_of_a_recording_comes_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bytes, bytes]], name: str
) -> None:
    content = RECEIVED + b"\n".join(beginning + rest for beginning, rest in parts)
    found = lines(tmp_path_factory.mktemp("any"), content, name)
    wanted = content.removesuffix(b"\n").split(b"\n")
    assert len(found) == len(wanted)
    for record, line in zip(found, wanted, strict=True):
        assert record.payload == line or (not record.control and (line.endswith(record.payload) or line[:1] == b"{"))
        assert 0 <= record.received_time < 2**63


@given(st.binary(max_size=200))
@example(b"\x1f\x8b")
@example(b"\x1f\x8b\x08" + bytes(40))
@example(b"\x28\xb5\x2f\xfd")
@example(b"\x28\xb5\x2f\xfd" + bytes(40))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    try:
        found = lines(tmp_path_factory.mktemp("any"), content)
    except TapehouseError:
        return
    assert len(found) == len(content.removesuffix(b"\n").split(b"\n")) - (not content)


def test_strict_reader_refuses_what_the_other_keeps(tmp_path: Path) -> None:
    path = tmp_path / "spot"
    path.write_bytes(RECEIVED + b"what is this\n")
    with pytest.raises(TerminalError, match="line 2 is in neither known form: b'what is this'"):
        list(read_foreign(path))
