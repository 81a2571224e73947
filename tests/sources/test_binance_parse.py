"""Binance trades become the rows that they should, and no payload at all makes the parser raise."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.trades import TRADES
from sources.binance.parse import parse
from sources.demo import TAPES
from sources.events import IGNORED, REJECTIONS, Accepted, Event, Ignored, Rejected, Seen
from sources.tape_file import read_tape

SPOT = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,'
    b'"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}'
)
USDM = (
    b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT",'
    b'"t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}'
)
AGGREGATE = (
    b'{"stream":"ctkusdt@aggTrade","data":{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT",'
    b'"p":"1.01100","q":"10","f":23961322,"l":23961324,"T":1626992741421,"m":false}}'
)


QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20",'
    b'"B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}'
)
DELTA = (
    b'{"stream":"akrousdt@depth@100ms","data":{"e":"depthUpdate","E":1626992741077,"T":1626992740974,"s":"AKROUSDT",'
    b'"U":600859599831,"u":600859599831,"pu":600859598737,"b":[],"a":[["0.01737","437848"]]}}'
)
BAR = (
    b'{"stream":"ctkusdt@kline_1m","data":{"e":"kline","E":1626992741424,"s":"CTKUSDT","k":{"t":1626992700000,'
    b'"T":1626992759999,"s":"CTKUSDT","i":"1m","f":23961275,"L":23961322,"o":"1.01000","c":"1.01100","h":"1.01100",'
    b'"l":"1.01000","v":"3917","n":48,"x":false,"q":"3957.89900","V":"1729","Q":"1748.01900","B":"0"}}}'
)
PAYLOADS = (SPOT, USDM, AGGREGATE, QUOTE, DELTA, BAR)
REQUESTS = (
    "",
    "/api/v3/depth?symbol=BTCUSDT&limit=1000",
    "/fapi/v1/aggTrades?symbol=BTCUSDT",
    "/api/v3/historicalTrades?symbol=BTCUSDT",
    "/fapi/v1/klines?symbol=BTCUSDT&interval=1m",
    "/api/v3/exchangeInfo",
    "/fapi/v1/time",
    "/elsewhere",
)


def changed(payload: bytes, **fields: Any) -> bytes:
    message = orjson.loads(payload)
    message["data"] |= fields
    return orjson.dumps(message)


def only(events: list[Event]) -> Event:
    assert len(events) == 1
    return events[0]


def row(endpoint: str, payload: bytes) -> dict[str, Any]:
    event = only(parse(endpoint, payload))
    assert isinstance(event, Accepted), event
    return event.row


def reason(endpoint: str, payload: bytes) -> str:
    event = only(parse(endpoint, payload))
    assert isinstance(event, Rejected), event
    return event.reason


def test_recorded_spot_trade_is_this_row() -> None:
    assert row("spot", SPOT) == {
        "venue": "binance",
        "instrument": "BTCUSDT",
        "id_space": "spot.trade",
        "trade_id": "3735683259",
        "venue_sequence": 3735683259,
        "price": Decimal("61837.63000000"),
        "quantity": Decimal("0.02000000"),
        "side": "sell",  # the buyer was there first
        "trade_count": 1,
        "event_time": 1723161255342000,
    }


def test_recorded_usdm_trade_is_a_perpetual_bought() -> None:
    found = row("usdm", USDM)
    assert (found["instrument"], found["id_space"], found["side"]) == ("BTCUSDT-PERP", "usdm.trade", "buy")
    assert found["event_time"] == 1723161256322000


def test_recorded_aggregate_counts_its_trades_in_its_own_id_space() -> None:
    found = row("usdm", AGGREGATE)
    assert (found["id_space"], found["trade_id"], found["trade_count"]) == ("usdm.agg_trade", "16599292", 3)
    assert row("spot", AGGREGATE)["id_space"] == "spot.agg_trade"


def test_row_holds_exactly_the_contract_columns_but_the_tape_position() -> None:
    position = {"received_time", "connection_id", "message_number", "message_index"}
    assert set(row("spot", SPOT)) == {c.name for c in TRADES.wire_columns} - position


def test_raw_form_gives_the_same_row_as_the_combined_form() -> None:
    assert row("spot", orjson.dumps(orjson.loads(SPOT)["data"])) == row("spot", SPOT)


def test_delivery_future_keeps_its_symbol() -> None:
    assert row("usdm", changed(USDM, s="BTCUSDT_240927"))["instrument"] == "BTCUSDT_240927"


def test_symbol_in_chinese_characters_is_accepted() -> None:
    assert row("spot", changed(SPOT, s="币安人生USDT"))["instrument"] == "币安人生USDT"


def test_time_in_microseconds_is_recognised_by_its_size() -> None:
    assert row("spot", changed(SPOT, T=1723161255342123))["event_time"] == 1723161255342123


@pytest.mark.parametrize("cause", ["INSURANCE_FUND", "ADL", "NA"])
def test_usdm_trade_that_was_not_traded_is_ignored_with_its_reason(cause: str) -> None:
    seen = Seen("BTCUSDT-PERP", "usdm.trade", 5266583935)
    assert only(parse("usdm", changed(USDM, X=cause, p="0", q="0"))) == Ignored("not_a_market_trade", seen)


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "malformed_json"),
        (SPOT[:-1], "malformed_json"),
        (SPOT[:40], "malformed_json"),
        (SPOT.replace(b"BTC", b"\xff\xfe\xfd", 1), "malformed_json"),
        (SPOT.replace(b'"61837.63000000"', b"NaN"), "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b"null", "unknown_message"),
        (b"[]", "unknown_message"),
        (b"{}", "unknown_message"),
        (b'"trade"', "unknown_message"),
        (changed(SPOT, e="tirade"), "unknown_message"),
        (b'{"e":["trade"]}', "unknown_message"),
        (b"[" * 1010 + b"]" * 1010, "unknown_message"),
        (b'{"e":"trade","t":' + b"[" * 1010 + b"]" * 1010 + b"}", "wrong_type"),
        (changed(SPOT, p=61837.63), "wrong_type"),
        (changed(SPOT, q=1), "wrong_type"),
        (changed(SPOT, t="3735683259"), "wrong_type"),
        (changed(SPOT, t=True), "wrong_type"),
        (changed(SPOT, t=1.0), "wrong_type"),
        (changed(SPOT, T="1723161255342"), "wrong_type"),
        (changed(SPOT, T=False), "wrong_type"),
        (changed(SPOT, m=1), "wrong_type"),
        (changed(SPOT, m=None), "wrong_type"),
        (changed(SPOT, s=7), "wrong_type"),
        (changed(USDM, X=None), "wrong_type"),
        (changed(SPOT, p="NaN"), "not_a_number"),
        (changed(SPOT, p="Infinity"), "not_a_number"),
        (changed(SPOT, p="-inf"), "not_a_number"),
        (changed(SPOT, p=""), "not_a_number"),
        (changed(SPOT, p=" 1"), "not_a_number"),
        (changed(SPOT, p="1_000"), "not_a_number"),
        (changed(SPOT, p="1,5"), "not_a_number"),
        (changed(SPOT, p="١٢"), "not_a_number"),
        (changed(SPOT, p="0x10"), "not_a_number"),
        (changed(SPOT, p="1e99999999999"), "not_a_number"),
        (changed(SPOT, p="9" * 5_000_000), "not_a_number"),
        (changed(SPOT, p="0.0000000000001"), "price_digits"),
        (changed(SPOT, p="1000000000000"), "price_digits"),
        (changed(SPOT, p="1e12"), "price_digits"),
        (changed(SPOT, p="1e-13"), "price_digits"),
        (changed(SPOT, q="0.1234567890123"), "quantity_digits"),
        (changed(SPOT, t=-1), "id_out_of_range"),
        (changed(SPOT, t=2**63), "id_out_of_range"),
        (changed(AGGREGATE, f=-1, l=-1), "id_out_of_range"),
        (changed(SPOT, T=2**62), "time_out_of_range"),
        (changed(SPOT, T=-(2**62)), "time_out_of_range"),
        (changed(SPOT, s=""), "bad_symbol"),
        (changed(SPOT, s="A" * 60), "bad_symbol"),
        (changed(SPOT, s="BTC\x00USDT"), "bad_symbol"),
        (changed(SPOT, s="BTC\nUSDT"), "bad_symbol"),
        (changed(USDM, X="ADL", t="5"), "wrong_type"),
        (changed(USDM, X="ADL", s=""), "bad_symbol"),
    ],
)
def test_what_can_not_be_accepted_is_rejected_with_this_reason(payload: bytes, why: str) -> None:
    assert reason("usdm" if b"MARKET" in payload or b"X" in payload[:200] else "spot", payload) == why


@pytest.mark.parametrize("name", ["t", "p", "q", "T", "m", "s"])
def test_trade_without_a_field_names_it(name: str) -> None:
    message = orjson.loads(SPOT)
    del message["data"][name]
    assert only(parse("spot", orjson.dumps(message))) == Rejected("market.trades", "missing_field", f"no field {name}")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("-5.5", "-5.5"),
        ("0.000000000000000000", "0"),
        ("1.5000000000000000000", "1.5"),
        ("0000000000000000000012.5", "12.5"),
        ("999999999999.999999999999", "999999999999.999999999999"),
        ("1.5E-7", "0.00000015"),
        ("1e3", "1000"),
        ("0e9999", "0"),
        ("5.", "5"),
    ],
)
def test_any_exact_number_is_accepted_however_odd(text: str, number: str) -> None:
    assert row("spot", changed(SPOT, p=text))["price"] == Decimal(number)


@pytest.mark.parametrize("fields", [{"T": 0}, {"T": -1}, {"T": 99_999_999_999_999}, {"p": "-1"}, {"q": "0"}])
def test_absurd_but_representable_values_pass_to_the_rules_of_the_contract(fields: dict[str, Any]) -> None:
    assert row("spot", changed(SPOT, **fields))["venue"] == "binance"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b'{"result":null,"id":1}', "subscription_reply"),
        (b'{"result":["btcusdt@trade"],"id":3}', "subscription_reply"),
        (b'{"error":{"code":2,"msg":"Invalid request"},"id":1}', "subscription_error"),
        (b'{"code":0,"msg":"Unknown property"}', "subscription_error"),
        (b'{"e":"serverShutdown","E":1770123456789}', "venue_notice"),
        (b'{"stream":"!ticker@arr","data":[{"e":"24hrTicker","s":"X"}]}', "not_collected"),
        (b'{"stream":"x@avgPrice","data":{"e":"avgPrice","s":"X"}}', "not_collected"),
        (b'{"e":"blockTrade","E":1772506983582,"s":"BNBBTC","t":582,"p":"0.052","q":"5838"}', "not_collected"),
    ],
)
def test_message_without_an_event_is_ignored_with_its_reason(payload: bytes, why: str) -> None:
    assert only(parse("spot", payload)) == Ignored(why)


def test_demo_tape_holds_trades_with_contiguous_ids() -> None:
    ids: dict[tuple[str, str], list[int]] = {}
    for record in read_tape(TAPES["binance"]):
        for event in parse(record.endpoint, record.payload, record.request):
            assert not isinstance(event, Rejected), event
            if isinstance(event, Accepted) and event.dataset == TRADES.name:
                found: dict[str, Any] = event.row
                ids.setdefault((found["id_space"], found["instrument"]), []).append(found["venue_sequence"])
    assert {space for space, _ in ids} == {"spot.trade", "usdm.trade", "spot.agg_trade", "usdm.agg_trade"}
    for series, seen in ids.items():
        assert seen == list(range(seen[0], seen[0] + len(seen))), series


def _sound(events: list[Event]) -> None:
    assert events
    for event in events:
        if isinstance(event, Rejected):
            assert event.reason in REJECTIONS
            assert event.detail == event.detail.encode().decode()
        elif isinstance(event, Ignored):
            assert event.reason in IGNORED
        else:
            assert event.dataset in DATASETS
            assert {"venue", "instrument", "id_space"} <= event.row.keys()
            assert None not in event.row.values()


DATASETS = ("market.trades", "market.quotes", "market.books", "market.venue_bars", "reference.instruments")
ENDPOINTS = st.sampled_from(["spot", "usdm", "usdm_market", "elsewhere"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(ENDPOINTS, st.binary(max_size=400), st.sampled_from(REQUESTS) | st.text(max_size=40))
def test_any_bytes_are_explained(endpoint: str, payload: bytes, request: str) -> None:
    _sound(parse(endpoint, payload, request))


@settings(max_examples=400)
@given(ENDPOINTS, JSON, st.sampled_from(REQUESTS))
def test_any_json_is_explained(endpoint: str, value: object, request: str) -> None:
    try:
        payload = orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return  # what JSON can't hold no venue can send
    _sound(parse(endpoint, payload, request))


@settings(max_examples=600)
@given(ENDPOINTS, st.sampled_from(PAYLOADS), st.data())
def test_any_damage_to_a_recorded_payload_is_explained(endpoint: str, payload: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, len(payload)))
    _sound(parse(endpoint, payload[:start] + data.draw(st.binary(max_size=8)) + payload[end:]))


@settings(max_examples=1000)
@given(ENDPOINTS, st.sampled_from(PAYLOADS), JSON, st.data())
def test_any_json_in_any_field_is_explained(endpoint: str, payload: bytes, value: object, data: st.DataObject) -> None:
    message = orjson.loads(payload)
    fields = message["data"]["k"] if "k" in message["data"] and data.draw(st.booleans()) else message["data"]
    fields[data.draw(st.sampled_from(sorted(fields)))] = value
    try:
        mutated = orjson.dumps(message)
    except (TypeError, orjson.JSONEncodeError):
        return  # what JSON can't hold no venue can send
    _sound(parse(endpoint, mutated))


@settings(max_examples=400)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**14), max_value=10**14, places=14))
def test_accepted_price_is_the_number_that_was_sent(price: Decimal) -> None:
    event = only(parse("spot", changed(SPOT, p=f"{price:f}")))
    if isinstance(event, Accepted):
        assert event.row["price"] == price
    else:
        assert isinstance(event, Rejected)
        assert event.reason == "price_digits"
        assert abs(price) >= 10**12 or price != round(price, 12)
