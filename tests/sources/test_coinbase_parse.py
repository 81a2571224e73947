"""Coinbase payloads become the rows that they should, and nothing else makes the parser raise."""

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.catalog import MARKET, dataset
from sources.coinbase.parse import parse
from sources.coinbase.sequence import message_sequence
from sources.events import IGNORED, REJECTIONS, Accepted, Event, Ignored, Rejected, Seen
from sources.placing import placed
from sources.tape_file import TapeRecord

MATCH = (
    b'{"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16",'
    b'"taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"sell","size":"985","price":"0.00001305",'
    b'"product_id":"SKL-BTC","sequence":177100030,"time":"2021-04-17T16:43:37.089723Z"}'
)
TICKER = (
    b'{"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775","open_24h":"14.6647",'
    b'"volume_24h":"94381.28000000","low_24h":"14.3691","high_24h":"16.55","volume_30d":"2295579.57000000",'
    b'"best_bid":"14.7550","best_ask":"14.8060","side":"buy","time":"2021-04-17T16:43:30.244075Z",'
    b'"trade_id":881613,"last_size":"0.04"}'
)
SNAPSHOT = (
    b'{"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"],["14.8069","12.49"]],'
    b'"bids":[["14.7550","0.50"]]}'
)
UPDATE = (
    b'{"type":"l2update","product_id":"BAND-BTC","changes":[["sell","0.00033406","0.00"],["buy","0.00033400","1.5"],'
    b'["sell","0.00033406","2"]],"time":"2021-04-17T16:44:07.845614Z"}'
)
TRADES = (
    b'{"channel":"market_trades","timestamp":"2026-08-09T21:05:48.228568804Z","sequence_num":0,"events":['
    b'{"type":"snapshot","trades":[{"product_id":"BTC-USD","trade_id":"1068572090","price":"65083.67",'
    b'"size":"0.002186","time":"2026-08-09T21:05:42.514318Z","side":"SELL"},{"product_id":"BTC-USD",'
    b'"trade_id":"1068572088","price":"65083.66","size":"0.00007299","time":"2026-08-09T21:05:38.50436Z",'
    b'"side":"BUY"}]}]}'
)
LEVELS = (
    b'{"channel":"l2_data","timestamp":"2026-08-09T21:05:48.505350477Z","sequence_num":14,"events":[{"type":"update",'
    b'"product_id":"BTC-USD","updates":[{"side":"bid","event_time":"2026-08-09T21:05:48.210883Z",'
    b'"price_level":"65061.91","new_quantity":"0"},{"side":"offer","event_time":"2026-08-09T21:05:48.210884Z",'
    b'"price_level":"65083.67","new_quantity":"0.10"}]}]}'
)
ADVANCED_TICKER = (
    b'{"channel":"ticker","timestamp":"2026-08-09T21:05:48.229198328Z","sequence_num":6,"events":[{"type":"snapshot",'
    b'"tickers":[{"type":"ticker","product_id":"BTC-USD","price":"65086.18","volume_24_h":"2867.54532609",'
    b'"best_bid":"65083.66","best_ask":"65083.67","best_bid_quantity":"0.20371215",'
    b'"best_ask_quantity":"0.24290402"}]}]}'
)
CANDLES = (
    b'{"channel":"candles","timestamp":"2026-08-09T21:05:48.229111828Z","sequence_num":4,"events":[{"type":"snapshot",'
    b'"candles":[{"start":"1786309200","high":"65091","low":"65083.560","open":"65090","close":"65083.67",'
    b'"volume":"1.0555351","product_id":"BTC-USD"},{"start":"1786309500","high":"65091","low":"65083.56",'
    b'"open":"65091","close":"65083.67","volume":"1.0555351","product_id":"BTC-USD"}]}]}'
)
EXCHANGE_SAMPLES = [MATCH, TICKER, SNAPSHOT, UPDATE]
ADVANCED_SAMPLES = [TRADES, LEVELS, ADVANCED_TICKER, CANDLES]


def changed(payload: bytes, **fields: Any) -> bytes:
    return orjson.dumps(orjson.loads(payload) | fields)


def entry_changed(payload: bytes, name: str, **fields: Any) -> bytes:
    """Change fields of the first entry of the first event."""
    message = orjson.loads(payload)
    message["events"][0][name][0] |= fields
    return orjson.dumps(message)


def without(payload: bytes, name: str) -> bytes:
    message = orjson.loads(payload)
    del message[name]
    return orjson.dumps(message)


def only(events: list[Event]) -> Event:
    assert len(events) == 1
    return events[0]


def rows(endpoint: str, payload: bytes, request: str = "") -> list[dict[str, Any]]:
    found = []
    for event in parse(endpoint, payload, request):
        assert isinstance(event, Accepted), event
        found.append(event.row)
    return found


def row(endpoint: str, payload: bytes, request: str = "") -> dict[str, Any]:
    found = rows(endpoint, payload, request)
    assert len(found) == 1
    return found[0]


def rejected(endpoint: str, payload: bytes) -> Rejected:
    event = only(parse(endpoint, payload))
    assert isinstance(event, Rejected), event
    return event


def test_recorded_match_is_this_trade_of_the_aggressor() -> None:
    assert row("exchange", MATCH) == {
        "venue": "coinbase",
        "instrument": "SKL-BTC",
        "id_space": "exchange.trade",
        "trade_id": "280232",
        "venue_sequence": 280232,
        "price": Decimal("0.00001305"),
        "quantity": Decimal(985),
        "side": "buy",  # the maker sold
        "trade_count": 1,
        "event_time": 1618677817089723,
    }


def test_each_trade_of_a_recorded_message_is_an_event_even_those_of_its_snapshot() -> None:
    first, second = rows("advanced", TRADES)
    assert first == {
        "venue": "coinbase",
        "instrument": "BTC-USD",
        "id_space": "advanced.trade",
        "trade_id": "1068572090",
        "venue_sequence": 1068572090,
        "price": Decimal("65083.67"),
        "quantity": Decimal("0.002186"),
        "side": "buy",
        "trade_count": 1,
        "event_time": 1786309542514318,
    }
    # Trailing zeros of the time are not written: .50436 are 504,360 microseconds.
    assert (second["side"], second["event_time"]) == ("sell", 1786309538504360)


def test_trade_before_the_subscription_is_not_stored_but_its_number_is_told() -> None:
    seen = Seen("SKL-BTC", "exchange.trade", 280232, delivered=False)
    payload = MATCH.replace(b'"match"', b'"last_match"')
    assert only(parse("exchange", payload)) == Ignored("trade_before_subscription", seen)


def test_recorded_ticker_is_a_quote_named_by_the_engines_sequence() -> None:
    assert row("exchange", TICKER) == {
        "venue": "coinbase",
        "instrument": "BAND-GBP",
        "id_space": "exchange.ticker",
        "update_id": "333938798",
        "venue_sequence": 333938798,
        "bid_price": Decimal("14.7550"),
        "bid_quantity": Decimal(0),
        "ask_price": Decimal("14.8060"),
        "ask_quantity": Decimal(0),
        "event_time": 1618677810244075,
    }


def test_quantities_of_a_ticker_are_kept_where_they_are_told() -> None:
    found = row("exchange", changed(TICKER, best_bid_size="1.50", best_ask_size="2"))
    assert (found["bid_quantity"], found["ask_quantity"]) == (Decimal("1.50"), Decimal(2))


def test_ticker_of_a_product_without_trades_has_no_time_of_the_venue() -> None:
    assert "event_time" not in row("exchange", without(TICKER, "time"))


def test_recorded_advanced_ticker_is_a_quote_at_the_messages_time() -> None:
    assert row("advanced", ADVANCED_TICKER) == {
        "venue": "coinbase",
        "instrument": "BTC-USD",
        "id_space": "advanced.ticker",
        "bid_price": Decimal("65083.66"),
        "bid_quantity": Decimal("0.20371215"),
        "ask_price": Decimal("65083.67"),
        "ask_quantity": Decimal("0.24290402"),
        "event_time": 1786309548229198,
    }


def test_ticker_batch_without_bid_and_ask_is_no_quote() -> None:
    message = orjson.loads(ADVANCED_TICKER)
    message["channel"] = "ticker_batch"
    ticker = message["events"][0]["tickers"][0]
    ticker["type"] = "ticker_batch"
    assert len(rows("advanced", orjson.dumps(message))) == 1
    del ticker["best_bid"], ticker["best_ask"]
    assert only(parse("advanced", orjson.dumps(message))) == Ignored("not_collected")


def test_snapshot_keeps_the_digits_as_sent_and_leaves_order_to_the_tape() -> None:
    found = row("exchange", SNAPSHOT)
    assert found == {
        "venue": "coinbase",
        "instrument": "BAND-GBP",
        "id_space": "exchange.level2",
        "kind": "snapshot",
        "bid_prices": [Decimal("14.7550")],
        "bid_quantities": [Decimal("0.50")],
        "ask_prices": [Decimal("14.8024"), Decimal("14.8069")],
        "ask_quantities": [Decimal("12.77"), Decimal("12.49")],
    }
    assert [str(price) for price in found["bid_prices"]] == ["14.7550"]


def test_update_is_one_delta_with_changes_in_their_order() -> None:
    assert row("exchange", UPDATE) == {
        "venue": "coinbase",
        "instrument": "BAND-BTC",
        "id_space": "exchange.level2",
        "kind": "delta",
        "bid_prices": [Decimal("0.00033400")],
        "bid_quantities": [Decimal("1.5")],
        "ask_prices": [Decimal("0.00033406"), Decimal("0.00033406")],
        "ask_quantities": [Decimal(0), Decimal(2)],
        "event_time": 1618677847845614,
    }


def test_advanced_levels_are_one_delta_at_the_messages_time() -> None:
    assert row("advanced", LEVELS) == {
        "venue": "coinbase",
        "instrument": "BTC-USD",
        "id_space": "advanced.level2",
        "kind": "delta",
        "bid_prices": [Decimal("65061.91")],
        "bid_quantities": [Decimal(0)],
        "ask_prices": [Decimal("65083.67")],
        "ask_quantities": [Decimal("0.10")],
        "event_time": 1786309548505350,
    }


def test_each_event_of_a_message_is_a_delta_of_its_own() -> None:
    message = orjson.loads(LEVELS)
    other = orjson.loads(LEVELS)["events"][0] | {"product_id": "ETH-USD", "type": "snapshot"}
    message["events"].append(other)
    found = rows("advanced", orjson.dumps(message))
    assert [(r["instrument"], r["kind"]) for r in found] == [("BTC-USD", "delta"), ("ETH-USD", "snapshot")]


def test_candle_that_holds_the_messages_time_is_provisional_and_no_other_is_called_closed() -> None:
    earlier, current = rows("advanced", CANDLES)
    assert current == {
        "venue": "coinbase",
        "instrument": "BTC-USD",
        "id_space": "advanced.candle_5m",
        "update_id": "1786309500000000:65091:65091:65083.56:65083.67:1.0555351",
        "venue_sequence": 1786309500000000,
        "bar_time": 1786309500000000,
        "width_s": 300,
        "open": Decimal(65091),
        "high": Decimal(65091),
        "low": Decimal("65083.56"),
        "close": Decimal("65083.67"),
        "volume": Decimal("1.0555351"),
        "trade_count": -1,
        "state": "provisional",
        "event_time": 1786309548229111,
    }
    assert earlier["state"] == "unknown"


def test_repeated_candle_repeats_its_id_whatever_zeros_are_written() -> None:
    first = rows("advanced", CANDLES)[0]["update_id"]
    assert rows("advanced", CANDLES.replace(b"65083.560", b"65083.56"))[0]["update_id"] == first
    assert rows("advanced", CANDLES.replace(b'"65083.560"', b'"65083.57"'))[0]["update_id"] != first


@pytest.mark.parametrize(
    ("endpoint", "payload"),
    [("exchange", sample) for sample in EXCHANGE_SAMPLES] + [("advanced", sample) for sample in ADVANCED_SAMPLES],
)
def test_placed_rows_hold_exactly_the_columns_of_their_contract(endpoint: str, payload: bytes) -> None:
    record = TapeRecord(1_700_000_000_000_000, "coinbase", endpoint, "c", 1, payload)
    for index, event in enumerate(parse(endpoint, payload)):
        assert isinstance(event, Accepted)
        assert set(placed(event, record, index)) == {c.name for c in dataset(event.dataset).wire_columns}


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "malformed_json"),
        (MATCH[:-1], "malformed_json"),
        (MATCH.replace(b"SKL", b"\xff\xfe\xfd"), "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b"null", "unknown_message"),
        (b"[]", "unknown_message"),
        (b"{}", "unknown_message"),
        (b'{"type":["match"]}', "unknown_message"),
        (b'{"type":' + b"[" * 1010 + b"]" * 1010 + b"}", "unknown_message"),
        (changed(MATCH, type="mismatch"), "unknown_message"),
        (changed(MATCH, trade_id="280232"), "wrong_type"),
        (changed(MATCH, trade_id=True), "wrong_type"),
        (changed(MATCH, trade_id=-1), "id_out_of_range"),
        (changed(MATCH, trade_id=2**63), "id_out_of_range"),
        (changed(MATCH, price=1.5), "wrong_type"),
        (changed(MATCH, price="NaN"), "not_a_number"),
        (changed(MATCH, price="0.0000000000001"), "price_digits"),
        (changed(MATCH, size="0.1234567890123"), "quantity_digits"),
        (changed(MATCH, side="both"), "wrong_type"),
        (changed(MATCH, side=None), "wrong_type"),
        (changed(MATCH, time="yesterday"), "wrong_type"),
        (changed(MATCH, time="2021-04-17T16:43:37"), "wrong_type"),
        (changed(MATCH, time="0001-01-01T00:00:00+14:00"), "time_out_of_range"),
        (changed(MATCH, product_id=""), "bad_symbol"),
        (changed(MATCH, product_id="A" * 60), "bad_symbol"),
        (changed(TICKER, sequence="1"), "wrong_type"),
        (changed(TICKER, best_bid=""), "not_a_number"),
        (without(TICKER, "best_ask"), "missing_field"),
        (changed(UPDATE, changes={}), "wrong_type"),
        (changed(UPDATE, changes=[["buy", "1"]]), "wrong_type"),
        (changed(UPDATE, changes=[["bid", "1", "1"]]), "wrong_type"),
        (changed(UPDATE, changes=[[["buy"], "1", "1"]]), "wrong_type"),
        (changed(UPDATE, changes=[["buy", 1, "1"]]), "wrong_type"),
        (changed(SNAPSHOT, bids=[["1"]]), "wrong_type"),
        (changed(SNAPSHOT, bids=[["1", "x"]]), "not_a_number"),
        (without(SNAPSHOT, "asks"), "missing_field"),
    ],
)
def test_what_can_not_be_accepted_of_the_exchange_is_rejected_with_this_reason(payload: bytes, why: str) -> None:
    assert rejected("exchange", payload).reason == why


@pytest.mark.parametrize(
    ("payload", "meant", "why"),
    [
        (b"[]", "tape", "unknown_message"),
        (b"{}", "tape", "unknown_message"),
        (b'{"channel":"weather","events":[]}', "tape", "unknown_message"),
        (without(TRADES, "timestamp"), "market.trades", "missing_field"),
        (without(TRADES, "events"), "market.trades", "missing_field"),
        (changed(TRADES, events={}), "market.trades", "wrong_type"),
        (changed(TRADES, events=[1]), "market.trades", "wrong_type"),
        (changed(TRADES, events=[{"trades": None}]), "market.trades", "wrong_type"),
        (changed(LEVELS, timestamp=5), "market.books", "wrong_type"),
        (changed(LEVELS, events=[{"type": "patch", "product_id": "A", "updates": []}]), "market.books", "wrong_type"),
        (entry_changed(LEVELS, "updates", side="ask"), "market.books", "wrong_type"),
        (entry_changed(LEVELS, "updates", price_level="?"), "market.books", "not_a_number"),
        (entry_changed(LEVELS, "updates", new_quantity=1), "market.books", "wrong_type"),
        (entry_changed(ADVANCED_TICKER, "tickers", best_bid=None), "market.quotes", "wrong_type"),
    ],
)
def test_what_can_not_be_accepted_of_advanced_trade_is_rejected_with_this_reason(
    payload: bytes, meant: str, why: str
) -> None:
    event = rejected("advanced", payload)
    assert (event.dataset, event.reason) == (meant, why)


@pytest.mark.parametrize(
    ("payload", "name", "fields", "why"),
    [
        (TRADES, "trades", {"trade_id": 1068572090}, "wrong_type"),
        (TRADES, "trades", {"trade_id": "10685x"}, "wrong_type"),
        (TRADES, "trades", {"trade_id": "-1"}, "wrong_type"),
        (TRADES, "trades", {"trade_id": "٣"}, "wrong_type"),
        (TRADES, "trades", {"trade_id": str(2**63)}, "id_out_of_range"),
        (TRADES, "trades", {"trade_id": "9" * 5000}, "id_out_of_range"),
        (TRADES, "trades", {"side": "UNKNOWN_ORDER_SIDE"}, "wrong_type"),
        (CANDLES, "candles", {"start": 1786309200}, "wrong_type"),
        (CANDLES, "candles", {"start": "9" * 5000}, "time_out_of_range"),
        (CANDLES, "candles", {"volume": "-"}, "not_a_number"),
        (CANDLES, "candles", {"high": "1e13"}, "price_digits"),
    ],
)
def test_bad_entry_is_rejected_and_its_neighbour_kept(
    payload: bytes, name: str, fields: dict[str, Any], why: str
) -> None:
    bad, good = parse("advanced", entry_changed(payload, name, **fields))
    assert isinstance(bad, Rejected)
    assert bad.reason == why
    assert good == parse("advanced", payload)[1]


@pytest.mark.parametrize(
    ("endpoint", "payload", "why"),
    [
        ("exchange", b'{"type":"subscriptions","channels":[]}', "subscription_reply"),
        ("exchange", b'{"type":"error","message":"Failed to subscribe","reason":"X"}', "subscription_error"),
        ("exchange", b'{"type":"status","products":[],"currencies":[]}', "venue_notice"),
        ("exchange", b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD"}', "heartbeat"),
        ("exchange", b'{"type":"done","sequence":10}', "not_collected"),
        ("advanced", b'{"channel":"subscriptions","events":[{"subscriptions":{}}]}', "subscription_reply"),
        ("advanced", b'{"type":"error","message":"channel not found"}', "subscription_error"),
        ("advanced", b'{"channel":"heartbeats","events":[{"heartbeat_counter":1}]}', "heartbeat"),
        ("advanced", b'{"channel":"status","events":[]}', "venue_notice"),
        ("advanced", changed(TRADES, events=[]), "no_trades"),
        ("advanced", changed(TRADES, events=[{"type": "update", "trades": []}]), "no_trades"),
    ],
)
def test_message_without_an_event_is_ignored_with_its_reason(endpoint: str, payload: bytes, why: str) -> None:
    assert only(parse(endpoint, payload)) == Ignored(why)


def test_sequence_is_read_off_the_envelope_alone() -> None:
    assert [message_sequence(sample) for sample in ADVANCED_SAMPLES] == [0, 14, 6, 4]
    assert [message_sequence(sample) for sample in EXCHANGE_SAMPLES] == [None] * 4
    with_client = b'{"channel":"ticker","client_id":"","timestamp":"t","sequence_num":7,"events":[]}'
    assert message_sequence(with_client) == 7
    assert message_sequence(b'{ "sequence_num" : 8 }') == 8
    assert message_sequence(b'{"events":[{"sequence_num":5}],"sequence_num":9}') == 9
    for none in (b"", b"[]", b"null", b'{"events":[{"sequence_num":5}]}', b'{"a":"\\"sequence_num\\":5,"}'):
        assert message_sequence(none) is None
    for unfit in (b'"3"', b"-1", b"1.5", b"true", str(2**63).encode()):
        assert message_sequence(b'{"sequence_num":' + unfit + b"}") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
ENVELOPE = st.sampled_from(["channel", "client_id", "timestamp", "sequence_num", "events", "type"])


@settings(max_examples=300)
@given(st.dictionaries(ENVELOPE, JSON | st.dictionaries(ENVELOPE, JSON), max_size=6), st.booleans())
def test_sequence_is_what_reading_the_whole_message_finds(message: dict[str, Any], indented: bool) -> None:
    try:
        payload = orjson.dumps(message, option=orjson.OPT_INDENT_2 if indented else None)
    except TypeError:
        return  # what JSON can't hold no venue can send
    told = orjson.loads(payload).get("sequence_num")
    assert message_sequence(payload) == (told if type(told) is int and 0 <= told < 2**63 else None)


@given(st.binary(max_size=60))
def test_sequence_of_any_bytes_is_a_number_or_none(payload: bytes) -> None:
    assert message_sequence(payload) is None
    assert message_sequence(b'{"sequence_num":12,' + payload) == 12


def sound(events: list[Event]) -> None:
    assert events
    for event in events:
        if isinstance(event, Rejected):
            assert event.reason in REJECTIONS
            assert event.detail == event.detail.encode().decode()
        elif isinstance(event, Ignored):
            assert event.reason in IGNORED
        else:
            assert event.dataset in {d.name for d in MARKET}


ENDPOINTS = st.sampled_from(["exchange", "advanced", "elsewhere"])
REQUESTS = st.sampled_from(
    [
        "",
        "/time",
        "/products",
        "/products/BTC-USD",
        "/products/BTC-USD/trades?limit=10",
        "/products/BTC-USD/book?level=2",
        "/products/BTC-USD/candles?granularity=60",
        "/api/v3/brokerage/time",
        "/api/v3/brokerage/market/products",
        "/api/v3/brokerage/market/products/BTC-USD",
        "/api/v3/brokerage/market/products/BTC-USD/ticker?limit=10",
        "/api/v3/brokerage/market/products/BTC-USD/candles?granularity=ONE_MINUTE",
        "/api/v3/brokerage/market/product_book?product_id=BTC-USD",
    ]
) | st.text(max_size=20)
SAMPLES = st.sampled_from(EXCHANGE_SAMPLES + ADVANCED_SAMPLES)


@settings(max_examples=300)
@given(ENDPOINTS, st.binary(max_size=400), REQUESTS)
def test_any_bytes_are_explained(endpoint: str, payload: bytes, request: str) -> None:
    sound(parse(endpoint, payload, request))


@settings(max_examples=300)
@given(ENDPOINTS, JSON, REQUESTS)
def test_any_json_is_explained(endpoint: str, message: object, request: str) -> None:
    try:
        payload = orjson.dumps(message)
    except TypeError:
        return
    sound(parse(endpoint, payload, request))


@settings(max_examples=400)
@given(ENDPOINTS, SAMPLES, st.data())
def test_any_damage_to_a_recorded_payload_is_explained(endpoint: str, payload: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, len(payload)))
    sound(parse(endpoint, payload[:start] + data.draw(st.binary(max_size=8)) + payload[end:]))


@settings(max_examples=400)
@given(ENDPOINTS, SAMPLES, JSON, st.data())
def test_any_json_in_any_field_is_explained(endpoint: str, payload: bytes, value: object, data: st.DataObject) -> None:
    message = orjson.loads(payload)
    place = message
    while True:
        name = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[name], dict | list) or not place[name] or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = value
    try:
        mutated = orjson.dumps(message)
    except TypeError:
        return
    sound(parse(endpoint, mutated))


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9, places=8)
CHANGES = st.lists(st.tuples(st.sampled_from(["buy", "sell"]), AMOUNTS, AMOUNTS), max_size=20)


@given(CHANGES)
def test_both_feeds_tell_the_same_levels_in_the_same_order(changes: list[tuple[str, Decimal, Decimal]]) -> None:
    one = row("exchange", changed(UPDATE, changes=[[side, f"{p:f}", f"{q:f}"] for side, p, q in changes]))
    names = {"buy": "bid", "sell": "offer"}
    updates = [{"side": names[s], "price_level": f"{p:f}", "new_quantity": f"{q:f}"} for s, p, q in changes]
    other = row("advanced", changed(LEVELS, events=[{"type": "update", "product_id": "BAND-BTC", "updates": updates}]))
    for side, name in (("buy", "bid"), ("sell", "ask")):
        wanted = [(p, q) for told, p, q in changes if told == side]
        for found in (one, other):
            assert list(zip(found[f"{name}_prices"], found[f"{name}_quantities"], strict=True)) == wanted
