"""What is said to Kraken's feeds, and what their answers mean."""

import json
from pathlib import Path

import orjson
import pytest

from contracts.errors import TerminalError
from sources.endpoints import Reply
from sources.foreign import read_foreign
from sources.kraken import VENUE

V1, V2 = VENUE.dialects["v1"], VENUE.dialects["v2"]
STREAMS = ("trade:XBT/USD", "book-1000:XBT/USD", "trade:ETH/USD", "ohlc-5:XBT/USD", "book-100:XBT/USD")


def test_default_streams_can_be_asked_for() -> None:
    for endpoint in VENUE.endpoints:
        asked = VENUE.dialects[endpoint.name].subscribe(endpoint.streams, 1)
        assert len(asked) == len({stream.partition(":")[0] for stream in endpoint.streams})


def test_v1_asks_once_for_each_channel_depth_and_interval() -> None:
    assert [json.loads(message) for message in V1.subscribe(STREAMS, 7)] == [
        {"event": "subscribe", "reqid": 7, "pair": ["XBT/USD"], "subscription": {"name": "book", "depth": 100}},
        {"event": "subscribe", "reqid": 8, "pair": ["XBT/USD"], "subscription": {"name": "book", "depth": 1000}},
        {"event": "subscribe", "reqid": 9, "pair": ["XBT/USD"], "subscription": {"name": "ohlc", "interval": 5}},
        {"event": "subscribe", "reqid": 10, "pair": ["ETH/USD", "XBT/USD"], "subscription": {"name": "trade"}},
    ]
    assert json.loads(V1.unsubscribe(("trade:XBT/USD",), 1)[0])["event"] == "unsubscribe"


def test_v2_asks_for_snapshots_and_for_every_change_of_the_best_prices() -> None:
    asked = V2.subscribe(("trade:BTC/USD", "ticker:BTC/USD", "book-1000:BTC/USD", "instrument"), 1)
    assert [json.loads(message)["params"] for message in asked] == [
        {"channel": "book", "symbol": ["BTC/USD"], "snapshot": True, "depth": 1000},
        {"channel": "instrument", "snapshot": True},
        {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo", "snapshot": True},
        {"channel": "trade", "symbol": ["BTC/USD"], "snapshot": True},
    ]
    assert [json.loads(message)["req_id"] for message in asked] == [1, 2, 3, 4]
    (ended,) = V2.unsubscribe(("book-1000:BTC/USD",), 9)
    assert json.loads(ended) == {
        "method": "unsubscribe",
        "params": {"channel": "book", "symbol": ["BTC/USD"], "depth": 1000},
        "req_id": 9,
    }


@pytest.mark.parametrize(
    ("version", "stream"),
    [("v1", "book-7:X/Y"), ("v1", "book:X/Y"), ("v1", "instrument"), ("v2", "book-10:X/Y"), ("v2", "spread:X/Y"),
     ("v1", "ohlc-2:X/Y"), ("v2", "trade-1:X/Y")],
)  # fmt: skip
def test_stream_that_kraken_does_not_have_is_named(version: str, stream: str) -> None:
    with pytest.raises(TerminalError, match=stream.partition(":")[0]):
        VENUE.dialects[version].subscribe((stream,), 1)


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (
            b'{"channelID":10001,"channelName":"ohlc-5","event":"subscriptionStatus","pair":"XBT/EUR","reqid":42,'
            b'"status":"subscribed","subscription":{"interval":5,"name":"ohlc"}}',
            Reply(frozenset({"ohlc-5:XBT/EUR"})),
        ),
        (
            b'{"errorMessage":"Subscription depth not supported","event":"subscriptionStatus","pair":"XBT/USD",'
            b'"status":"error","subscription":{"depth":42,"name":"book"}}',
            Reply(frozenset({"book-42:XBT/USD"}), "Subscription depth not supported"),
        ),
        (
            b'{"errorMessage":"Malformed request","event":"error","reqid":1}',
            Reply(frozenset(STREAMS), "Malformed request"),
        ),
        (
            b'{"channelName":"trade","event":"subscriptionStatus","pair":"XBT/EUR","status":"unsubscribed",'
            b'"subscription":{"name":"trade"}}',
            None,
        ),
        (b'{"event":"heartbeat"}', None),
        (b'{"connectionID":1,"event":"systemStatus","status":"online"}', None),
        (b'[1,[],"trade","XBT/USD"]', None),
        (b'{"event":', None),
    ],
)
def test_answers_of_v1(payload: bytes, reply: Reply | None) -> None:
    assert V1.reply(payload, {1: STREAMS}) == reply


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (
            b'{"method":"subscribe","req_id":1,"result":{"channel":"book","depth":1000,"snapshot":true,'
            b'"symbol":"ALGO/USD"},"success":true,"time_in":"x","time_out":"y"}',
            Reply(frozenset({"book-1000:ALGO/USD"})),
        ),
        (
            b'{"method":"subscribe","req_id":1,"result":{"channel":"ohlc","interval":5,"snapshot":true,'
            b'"symbol":"ALGO/USD","warnings":["timestamp is deprecated"]},"success":true}',
            Reply(frozenset({"ohlc-5:ALGO/USD"})),
        ),
        (
            b'{"method":"subscribe","req_id":79,"result":{"channel":"instrument","snapshot":true},"success":true}',
            Reply(frozenset({"instrument"})),
        ),
        (
            b'{"error":"Currency pair not supported XBT/USD","method":"subscribe","req_id":1,"success":false,'
            b'"symbol":"XBT/USD"}',
            Reply(frozenset({"trade:XBT/USD", "ticker:XBT/USD"}), "Currency pair not supported XBT/USD"),
        ),
        (
            b'{"error":"Currency pair not supported XBT/USD","method":"subscribe","success":false,"symbol":"XBT/USD"}',
            Reply(frozenset({"trade:XBT/USD", "ticker:XBT/USD"}), "Currency pair not supported XBT/USD"),
        ),
        (
            b'{"error":"Already subscribed","method":"subscribe","req_id":1,"success":false,"symbol":"ETH/USD"}',
            Reply(frozenset({"trade:ETH/USD"})),
        ),
        (b'{"error":"not asked","method":"subscribe","req_id":1,"success":false,"symbol":"DOGE/USD"}', None),
        (b'{"method":"unsubscribe","req_id":1,"result":{"channel":"trade","symbol":"X/Y"},"success":true}', None),
        (b'{"channel":"status","type":"update","data":[{"system":"online"}]}', None),
        (b'{"method":"pong","req_id":1}', None),
    ],
)
def test_answers_of_v2(payload: bytes, reply: Reply | None) -> None:
    assert V2.reply(payload, {1: ("trade:XBT/USD", "ticker:XBT/USD", "trade:ETH/USD")}) == reply


@pytest.mark.parametrize("number", [48, 49, 50])
def test_recorded_answers_confirm_each_stream_and_payloads_name_theirs(recordings: Path, number: int) -> None:
    path = recordings / "bmoscon+cryptofeed" / f"sample_data__KRAKEN.ws.{number}.0"
    lines = list(read_foreign(path))
    channel = {48: "trade", 49: "ticker", 50: "book-1000"}[number]
    (sent,) = [orjson.loads(line.payload.partition(b": ")[2]) for line in lines if line.control == "sent"]
    wanted = {f"{channel}:{pair}" for pair in sent["pair"]}
    replies = [V1.reply(line.payload, {}) for line in lines if not line.control]
    assert {stream for reply in replies if reply for stream in reply.streams} == wanted
    assert all(not reply.error for reply in replies if reply)
    named = {V1.stream_of(line.payload) for line in lines if not line.control and line.payload.startswith(b"[")}
    assert None not in named
    assert named <= wanted
    (ours,) = V1.subscribe(tuple(sorted(wanted)), 1)
    assert orjson.loads(ours)["subscription"] == sent["subscription"]
    assert sorted(orjson.loads(ours)["pair"]) == sorted(sent["pair"])


@pytest.mark.parametrize(
    ("payload", "stream"),
    [
        (b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD"}]}', "trade:BTC/USD"),
        (b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD"}]}', "book-1000:BTC/USD"),
        (b'{"channel":"ohlc","type":"update","data":[{"symbol":"BTC/USD","interval":1}]}', "ohlc-1:BTC/USD"),
        (b'{"channel":"instrument","type":"update","data":{"pairs":[]}}', "instrument"),
        (b'{"channel":"heartbeat"}', None),
        (b'{"channel":"status","type":"update","data":[{"system":"online"}]}', None),
        (b'{"method":"pong"}', None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_payload_of_v2_names_its_stream(payload: bytes, stream: str | None) -> None:
    assert V2.stream_of(payload) == stream


def test_streams_are_named_by_dataset() -> None:
    assert V2.stream("market.trades", "BTC/USD") == "trade:BTC/USD"
    assert V2.stream("market.quotes", "BTC/USD") == "ticker:BTC/USD"
    assert V1.stream("market.quotes", "XBT/USD") == "spread:XBT/USD"
    assert V1.stream("market.books", "XBT/USD") == "book-1000:XBT/USD"
