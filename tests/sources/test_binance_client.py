"""How Binance is spoken to, and what its answers mean."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.binance import VENUE
from sources.binance.instruments import instrument, symbol_of
from sources.endpoints import Reply
from sources.foreign import read_foreign

SPOT, USDM, USDM_MARKET = (VENUE.dialects[endpoint.name] for endpoint in VENUE.endpoints)
ASKED = {1: ("btcusdt@trade", "btcusdt@depth@100ms"), 2: ("ethusdt@trade",)}


def test_every_endpoint_has_its_dialect_and_its_rest_side() -> None:
    names = {endpoint.name for endpoint in VENUE.endpoints}
    assert names == VENUE.dialects.keys() == VENUE.rests.keys() == {"spot", "usdm", "usdm_market"}
    assert {endpoint.venue for endpoint in VENUE.endpoints} == {"binance"}


def test_streams_that_usdm_routes_by_path_are_asked_for_there() -> None:
    """The venue sends nothing, and no error, on the wrong one."""
    for endpoint in VENUE.endpoints[1:]:
        channels = {stream.split("@")[1] for stream in endpoint.streams}
        assert (
            channels
            <= {"/public": {"bookTicker", "depth"}, "/market": {"aggTrade", "kline_1m"}}[
                endpoint.base_url.removeprefix("wss://fstream.binance.com")
            ]
        )


def test_defaults_hold_each_kind_of_bitcoin_and_ether() -> None:
    for market, trades in (("spot", "trade"), ("usdm", "aggTrade")):
        streams = {stream for e in VENUE.endpoints if e.name.startswith(market) for stream in e.streams}
        channels = (trades, "bookTicker", "depth@100ms", "kline_1m")
        assert streams == {f"{symbol}@{channel}" for symbol in ("btcusdt", "ethusdt") for channel in channels}


def test_address_is_that_of_the_combined_form() -> None:
    spot, usdm, _ = VENUE.endpoints
    assert SPOT.url(spot) == "wss://stream.binance.com:9443/stream"
    assert (
        USDM.url(replace(usdm, base_url="ws://127.0.0.1:8090/binance/usdm/"))
        == "ws://127.0.0.1:8090/binance/usdm/stream"
    )


def test_one_message_asks_for_and_ends_all_streams() -> None:
    (asked,) = SPOT.subscribe(("a@trade", "b@trade"), 7)
    (ended,) = SPOT.unsubscribe(("a@trade",), 8)
    assert orjson.loads(asked) == {"method": "SUBSCRIBE", "params": ["a@trade", "b@trade"], "id": 7}
    assert orjson.loads(ended) == {"method": "UNSUBSCRIBE", "params": ["a@trade"], "id": 8}


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (b'{"result":null,"id":1}', Reply(frozenset(ASKED[1]))),
        (b'{"id":2,"result":null}', Reply(frozenset(ASKED[2]))),
        (b'{"result":null,"id":3}', None),
        (b'{"result":null,"id":true}', None),
        (b'{"result":null}', None),
        (
            b'{"error":{"code":2,"msg":"Invalid request"},"id":2}',
            Reply(frozenset(ASKED[2]), '{"code":2,"msg":"Invalid request"}'),
        ),
        (b'{"code":0,"msg":"Unknown property","id":2}', Reply(frozenset(ASKED[2]), "Unknown property")),
        (b'{"code":3,"msg":"Invalid JSON"}', Reply(frozenset(), "Invalid JSON")),
        (b'{"result":["btcusdt@trade"],"id":2}', Reply(frozenset(ASKED[2]), '{"result":["btcusdt@trade"],"id":2}')),
        (b'{"stream":"btcusdt@trade","data":{"id":1,"result":null}}', None),
        (b'{"e":"trade","id":1,"result":null}', None),
        (b"[1]", None),
        (b'{"id":1', None),
    ],
)
def test_answer_is_read_as_that_to_its_streams(payload: bytes, reply: Reply | None) -> None:
    assert SPOT.reply(payload, ASKED) == reply


@given(st.binary(max_size=200))
def test_any_bytes_are_no_harm_to_the_dialect(payload: bytes) -> None:
    assert SPOT.reply(payload, ASKED) is None
    stream = SPOT.stream_of(payload)
    assert stream is None or isinstance(stream, str)


@pytest.mark.parametrize(
    ("payload", "stream"),
    [
        (b'{"stream":"btcusdt@depth@100ms","data":{}}', "btcusdt@depth@100ms"),
        (b'{"data":{},"stream":"btcusdt@trade"}', "btcusdt@trade"),
        (b'{"e":"aggTrade","s":"BTCUSDT"}', "btcusdt@aggTrade"),
        (b'{"e":"depthUpdate","s":"BTCUSDT"}', "btcusdt@depth"),
        (b'{"e":"kline","s":"BTCUSDT","k":{"i":"1m"}}', "btcusdt@kline_1m"),
        (b'{"u":1,"s":"BNBUSDT","b":"1","B":"1","a":"2","A":"1"}', "bnbusdt@bookTicker"),
        (b'{"lastUpdateId":1,"bids":[],"asks":[]}', None),
        (b'{"result":null,"id":1}', None),
        (b'{"stream":"x', None),
        (b"", None),
    ],
)
def test_payload_tells_its_stream(payload: bytes, stream: str | None) -> None:
    assert SPOT.stream_of(payload) == stream


def test_raw_form_tells_the_stream_that_the_recorded_combined_form_names(recordings: Path) -> None:
    for record in read_foreign(recordings / "bmoscon+cryptofeed/sample_data__BINANCE_FUTURES.ws.1.0"):
        if not record.control:
            message = orjson.loads(record.payload)
            told = USDM.stream_of(orjson.dumps(message["data"]))
            assert told == message["stream"].removesuffix("@100ms")
            assert USDM.stream_of(record.payload) == message["stream"]


def test_instruments_streams_are_those_that_are_asked_for_by_default() -> None:
    assert SPOT.stream("market.trades", "BTCUSDT") == "btcusdt@trade"
    assert USDM_MARKET.stream("market.trades", "BTCUSDT-PERP") == "btcusdt@aggTrade"
    assert USDM_MARKET.stream("market.venue_bars", "BTCUSDT_240927") == "btcusdt_240927@kline_1m"
    for endpoint in VENUE.endpoints:
        dialect = VENUE.dialects[endpoint.name]
        market = "spot" if endpoint.name == "spot" else "usdm"
        offered = {
            dialect.stream(dataset, instrument(market, symbol))
            for dataset in ("market.trades", "market.quotes", "market.books", "market.venue_bars")
            for symbol in ("BTCUSDT", "ETHUSDT")
        }
        assert set(endpoint.streams) <= offered


@given(st.sampled_from(["spot", "usdm"]), st.from_regex(r"[A-Z0-9]{1,12}(-PERP)?(_[0-9]{6})?", fullmatch=True))
def test_symbol_is_found_again_from_its_instrument(market: str, symbol: str) -> None:
    assert symbol_of(market, instrument(market, symbol)) == symbol
