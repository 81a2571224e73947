"""What is said to Coinbase's feeds, and what their answers and streams are taken for."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.coinbase import VENUE
from sources.coinbase.config import ADVANCED, EXCHANGE
from sources.endpoints import Reply

exchange = VENUE.dialects["exchange"]
advanced = VENUE.dialects["advanced"]


def said(messages: list[str]) -> list[dict[str, Any]]:
    return [orjson.loads(message) for message in messages]


def test_exchange_subscribes_to_all_in_one_message_and_to_the_book_that_needs_no_key() -> None:
    streams = ("matches:BTC-USD", "level2:BTC-USD", "matches:ETH-USD", "status")
    channels = [
        {"name": "matches", "product_ids": ["BTC-USD", "ETH-USD"]},
        {"name": "level2_batch", "product_ids": ["BTC-USD"]},
        {"name": "status", "product_ids": []},
    ]
    assert said(exchange.subscribe(streams, 1)) == [{"type": "subscribe", "channels": channels}]
    assert said(exchange.unsubscribe(streams, 1)) == [{"type": "unsubscribe", "channels": channels}]


def test_advanced_subscribes_to_each_channel_in_a_message_of_its_own() -> None:
    streams = ("market_trades:BTC-USD", "market_trades:ETH-USD", "level2:BTC-USD", "heartbeats")
    wanted: list[dict[str, Any]] = [
        {"channel": "market_trades", "product_ids": ["BTC-USD", "ETH-USD"]},
        {"channel": "level2", "product_ids": ["BTC-USD"]},
        {"channel": "heartbeats"},
    ]
    assert said(advanced.subscribe(streams, 3)) == [{"type": "subscribe", **one} for one in wanted]
    assert said(advanced.unsubscribe(streams, 3)) == [{"type": "unsubscribe", **one} for one in wanted]


def test_exchange_answer_names_the_streams_as_they_were_asked_for() -> None:
    payload = (
        b'{"type":"subscriptions","channels":[{"name":"level2_50","product_ids":["BTC-USD","ETH-USD"]},'
        b'{"name":"ticker","product_ids":["BTC-USD"]}]}'
    )
    assert exchange.reply(payload, {}) == Reply(frozenset({"level2:BTC-USD", "level2:ETH-USD", "ticker:BTC-USD"}))
    for name in (b"level2", b"level2_batch"):
        again = exchange.reply(payload.replace(b"level2_50", name), {})
        assert again is not None
        assert "level2:BTC-USD" in again.streams


def test_advanced_answer_names_the_streams_as_they_were_asked_for() -> None:
    payload = (
        b'{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48.629706932Z","sequence_num":26,"events":['
        b'{"subscriptions":{"candles":["ETH-USD"],"heartbeats":["heartbeats"],"level2":["BTC-USD","ETH-USD"]}}]}'
    )
    streams = {"candles:ETH-USD", "heartbeats", "level2:BTC-USD", "level2:ETH-USD"}
    assert advanced.reply(payload, {}) == Reply(frozenset(streams))


def test_refusal_says_why() -> None:
    payload = b'{"type":"error","message":"Failed to subscribe","reason":"XXX-YYY is not a valid product"}'
    assert exchange.reply(payload, {}) == Reply(frozenset(), "Failed to subscribe: XXX-YYY is not a valid product")
    assert advanced.reply(b'{"type":"error","message":"channel not found"}', {}) == Reply(
        frozenset(), "channel not found"
    )


@pytest.mark.parametrize(
    ("endpoint", "payload", "stream"),
    [
        ("exchange", b'{"type":"match","product_id":"BTC-USD"}', "matches:BTC-USD"),
        ("exchange", b'{"type":"last_match","product_id":"BTC-USD"}', "matches:BTC-USD"),
        ("exchange", b'{"type":"ticker","product_id":"ETH-USD"}', "ticker:ETH-USD"),
        ("exchange", b'{"type":"snapshot","product_id":"BTC-USD"}', "level2:BTC-USD"),
        ("exchange", b'{"type":"l2update","product_id":"BTC-USD"}', "level2:BTC-USD"),
        ("exchange", b'{"type":"heartbeat","product_id":"BTC-USD"}', "heartbeat:BTC-USD"),
        ("exchange", b'{"type":"subscriptions","channels":[]}', None),
        ("exchange", b'{"type":["match"],"product_id":"BTC-USD"}', None),
        ("advanced", b'{"channel":"l2_data","events":[{"product_id":"BTC-USD"}]}', "level2:BTC-USD"),
        (
            "advanced",
            b'{"channel":"market_trades","events":[{"trades":[{"product_id":"BTC-USD"}]}]}',
            "market_trades:BTC-USD",
        ),
        ("advanced", b'{"channel":"ticker","events":[{"tickers":[{"product_id":"BTC-USD"}]}]}', "ticker:BTC-USD"),
        ("advanced", b'{"channel":"candles","events":[{"candles":[{"product_id":"BTC-USD"}]}]}', "candles:BTC-USD"),
        ("advanced", b'{"channel":"heartbeats","events":[{}]}', "heartbeats"),
        ("advanced", b'{"channel":"subscriptions","events":[{}]}', None),
        ("advanced", b'{"channel":"candles","events":[{"candles":[]}]}', None),
    ],
)
def test_stream_of_a_payload(endpoint: str, payload: bytes, stream: str | None) -> None:
    assert VENUE.dialects[endpoint].stream_of(payload) == stream
    assert VENUE.dialects[endpoint].reply(payload, {}) is None or stream is None


@pytest.mark.parametrize(
    ("endpoint", "dataset", "stream"),
    [
        ("exchange", "market.trades", "matches:BTC-USD"),
        ("exchange", "market.quotes", "ticker:BTC-USD"),
        ("exchange", "market.books", "level2:BTC-USD"),
        ("advanced", "market.venue_bars", "candles:BTC-USD"),
    ],
)
def test_stream_of_a_dataset_is_among_the_default_ones(endpoint: str, dataset: str, stream: str) -> None:
    assert VENUE.dialects[endpoint].stream(dataset, "BTC-USD") == stream
    assert stream in VENUE.endpoint(endpoint).streams


@pytest.mark.parametrize(
    ("dataset", "stream"),
    [
        ("market.trades", "market_trades:BTC-USD"),
        ("market.quotes", "ticker:BTC-USD"),
        ("market.books", "level2:BTC-USD"),
    ],
)
def test_what_both_feeds_tell_is_collected_from_one_by_default(dataset: str, stream: str) -> None:
    assert VENUE.dialects["advanced"].stream(dataset, "BTC-USD") == stream
    assert stream not in VENUE.endpoint("advanced").streams


def test_addresses_are_the_venues_own() -> None:
    assert exchange.url(EXCHANGE) == "wss://ws-feed.exchange.coinbase.com"
    assert advanced.url(ADVANCED) == "wss://advanced-trade-ws.coinbase.com"


PRODUCTS = st.from_regex(r"[A-Z0-9]{1,6}-[A-Z]{3,4}", fullmatch=True)
CHANNELS = st.sampled_from(["matches", "level2", "ticker", "heartbeat"])
STREAMS = st.sets(st.builds("{}:{}".format, CHANNELS, PRODUCTS), min_size=1, max_size=12)


@given(STREAMS)
def test_answer_that_repeats_the_exchange_request_confirms_every_stream(streams: set[str]) -> None:
    (asked,) = said(exchange.subscribe(tuple(streams), 1))
    answered = orjson.dumps({"type": "subscriptions", "channels": asked["channels"]})
    assert exchange.reply(answered, {}) == Reply(frozenset(streams))


@given(STREAMS)
def test_answer_that_repeats_the_advanced_requests_confirms_every_stream(streams: set[str]) -> None:
    asked = said(advanced.subscribe(tuple(streams), 1))
    listed = {one["channel"]: one["product_ids"] for one in asked}
    answered = orjson.dumps({"channel": "subscriptions", "events": [{"subscriptions": listed}]})
    assert advanced.reply(answered, {}) == Reply(frozenset(streams))


DEEP = b"[" * 1000 + b"]" * 1000
ODD = st.binary(max_size=200) | st.sampled_from(
    [
        b'{"type":' + DEEP + b',"product_id":"A"}',
        b'{"type":"match","product_id":' + DEEP + b"}",
        b'{"type":"subscriptions","channels":[1,{"name":2},{"name":"a","product_ids":[' + DEEP + b"]}]}",
        b'{"type":"error","message":' + DEEP + b"}",
        b'{"channel":"subscriptions","events":[1,{"subscriptions":3},{"subscriptions":{"a":[1]}}]}',
        b'{"channel":"ticker","events":[{"tickers":[1]}]}',
        b'{"channel":{},"events":[]}',
    ]
)


@given(st.sampled_from(["exchange", "advanced"]), ODD)
def test_nothing_that_is_heard_raises(endpoint: str, payload: bytes) -> None:
    VENUE.dialects[endpoint].reply(payload, {})
    VENUE.dialects[endpoint].stream_of(payload)
