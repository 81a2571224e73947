"""Kraken payloads become the rows that they should, and nothing else makes the parser raise."""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.books import BOOKS
from contracts.catalog import MARKET
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from sources.events import IGNORED, REJECTIONS, Accepted, Event, Ignored, Rejected
from sources.foreign import read_foreign
from sources.kraken.numbers import Unusual, loads
from sources.kraken.parse import parse
from sources.placing import placed
from sources.tape_file import TapeRecord

TRADE = b'[993,[["354.11000000","0.89594024","1618678142.557535","s","l",""]],"trade","XMR/USD"]'
TICKER = (
    b'[1668,{"a":["13.253900",35,"35.72892241"],"b":["13.232900",185,"185.18432037"],"c":["13.253900","3.71672000"]},'
    b'"ticker","WAVES/EUR"]'
)
SPREAD = b'[0,["5698.40000","5700.00000","1542057299.545897","1.01234567","0.98765432"],"spread","XBT/USD"]'
OHLC = (
    b'[42,["1542057314.748456","1542057360.000000","3586.70000","3586.80000","3586.60000","3586.60000","3586.68894",'
    b'"0.03373000",2],"ohlc-5","XBT/USD"]'
)
SNAPSHOT = (
    b'[0,{"as":[["5541.30000","2.50700000","1534614248.123678"],["5541.80000","0.33000000","1534614098.345543"]],'
    b'"bs":[["5541.20000","1.52900000","1534614248.765567"]]},"book-100","XBT/USD"]'
)
DELTA = (
    b'[1234,{"a":[["5541.30000","2.50700000","1534614248.456738"],["5542.50000","0.40100000","1534614048.456738","r"]]}'
    b',{"b":[["5541.30000","0.00000000","1534614335.345903"]],"c":"974942666"},"book-10","XBT/USD"]'
)
V2_TRADE = (
    b'{"channel":"trade","type":"update","data":[{"symbol":"MATIC/USD","side":"sell","price":0.51470,'
    b'"qty":6423.46326000,"ord_type":"limit","trade_id":4665846,"timestamp":"2023-09-25T07:48:36.925533Z"}]}'
)
V2_TICKER = (
    b'{"channel":"ticker","type":"snapshot","data":[{"symbol":"ALGO/USD","bid":0.10025,"bid_qty":740.0,"ask":0.10036,'
    b'"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185,"vwap":0.10148,"low":0.09979,"high":0.10285,'
    b'"change":-0.00017,"change_pct":-0.17,"timestamp":"2025-09-24T03:54:18.054886Z"}]}'
)
V2_OHLC = (
    b'{"channel":"ohlc","type":"update","timestamp":"2023-10-04T16:26:30.524394914Z","data":[{"symbol":"MATIC/USD",'
    b'"open":0.5624,"high":0.5628,"low":0.5622,"close":0.5627,"trades":12,"volume":30927.68066226,"vwap":0.5626,'
    b'"interval_begin":"2023-10-04T16:25:00.000000000Z","interval":5,"timestamp":"2023-10-04T16:30:00.000000Z"}]}'
)
V2_BOOK = (
    b'{"channel":"book","type":"update","data":[{"symbol":"MATIC/USD","bids":[{"price":0.56570,"qty":1098.39475580}],'
    b'"asks":[{"price":5.320E-6,"qty":0}],"checksum":2114181697,"timestamp":"2023-10-06T17:35:55.440295Z"}]}'
)
V2_INSTRUMENT = (
    b'{"channel":"instrument","type":"snapshot","data":{"assets":[{"id":"USD","status":"enabled"}],"pairs":['
    b'{"symbol":"EUR/USD","base":"EUR","quote":"USD","status":"online","qty_precision":8,"qty_increment":0.00000001,'
    b'"price_precision":5,"price_increment":0.00001,"qty_min":0.50000000},'
    b'{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"cancel_only","qty_increment":1e-8,"price_increment":0.1,'
    b'"qty_min":0.0001}]}}'
)
REST_TRADES = (
    b'{"error":[],"result":{"XXMRZUSD":[["354.11","0.89594024",1618678142.557535,"s","l","",77],'
    b'["354.11","0.89594024",1618678142.557535,"s","l","",78],["355.0","1.0",1618678143.9717445,"b","m","",79]],'
    b'"last":"1618678143971744600"}}'
)
TRADES_REQUEST = "/0/public/Trades?pair=XMR/USD&since=1618678142000000000&count=1000"
DEPTH = (
    b'{"error":[],"result":{"XXBTZUSD":{"asks":[["30384.10000","2.059",1688671659]],"bids":[["30297.0","1.115",1]]}}}'
)
V1 = (TRADE, TICKER, SPREAD, OHLC, SNAPSHOT, DELTA)
V2 = (V2_TRADE, V2_TICKER, V2_OHLC, V2_BOOK, V2_INSTRUMENT)


def rows(endpoint: str, payload: bytes, request: str = "") -> list[dict[str, Any]]:
    events = parse(endpoint, payload, request)
    assert all(isinstance(event, Accepted) for event in events), events
    return [event.row for event in events if isinstance(event, Accepted)]


def row(endpoint: str, payload: bytes, request: str = "") -> dict[str, Any]:
    (found,) = rows(endpoint, payload, request)
    return found


def digits(numbers: list[Decimal]) -> list[str]:
    return [format(number, "f") for number in numbers]


def test_recorded_trade_of_v1_is_this_row() -> None:
    assert row("v1", TRADE) == {
        "venue": "kraken",
        "instrument": "XMR/USD",
        "id_space": "v1.trade",
        "trade_id": "1618678142557535:354.11:0.89594024:sell:0",
        "venue_sequence": 1618678142557535,
        "price": Decimal("354.11000000"),
        "quantity": Decimal("0.89594024"),
        "side": "sell",
        "trade_count": 1,
        "event_time": 1618678142557535,
    }


def test_documented_trade_of_v2_is_this_row() -> None:
    assert row("v2", V2_TRADE) == {
        "venue": "kraken",
        "instrument": "MATIC/USD",
        "id_space": "spot.trade",
        "trade_id": "4665846",
        "venue_sequence": 4665846,
        "price": Decimal("0.5147"),
        "quantity": Decimal("6423.46326"),
        "side": "sell",
        "trade_count": 1,
        "event_time": 1695628116925533,
    }


def test_trades_of_a_snapshot_are_trades() -> None:
    assert rows("v2", V2_TRADE.replace(b"update", b"snapshot")) == rows("v2", V2_TRADE)


def test_equal_trades_of_one_payload_are_different_trades() -> None:
    message = json.loads(TRADE)
    message[1] *= 3
    assert [found["trade_id"][-2:] for found in rows("v1", json.dumps(message).encode())] == [":0", ":1", ":2"]


def test_trade_from_rest_is_the_same_trade_as_from_the_feed() -> None:
    twice = json.loads(TRADE)
    twice[1] *= 2
    fed = rows("v1", json.dumps(twice).encode())
    asked = rows("v1", REST_TRADES, TRADES_REQUEST)
    assert asked[:2] == fed

    one = orjson.loads(V2_TRADE)
    one["data"] = [
        {
            "symbol": "XMR/USD", "side": "buy", "price": 355.0, "qty": 1.0, "ord_type": "market", "trade_id": 79,
            "timestamp": "2021-04-17T16:49:03.971744Z",
        }
    ]  # fmt: skip
    assert rows("v2", REST_TRADES, TRADES_REQUEST)[2] == row("v2", orjson.dumps(one))


def test_answer_is_called_by_the_name_it_was_asked_by_or_else_by_its_own() -> None:
    assert {found["instrument"] for found in rows("v1", REST_TRADES, "/0/public/Trades?pair=XMR%2FUSD")} == {"XMR/USD"}
    assert {found["instrument"] for found in rows("v1", REST_TRADES, "/0/public/Trades?pair=XMRUSD")} == {"XXMRZUSD"}


def test_ticker_is_a_quote_without_a_time() -> None:
    assert row("v1", TICKER) == {
        "venue": "kraken",
        "instrument": "WAVES/EUR",
        "id_space": "v1.ticker",
        "bid_price": Decimal("13.2329"),
        "bid_quantity": Decimal("185.18432037"),
        "ask_price": Decimal("13.2539"),
        "ask_quantity": Decimal("35.72892241"),
    }


def test_spread_is_a_quote_with_its_time() -> None:
    found = row("v1", SPREAD)
    assert (found["bid_price"], found["bid_quantity"]) == (Decimal("5698.4"), Decimal("1.01234567"))
    assert (found["ask_price"], found["ask_quantity"]) == (Decimal(5700), Decimal("0.98765432"))
    assert (found["id_space"], found["event_time"]) == ("v1.spread", 1542057299545897)


def test_ticker_of_v2_is_a_quote_with_its_time_where_told() -> None:
    found = row("v2", V2_TICKER)
    assert (found["bid_price"], found["bid_quantity"]) == (Decimal("0.10025"), Decimal(740))
    assert (found["ask_price"], found["ask_quantity"]) == (Decimal("0.10036"), Decimal("1361.44813783"))
    assert found["event_time"] == 1758686058054886
    assert "event_time" not in row("v2", V2_TICKER.replace(b"timestamp", b"timestump"))


def test_snapshot_of_v1_holds_both_sides_and_the_time_of_its_newest_level() -> None:
    found = row("v1", SNAPSHOT)
    assert (found["kind"], found["depth"], found["id_space"]) == ("snapshot", 100, "v1.book-100")
    assert digits(found["ask_prices"]) == ["5541.30000", "5541.80000"]
    assert digits(found["ask_quantities"]) == ["2.50700000", "0.33000000"]
    assert digits(found["bid_prices"]) == ["5541.20000"]
    assert "checksum" not in found
    assert found["event_time"] == 1534614248765567


def test_update_in_two_parts_is_one_delta_of_its_newest_level() -> None:
    found = row("v1", DELTA)
    assert (found["kind"], found["depth"], found["checksum"]) == ("delta", 10, 974942666)
    assert digits(found["ask_prices"]) == ["5541.30000", "5542.50000"]
    assert digits(found["bid_prices"]) == ["5541.30000"]
    assert digits(found["bid_quantities"]) == ["0.00000000"]
    assert found["event_time"] == 1534614335345903


def test_update_of_v2_keeps_the_digits_that_were_sent() -> None:
    found = row("v2", V2_BOOK)
    assert (found["kind"], found["depth"], found["checksum"]) == ("delta", 1000, 2114181697)
    assert digits(found["bid_prices"]) == ["0.56570"]
    assert digits(found["bid_quantities"]) == ["1098.39475580"]
    assert digits(found["ask_prices"]) == ["0.000005320"]
    assert digits(found["ask_quantities"]) == ["0"]
    assert found["event_time"] == 1696613755440295
    assert row("v2", V2_BOOK.replace(b"update", b"snapshot"))["kind"] == "snapshot"


def test_book_from_rest_is_a_snapshot_of_a_feed_of_its_own() -> None:
    found = row("v2", DEPTH, "/0/public/Depth?pair=BTC/USD&count=500")
    assert (found["instrument"], found["id_space"], found["depth"]) == ("BTC/USD", "v2.depth", 500)
    assert (digits(found["ask_prices"]), digits(found["bid_quantities"])) == (["30384.10000"], ["1.115"])


def test_candle_of_v1_begins_its_width_before_its_end() -> None:
    found = row("v1", OHLC)
    assert (found["bar_time"], found["venue_sequence"]) == (1542057060_000000, 1542057060_000000)
    assert (found["width_s"], found["state"], found["event_time"]) == (300, "unknown", 1542057314748456)
    assert [found[name] for name in ("open", "high", "low", "close", "volume", "trade_count")] == [
        Decimal("3586.7"), Decimal("3586.8"), Decimal("3586.6"), Decimal("3586.6"), Decimal("0.03373"), 2,
    ]  # fmt: skip


def test_candle_of_v2_tells_its_begin() -> None:
    found = row("v2", V2_OHLC)
    assert (found["bar_time"], found["width_s"], found["state"]) == (1696436700_000000, 300, "unknown")
    assert (found["id_space"], found["event_time"]) == ("v2.ohlc-5", 1696436790524394)
    assert [found[name] for name in ("open", "high", "low", "close", "volume", "trade_count")] == [
        Decimal("0.5624"), Decimal("0.5628"), Decimal("0.5622"), Decimal("0.5627"), Decimal("30927.68066226"), 12,
    ]  # fmt: skip


def test_instruments_of_v2_have_their_steps() -> None:
    euro, bitcoin = rows("v2", V2_INSTRUMENT)
    assert euro == {
        "venue": "kraken",
        "instrument": "EUR/USD",
        "id_space": "v2.instrument",
        "symbol": "EUR/USD",
        "kind": "spot",
        "base": "EUR",
        "quote": "USD",
        "price_step": Decimal("0.00001"),
        "quantity_step": Decimal("0.00000001"),
        "quantity_least": Decimal("0.5"),
        "state": "trading",
    }
    assert (bitcoin["quantity_step"], bitcoin["state"]) == (Decimal("0.00000001"), "halted")


@pytest.mark.parametrize("endpoint", ["v1", "v2"])
@pytest.mark.parametrize("payload", [*V1, *V2])
def test_placed_row_has_exactly_the_columns_of_its_contract(endpoint: str, payload: bytes) -> None:
    columns = {dataset.name: {column.name for column in dataset.wire_columns} for dataset in MARKET}
    record = TapeRecord(1, "kraken", endpoint, "c", 1, payload)
    for index, event in enumerate(parse(endpoint, payload)):
        if (payload in V1) == (endpoint == "v1"):
            assert isinstance(event, Accepted)
            assert set(placed(event, record, index)) == columns[event.dataset]
        else:
            assert isinstance(event, Rejected)  # the other feed's words


@pytest.mark.parametrize(
    ("endpoint", "payload", "request_", "why"),
    [
        ("v1", b'{"event":"heartbeat"}', "", "heartbeat"),
        ("v1", b'{"event":"pong","reqid":42}', "", "heartbeat"),
        ("v1", b'{"connectionID":8628615390848610222,"event":"systemStatus","status":"online"}', "", "venue_notice"),
        ("v1", b'{"event":"subscriptionStatus","status":"subscribed","pair":"X/Y"}', "", "subscription_reply"),
        ("v1", b'{"event":"subscriptionStatus","status":"error","pair":"X/Y"}', "", "subscription_error"),
        ("v1", b'{"event":"error","errorMessage":"Malformed request"}', "", "subscription_error"),
        ("v1", b'[993,[],"trade","XMR/USD"]', "", "no_trades"),
        ("v2", b'{"channel":"heartbeat"}', "", "heartbeat"),
        ("v2", b'{"method":"pong","req_id":101,"time_in":"x","time_out":"y"}', "", "heartbeat"),
        ("v2", b'{"channel":"status","type":"update","data":[{"system":"online"}]}', "", "venue_notice"),
        ("v2", b'{"method":"subscribe","result":{"channel":"trade"},"success":true}', "", "subscription_reply"),
        ("v2", b'{"method":"unsubscribe","result":{"channel":"trade"},"success":true}', "", "subscription_reply"),
        ("v2", b'{"error":"Currency pair not supported","success":false}', "", "subscription_error"),
        ("v2", b'{"channel":"level3","type":"update","data":[]}', "", "not_collected"),
        ("v2", b'{"channel":"trade","type":"update","data":[]}', "", "no_trades"),
        ("v2", b'{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[]}}', "", "not_collected"),
        ("v2", b'{"error":[],"result":{"unixtime":1688669448,"rfc1123":"x"}}', "/0/public/Time", "server_time"),
        ("v2", b'{"error":["EGeneral:Too many requests"]}', "/0/public/Trades?pair=BTC/USD", "subscription_error"),
        ("v2", b'{"error":[],"result":{"X":[],"last":"0"}}', "/0/public/Trades?pair=BTC/USD", "no_trades"),
        ("v2", b'{"error":[],"result":{"X":[],"last":0}}', "/0/public/OHLC?pair=BTC/USD", "no_trades"),
    ],
)  # fmt: skip
def test_message_without_an_event_is_ignored_with_its_reason(
    endpoint: str, payload: bytes, request_: str, why: str
) -> None:
    assert parse(endpoint, payload, request_) == [Ignored(why)]


@pytest.mark.parametrize(
    ("endpoint", "payload", "dataset", "why"),
    [
        ("v1", b"", "tape", "malformed_json"),
        ("v2", b"", "tape", "malformed_json"),
        ("v2", b"\xff\xfe", "tape", "malformed_json"),
        ("v2", b"[" * 100_000, "tape", "malformed_json"),
        ("v2", V2_BOOK.replace(b"0.56570", b"NaN"), "tape", "malformed_json"),
        ("v2", V2_TRADE.replace(b"4665846", b"9" * 5000), "tape", "malformed_json"),
        ("v2", b'{"\\ud800":1}', "tape", "unknown_message"),
        ("v2", b'{"channel":"executions","data":[]}', "tape", "unknown_message"),
        ("v1", TRADE.replace(b'"trade"', b'"tirade"'), "tape", "unknown_message"),
        ("v1", DELTA.replace(b"book-10", b"book-11"), "tape", "unknown_message"),
        ("v1", OHLC.replace(b"ohlc-5", b"ohlc-7"), "tape", "unknown_message"),
        ("v1", b'[1,{},{},"ticker","X/Y"]', "tape", "unknown_message"),
        ("v1", b'[0,{"a":[["1","2","3"]]},{"a":[["1","3","4"]]},"book-10","X/Y"]', "market.books", "wrong_type"),
        ("v1", b'[0,{"c":"1"},"book-10","X/Y"]', "market.books", "missing_field"),
        ("v1", DELTA.replace(b'"974942666"', b"974942666"), "market.books", "wrong_type"),
        ("v1", DELTA.replace(b"974942666", b"9749426660"), "market.books", "id_out_of_range"),
        ("v1", TRADE.replace(b'"s"', b'"x"'), "market.trades", "wrong_type"),
        ("v1", TRADE.replace(b"1618678142.557535", b"16186781425575.35"), "market.trades", "wrong_type"),
        ("v1", TRADE.replace(b"1618678142.557535", b"999999999999"), "market.trades", "time_out_of_range"),
        ("v1", TRADE.replace(b'"354.11000000"', b"354.11"), "market.trades", "wrong_type"),
        ("v1", TRADE.replace(b'"XMR/USD"', b'["XMR/USD"]'), "market.trades", "wrong_type"),
        ("v1", TRADE.replace(b"XMR/USD", b""), "market.trades", "bad_symbol"),
        ("v2", V2_TRADE.replace(b"0.51470", b'"0.51470"'), "market.trades", "wrong_type"),
        ("v2", V2_TRADE.replace(b"0.51470", b"0.1234567890123"), "market.trades", "price_digits"),
        ("v2", V2_TRADE.replace(b"6423.46326000", b"1e12"), "market.trades", "quantity_digits"),
        ("v2", V2_TRADE.replace(b"6423.46326000", b"1e-99999999999999999999"), "market.trades", "not_a_number"),
        ("v2", V2_TRADE.replace(b"4665846", b"-1"), "market.trades", "id_out_of_range"),
        ("v2", V2_TRADE.replace(b"925533Z", b"925533"), "market.trades", "wrong_type"),
        ("v2", V2_TRADE.replace(b"trade_id", b"trade_ix"), "market.trades", "missing_field"),
        ("v2", V2_BOOK.replace(b'"type":"update"', b'"type":"uptake"'), "market.books", "wrong_type"),
        ("v2", V2_BOOK.replace(b'"qty":0}', b'"qta":0}'), "market.books", "missing_field"),
        ("v2", V2_OHLC.replace(b'"interval":5', b'"interval":7'), "market.venue_bars", "unknown_message"),
        ("v2", b'{"channel":"ticker","data":[]}', "market.quotes", "wrong_type"),
    ],
)
def test_what_can_not_be_accepted_is_rejected_with_this_reason(
    endpoint: str, payload: bytes, dataset: str, why: str
) -> None:
    (event,) = parse(endpoint, payload)
    assert isinstance(event, Rejected), event
    assert (event.dataset, event.reason) == (dataset, why)


@pytest.mark.parametrize(
    ("endpoint", "payload", "request_", "kinds"),
    [
        ("v1", REST_TRADES.replace(b'"s"', b'"?"', 1), TRADES_REQUEST, [Rejected, Accepted, Accepted]),
        ("v2", REST_TRADES.replace(b",78]", b"]"), TRADES_REQUEST, [Accepted, Rejected, Accepted]),
        ("v2", V2_INSTRUMENT.replace(b"cancel_only", b"asleep"), "", [Accepted, Rejected]),
        ("v2", V2_TICKER.replace(b'"data":[', b'"data":[7,'), "", [Rejected, Accepted]),
        (
            "v2",
            b'{"error":[],"result":{"X":[[60,"1","1","1","1","1","1",1],[120,"1","1","1","1","1","x",1],'
            b'[180,"1","1","1","1","1","1",1]],"last":120}}',
            "/0/public/OHLC?pair=BTC/USD",
            [Accepted, Rejected, Accepted],
        ),
    ],
)
def test_bad_entry_does_not_harm_its_neighbours(
    endpoint: str, payload: bytes, request_: str, kinds: list[type[Event]]
) -> None:
    assert [type(event) for event in parse(endpoint, payload, request_)] == kinds


def _sound(events: list[Event]) -> None:
    assert events
    for event in events:
        if isinstance(event, Rejected):
            assert event.reason in REJECTIONS
            assert event.detail == event.detail.encode().decode()
        elif isinstance(event, Ignored):
            assert event.reason in IGNORED
        else:
            assert event.dataset in {dataset.name for dataset in MARKET}
            assert all(value.encode() for value in event.row.values() if isinstance(value, str))


PATHS = st.sampled_from(
    ["", *(f"/0/public/{name}?pair=X/Y" for name in ("Trades", "OHLC", "Depth", "AssetPairs", "x"))]
)
EXAMPLES = st.sampled_from([*V1, *V2, REST_TRADES, DEPTH])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["v1", "v2", "elsewhere"]), st.binary(max_size=400), PATHS)
def test_any_bytes_are_explained(endpoint: str, payload: bytes, request_: str) -> None:
    _sound(parse(endpoint, payload, request_))


@settings(max_examples=400)
@given(st.sampled_from(["v1", "v2"]), EXAMPLES, PATHS, st.data())
def test_any_damage_to_a_payload_is_explained(
    endpoint: str, payload: bytes, request_: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 12)))
    _sound(parse(endpoint, payload[:start] + data.draw(st.binary(max_size=8)) + payload[end:], request_))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """List every place of a JSON document as container and key."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


@settings(max_examples=600)
@given(EXAMPLES, PATHS, JSON, st.data())
def test_any_json_in_any_place_is_explained(payload: bytes, request_: str, value: object, data: st.DataObject) -> None:
    message = json.loads(payload)
    container, key = data.draw(st.sampled_from(_places(message)))
    container[key] = value
    for endpoint in ("v1", "v2"):
        _sound(parse(endpoint, json.dumps(message).encode(), request_))


@settings(max_examples=400)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**13, places=9), st.booleans())
def test_number_keeps_its_digits_through_json(number: Decimal, scientific: bool) -> None:
    written = f"{number:e}" if scientific else f"{number:f}"
    found = loads(written.encode())
    if isinstance(found, Unusual):
        assert number >= 10**12 or len(written) > 18
        assert found == written
    else:
        assert found == number
        assert format(found, "f") == format(Decimal(written), "f")


@given(st.lists(st.sampled_from(["1.0", "1.00", "2.0"]), max_size=12))
def test_unnumbered_trades_are_never_taken_for_one_another(prices: list[str]) -> None:
    entries = [[price, "1.0", "1618678142.557535", "s", "l", ""] for price in prices]
    events = parse("v1", json.dumps([1, entries, "trade", "X/Y"]).encode())
    ids = [event.row["trade_id"] for event in events if isinstance(event, Accepted)]
    assert len(ids) == len(set(ids)) == len(prices)


# What follows holds recordings against counts that know nothing of the parser.


def _recorded(recordings: Path, number: int) -> list[bytes]:
    path = recordings / "bmoscon+cryptofeed" / f"sample_data__KRAKEN.ws.{number}.0"
    return [line.payload for line in read_foreign(path) if not line.control]


def _counted(payloads: list[bytes]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for payload in payloads:
        message = json.loads(payload)
        if isinstance(message, dict):
            counts[message["event"]] += 1
        elif message[-2] == "trade":
            counts["messages of trades"] += 1
            counts["trades"] += len(message[1])
        elif message[-2] == "ticker":
            counts["quotes"] += 1
        else:
            assert message[-2] == "book-1000"
            counts["snapshots" if "as" in message[1] else "deltas"] += 1
    return counts


def test_recordings_hold_what_is_said_of_them(recordings: Path) -> None:
    counts = sum((_counted(_recorded(recordings, number)) for number in (48, 49, 50)), Counter[str]())
    assert counts == {
        "trades": 10, "messages of trades": 8, "quotes": 18, "snapshots": 10, "deltas": 4269,
        "heartbeat": 92, "systemStatus": 3, "subscriptionStatus": 30,
    }  # fmt: skip


@pytest.mark.parametrize("number", [48, 49, 50])
def test_every_event_of_a_recording_is_found(recordings: Path, number: int) -> None:
    payloads = _recorded(recordings, number)
    wanted = _counted(payloads)
    found: Counter[str] = Counter()
    for event in (event for payload in payloads for event in parse("v1", payload)):
        assert not isinstance(event, Rejected), event
        if isinstance(event, Ignored):
            found[event.reason] += 1
        else:
            found[f"{event.row['kind']}s" if event.dataset == BOOKS.name else event.dataset] += 1
    assert found == +Counter(
        {
            TRADES.name: wanted["trades"],
            QUOTES.name: wanted["quotes"],
            "snapshots": wanted["snapshots"],
            "deltas": wanted["deltas"],
            "heartbeat": wanted["heartbeat"],
            "venue_notice": wanted["systemStatus"],
            "subscription_reply": wanted["subscriptionStatus"],
        }
    )


def test_recorded_levels_keep_every_digit(recordings: Path) -> None:
    for payload in _recorded(recordings, 50):
        message = json.loads(payload)
        if isinstance(message, dict):
            continue
        found = row("v1", payload)
        for side, name in (("a", "ask"), ("b", "bid")):
            levels = [level for part in message[1:-2] for key in (side, f"{side}s") for level in part.get(key, [])]
            assert digits(found[f"{name}_prices"]) == [level[0] for level in levels]
            assert digits(found[f"{name}_quantities"]) == [level[1] for level in levels]
        if found["kind"] == "delta":
            assert str(found["checksum"]) == message[-3]["c"]


def _rest(recordings: Path, name: str) -> bytes:
    folder = recordings.parent / "crypto_rest" / "nautechsystems+nautilus_trader"
    path = folder / f"crates__adapters__kraken__test_data__http_{name}.json"
    if not path.is_file():
        pytest.skip("the shared recordings are not on this machine: ../shared/data/crypto_rest")
    return path.read_bytes()


def test_recorded_page_of_rest_holds_every_trade_and_its_ids_count_without_holes(recordings: Path) -> None:
    payload = _rest(recordings, "trades")
    entries = json.loads(payload, parse_float=str)["result"]["XBTUSDT"]
    request = "/0/public/Trades?pair=XBT/USDT&since=0"
    numbered = rows("v2", payload, request)
    assert [found["venue_sequence"] for found in numbered] == [entry[6] for entry in entries]
    assert [found["venue_sequence"] for found in numbered] == list(range(10218208, 10219208))
    unnumbered = rows("v1", payload, request)
    for entry, found, other in zip(entries, numbered, unnumbered, strict=True):
        whole, _, fraction = entry[2].partition(".")
        assert found["event_time"] == int(whole + fraction[:6].ljust(6, "0"))
        assert (digits([found["price"]]), digits([found["quantity"]])) == ([entry[0]], [entry[1]])
        assert found["side"] == {"b": "buy", "s": "sell"}[entry[3]]
        same = ("instrument", "price", "quantity", "side", "trade_count", "event_time")
        assert {name: found[name] for name in same} == {name: other[name] for name in same}
    assert len({found["trade_id"] for found in unnumbered}) == 1000


def test_recorded_candles_of_rest_are_final_but_for_the_last(recordings: Path) -> None:
    payload = _rest(recordings, "ohlc")
    entries = json.loads(payload)["result"]["XBTUSDT"]
    bars = rows("v2", payload, "/0/public/OHLC?pair=XBTUSDT&interval=1")
    assert [bar["bar_time"] for bar in bars] == [entry[0] * 1_000_000 for entry in entries]
    assert [bar["trade_count"] for bar in bars] == [entry[7] for entry in entries]
    assert Counter(bar["state"] for bar in bars) == {"final": 720, "provisional": 1}
    assert bars[-1]["state"] == "provisional"
    assert {(bar["instrument"], bar["width_s"], bar["id_space"]) for bar in bars} == {("XBTUSDT", 60, "v2.ohlc-1")}


def test_recorded_pairs_have_the_names_of_the_feed_that_asks(recordings: Path) -> None:
    (line,) = [
        line for line in read_foreign(recordings / "bmoscon+cryptofeed/sample_data__KRAKEN.0") if not line.control
    ]
    pairs = json.loads(line.payload)["result"]
    old, new = rows("v1", line.payload, line.request), rows("v2", line.payload, line.request)
    assert len(old) == len(new) == len(pairs) == 304
    assert [found["instrument"] for found in old] == [pair.get("wsname", name) for name, pair in pairs.items()]
    assert [found["quantity_least"] for found in old] == [Decimal(pair.get("ordermin", 0)) for pair in pairs.values()]
    renamed = {a["instrument"]: b["instrument"] for a, b in zip(old, new, strict=True)}
    assert (renamed["XBT/USD"], renamed["XDG/XBT"], renamed["XMR/USD"]) == ("BTC/USD", "DOGE/BTC", "XMR/USD")
    bitcoin = next(found for found in old if found["instrument"] == "XBT/USD")
    assert (bitcoin["base"], bitcoin["quote"], bitcoin["price_step"]) == ("XBT", "USD", Decimal("0.1"))
