"""Binance quotes, books, bars, instruments and REST answers become the rows that they should."""

from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import dataset
from contracts.venue_bars import NOT_TOLD
from sources.binance.bars import WIDTHS_S
from sources.binance.parse import parse
from sources.events import Accepted, Event, Ignored, Rejected
from sources.placing import placed
from sources.tape_file import TapeRecord
from stores.arrow import arrow_schema

SPOT_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000",'
    b'"a":"61837.64000000","A":"1.54698000"}}'
)
USDM_QUOTE = (
    b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT","b":"61800.20",'
    b'"B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256314}}'
)
SPOT_DELTA = (
    b'{"stream":"nknusdt@depth@100ms","data":{"e":"depthUpdate","E":1633998512568,"s":"NKNUSDT","U":499869753,'
    b'"u":499869754,"b":[["0.35170000","4265.00000000"]],"a":[["0.35290000","10968.00000000"],["0.36","0.0"]]}}'
)
USDM_DELTA = (
    b'{"stream":"akrousdt@depth@100ms","data":{"e":"depthUpdate","E":1626992741077,"T":1626992740974,"s":"AKROUSDT",'
    b'"U":600859599831,"u":600859599835,"pu":600859598737,"b":[],"a":[["0.01737","437848"]]}}'
)
SPOT_BAR = (
    b'{"stream":"nknusdt@kline_1m","data":{"e":"kline","E":1633998523963,"s":"NKNUSDT","k":{"t":1633998480000,'
    b'"T":1633998539999,"s":"NKNUSDT","i":"1m","f":19862761,"L":19862790,"o":"0.35270000","c":"0.35280000",'
    b'"h":"0.35290000","l":"0.35220000","v":"25877.00000000","n":30,"x":false,"q":"9116.04600000",'
    b'"V":"58.00000000","Q":"20.46240000","B":"0"}}}'
)
# The answers of the documentation.
TRADES = (
    b'[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,'
    b'"isBuyerMaker":true,"isBestMatch":true}]'
)
AGGREGATES = (
    b'[{"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27783,"T":1498793709153,"m":true,"M":true},'
    b'{"a":26130,"p":"0.01633102","q":"1","f":27784,"l":27784,"T":1498793709154,"m":false,"M":true}]'
)
KLINES = (
    b'[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499040059999,'
    b'"2434.19055334",308,"1756.87402397","28.46694368","0"],[1499040060000,"0.01577100","0.01577100","0.01577100",'
    b'"0.01577100","0.00000000",1499040119999,"0.00000000",0,"0.00000000","0.00000000","0"]]'
)
SNAPSHOT = b'{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}'
INFO = (
    b'{"timezone":"UTC","serverTime":1565246363776,"symbols":[{"symbol":"ETHBTC","status":"TRADING",'
    b'"baseAsset":"ETH","quoteAsset":"BTC","filters":[{"filterType":"PRICE_FILTER","minPrice":"0.00000100",'
    b'"maxPrice":"100000.0","tickSize":"0.00000100"},{"filterType":"LOT_SIZE","minQty":"0.00100000",'
    b'"maxQty":"100000.0","stepSize":"0.00010000"}]},{"symbol":"OLDBTC","status":"BREAK","baseAsset":"OLD",'
    b'"quoteAsset":"BTC","filters":[]}]}'
)


def rows(endpoint: str, payload: bytes, request: str = "", of: str = "") -> list[dict[str, Any]]:
    found = []
    for event in parse(endpoint, payload, request):
        assert isinstance(event, Accepted), event
        assert event.dataset == of or not of
        found.append(event.row)
    return found


def only(endpoint: str, payload: bytes, request: str = "", of: str = "") -> dict[str, Any]:
    (row,) = rows(endpoint, payload, request, of)
    return row


def event_of(endpoint: str, payload: bytes, request: str = "") -> Event:
    (event,) = parse(endpoint, payload, request)
    return event


def changed(payload: bytes, **fields: Any) -> bytes:
    message = orjson.loads(payload)
    message["data"] |= fields
    return orjson.dumps(message)


def streamed_on(payload: bytes, stream: str) -> bytes:
    return orjson.dumps({"stream": stream, "data": orjson.loads(payload)["data"]})


def test_spot_quote_is_this_row_and_tells_no_time() -> None:
    assert only("spot", SPOT_QUOTE, of="market.quotes") == {
        "venue": "binance",
        "instrument": "BTCUSDT",
        "id_space": "spot.book_ticker",
        "update_id": "50093239212",
        "venue_sequence": 50093239212,
        "bid_price": Decimal("61837.63"),
        "bid_quantity": Decimal("3.78826"),
        "ask_price": Decimal("61837.64"),
        "ask_quantity": Decimal("1.54698"),
    }


def test_usdm_quote_happened_when_it_was_matched_not_when_it_was_sent() -> None:
    found = only("usdm", USDM_QUOTE, of="market.quotes")
    assert (found["instrument"], found["id_space"]) == ("BTCUSDT-PERP", "usdm.book_ticker")
    assert found["event_time"] == 1723161256313000


def test_raw_spot_quote_is_recognised_without_a_kind() -> None:
    raw = orjson.dumps(orjson.loads(SPOT_QUOTE)["data"])
    assert only("spot", raw) == only("spot", SPOT_QUOTE)


def test_spot_delta_follows_on_the_update_before_its_first() -> None:
    assert only("spot", SPOT_DELTA, of="market.books") == {
        "venue": "binance",
        "instrument": "NKNUSDT",
        "id_space": "spot.depth",
        "kind": "delta",
        "chain": "",
        "update_id": "499869754",
        "venue_sequence": 499869754,
        "first_sequence": 499869753,
        "previous_sequence": 499869752,
        "depth": 0,
        "bid_prices": [Decimal("0.3517")],
        "bid_quantities": [Decimal(4265)],
        "ask_prices": [Decimal("0.3529"), Decimal("0.36")],
        "ask_quantities": [Decimal(10968), Decimal(0)],
        "event_time": 1633998512568000,
    }


def test_usdm_delta_follows_on_the_update_that_the_venue_names() -> None:
    found = only("usdm", USDM_DELTA, of="market.books")
    assert (found["first_sequence"], found["previous_sequence"]) == (600859599831, 600859598737)
    assert (found["update_id"], found["venue_sequence"]) == ("600859599835", 600859599835)
    assert (found["bid_prices"], found["event_time"]) == ([], 1626992740974000)


def test_levels_keep_the_digits_that_were_sent() -> None:
    found = only("spot", SPOT_DELTA)
    assert [str(price) for price in found["ask_prices"]] == ["0.35290000", "0.36"]
    assert [str(quantity) for quantity in found["ask_quantities"]] == ["10968.00000000", "0.0"]


@pytest.mark.parametrize(
    "stream",
    ["btcusdt@depth5", "btcusdt@depth20@100ms", "btcusdt@rpiDepth@500ms", "btcusdt@depth10@500ms"],
)
def test_partial_and_rpi_books_are_not_taken_for_deltas(stream: str) -> None:
    assert event_of("usdm", streamed_on(USDM_DELTA, stream)) == Ignored("not_collected")
    partial = b'{"stream":"%s","data":%s}' % (stream.encode(), SNAPSHOT)
    assert event_of("spot", partial) == Ignored("not_collected")


@pytest.mark.parametrize("stream", ["btcusdt@depth", "btcusdt@depth@0ms", "btcusdt@depth@100ms", "btcusdt@depth@500ms"])
def test_deltas_of_any_pace_are_accepted(stream: str) -> None:
    assert only("usdm", streamed_on(USDM_DELTA, stream)) == only("usdm", USDM_DELTA)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"b": {}}, "wrong_type"),
        ({"b": None}, "wrong_type"),
        ({"b": ["12"]}, "wrong_type"),
        ({"b": [["1"]]}, "wrong_type"),
        ({"b": [[1, 2]]}, "wrong_type"),
        ({"b": [["1", "2"], "34"]}, "wrong_type"),
        ({"b": [[["1"], "2"]]}, "wrong_type"),
        ({"a": [["1", "NaN"]]}, "not_a_number"),
        ({"a": [["1e-13", "1"]]}, "price_digits"),
        ({"a": [["1", "1e12"]]}, "quantity_digits"),
        ({"u": -1}, "id_out_of_range"),
        ({"pu": None}, "wrong_type"),
        ({"T": "1"}, "wrong_type"),
        ({"s": ""}, "bad_symbol"),
    ],
)
def test_delta_that_can_not_be_accepted_is_rejected_whole(fields: dict[str, Any], reason: str) -> None:
    event = event_of("usdm", changed(USDM_DELTA, **fields))
    assert isinstance(event, Rejected)
    assert (event.dataset, event.reason) == ("market.books", reason)


def test_provisional_bar_is_this_row() -> None:
    assert only("spot", SPOT_BAR, of="market.venue_bars") == {
        "venue": "binance",
        "instrument": "NKNUSDT",
        "id_space": "spot.kline_1m",
        "update_id": "1633998523963-provisional",
        "venue_sequence": 1633998480000000,
        "bar_time": 1633998480000000,
        "width_s": 60,
        "open": Decimal("0.3527"),
        "high": Decimal("0.3529"),
        "low": Decimal("0.3522"),
        "close": Decimal("0.3528"),
        "volume": Decimal(25877),
        "trade_count": 30,
        "state": "provisional",
        "event_time": 1633998523963000,
    }


def test_closed_bar_is_final_and_another_update_than_the_open_one_of_that_moment() -> None:
    found = only("spot", SPOT_BAR.replace(b'"x":false', b'"x":true'))
    assert (found["state"], found["update_id"]) == ("final", "1633998523963-final")


@pytest.mark.parametrize("interval", sorted(WIDTHS_S))
def test_every_width_is_a_feed_of_its_own(interval: str) -> None:
    found = only("usdm_market", SPOT_BAR.replace(b'"1m"', b'"%s"' % interval.encode()))
    unit = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[interval[-1]]
    assert (found["id_space"], found["width_s"]) == (f"usdm.kline_{interval}", int(interval[:-1]) * unit)


def test_months_are_no_width_and_days_of_another_zone_are_left_out() -> None:
    assert event_of("spot", SPOT_BAR.replace(b'"1m"', b'"1M"')) == Ignored("not_collected")
    assert event_of("spot", SPOT_BAR.replace(b"@kline_1m", b"@kline_1d@+08:00")) == Ignored("not_collected")
    unknown = event_of("spot", SPOT_BAR.replace(b'"1m"', b'"7m"'))
    assert isinstance(unknown, Rejected)
    assert (unknown.dataset, unknown.reason) == ("market.venue_bars", "unknown_message")


def test_listed_bars_are_final_but_for_the_last_of_which_nothing_tells() -> None:
    first, last = rows("usdm", KLINES, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1000", "market.venue_bars")
    assert (first["instrument"], first["id_space"]) == ("BTCUSDT-PERP", "usdm.kline_1m")
    assert (first["state"], first["update_id"]) == ("final", "rest-308-final")
    assert (first["bar_time"], first["trade_count"]) == (1499040000000000, 308)
    prices = [first[name] for name in ("open", "high", "low", "close", "volume")]
    assert prices == [Decimal(t) for t in ("0.0163479", "0.8", "0.015758", "0.015771", "148976.11427815")]
    assert (last["state"], last["update_id"]) == ("unknown", "rest-0-unknown")
    assert NOT_TOLD not in (first["trade_count"], last["trade_count"])
    assert "event_time" not in first


def test_snapshot_is_of_the_symbol_that_was_asked_for() -> None:
    found = only("spot", SNAPSHOT, "/api/v3/depth?symbol=BNBBTC&limit=1000", "market.books")
    assert found == {
        "venue": "binance",
        "instrument": "BNBBTC",
        "id_space": "spot.depth",
        "kind": "snapshot",
        "chain": "",
        "update_id": "snapshot-1027024",
        "venue_sequence": 1027024,
        "first_sequence": 1027024,
        "previous_sequence": -1,
        "depth": 0,
        "bid_prices": [Decimal(4)],
        "bid_quantities": [Decimal(431)],
        "ask_prices": [Decimal("4.000002")],
        "ask_quantities": [Decimal(12)],
    }
    timed = b'{"E":1626992741264,"T":1626992741261,' + SNAPSHOT[1:]
    found = only("usdm", timed, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
    assert (found["instrument"], found["event_time"]) == ("BTCUSDT-PERP", 1626992741261000)


def test_snapshot_that_nobody_asked_for_is_rejected() -> None:
    event = event_of("spot", SNAPSHOT)
    assert isinstance(event, Rejected)
    assert (event.dataset, event.reason) == ("market.books", "missing_field")


def test_listed_instruments_tell_steps_and_states() -> None:
    found, old = rows("spot", INFO, "/api/v3/exchangeInfo?symbols=%5B%22ETHBTC%22%5D", "reference.instruments")
    assert found == {
        "venue": "binance",
        "instrument": "ETHBTC",
        "id_space": "spot.instruments",
        "symbol": "ETHBTC",
        "kind": "spot",
        "base": "ETH",
        "quote": "BTC",
        "price_step": Decimal("0.000001"),
        "quantity_step": Decimal("0.0001"),
        "quantity_least": Decimal("0.001"),
        "state": "trading",
    }
    assert (old["state"], old["price_step"], old["quantity_least"]) == ("halted", 0, 0)


def test_usdm_instruments_are_perpetuals_but_for_those_with_a_day() -> None:
    info = INFO.replace(b"OLDBTC", b"OLDBTC_240927")
    found, dated = rows("usdm", info, "/fapi/v1/exchangeInfo")
    assert (found["instrument"], found["symbol"], found["kind"]) == ("ETHBTC-PERP", "ETHBTC", "perpetual")
    assert (dated["instrument"], dated["symbol"], dated["kind"]) == ("OLDBTC_240927", "OLDBTC_240927", "future")


@pytest.mark.parametrize(
    ("payload", "request_", "event"),
    [
        (b'{"serverTime":1499827319559}', "/api/v3/time", Ignored("server_time")),
        (b"[]", "/api/v3/aggTrades?symbol=BTCUSDT&fromId=1", Ignored("no_trades")),
        (b"[]", "/api/v3/klines?symbol=BTCUSDT&interval=1m", Ignored("no_trades")),
        (b'{"code":-1121,"msg":"Invalid symbol."}', "/api/v3/depth?symbol=X", Ignored("subscription_error")),
    ],
)
def test_answer_without_an_event_is_ignored_with_its_reason(payload: bytes, request_: str, event: Event) -> None:
    assert event_of("spot", payload, request_) == event


@pytest.mark.parametrize(
    ("payload", "request_", "dataset_", "reason"),
    [
        (b"[]", "/api/v3/account", "tape", "unknown_message"),
        (SNAPSHOT, "/fapi/v1/depth?symbol=BTCUSDT", "tape", "unknown_message"),
        (SNAPSHOT, "//[", "tape", "unknown_message"),
        (SNAPSHOT, "/api/v3/depth?limit=1000", "market.books", "bad_symbol"),
        (b"[]", "/api/v3/depth?symbol=BTCUSDT", "market.books", "wrong_type"),
        (b"{}", "/api/v3/depth?symbol=BTCUSDT", "market.books", "missing_field"),
        (b"{}", "/api/v3/trades?symbol=BTCUSDT", "market.trades", "wrong_type"),
        (b"{}", "/api/v3/exchangeInfo", "reference.instruments", "missing_field"),
        (b'{"symbols":{}}', "/api/v3/exchangeInfo", "reference.instruments", "wrong_type"),
        (b"{}", "/api/v3/time", "tape", "missing_field"),
        (KLINES, "/api/v3/klines?symbol=BTCUSDT", "market.venue_bars", "unknown_message"),
    ],
)
def test_answer_that_can_not_be_accepted_is_rejected(payload: bytes, request_: str, dataset_: str, reason: str) -> None:
    events = parse("spot", payload, request_)
    assert {type(event) for event in events} == {Rejected}
    assert {(event.dataset, event.reason) for event in events if isinstance(event, Rejected)} == {(dataset_, reason)}


@pytest.mark.parametrize(
    ("payload", "request_"),
    [
        (AGGREGATES, "/api/v3/aggTrades?symbol=BTCUSDT"),
        (TRADES.replace(b"[", b"[" + TRADES[1:-1] + b","), "/api/v3/historicalTrades?symbol=BTCUSDT"),
        (KLINES, "/api/v3/klines?symbol=BTCUSDT&interval=1m"),
    ],
)
@pytest.mark.parametrize("bad", [b"null", b"[]", b"{}", b'"x"', b"[[[[]]]]"])
def test_bad_entry_of_a_list_does_not_harm_its_neighbours(payload: bytes, request_: str, bad: bytes) -> None:
    whole = rows("spot", payload, request_)
    entries = orjson.loads(payload)
    before, rejected, after = parse("spot", orjson.dumps([entries[0], orjson.loads(bad), entries[1]]), request_)
    assert isinstance(rejected, Rejected)
    assert isinstance(before, Accepted)
    assert isinstance(after, Accepted)
    assert [before.row, after.row] == whole


def test_bad_instrument_does_not_harm_its_neighbours() -> None:
    info = INFO.replace(b'"filters":[]', b'"filters":[{"filterType":"LOT_SIZE","stepSize":1}]')
    good, bad = parse("spot", info, "/api/v3/exchangeInfo")
    assert isinstance(good, Accepted)
    assert isinstance(bad, Rejected)
    assert (bad.dataset, bad.reason) == ("reference.instruments", "wrong_type")


NUMBERS = st.decimals(min_value=0, max_value=10**6, places=8).map(lambda number: f"{number:f}")
IDS = st.integers(0, 2**63 - 1)
MARKETS = st.sampled_from(["spot", "usdm"])
PATHS = {"spot": "/api/v3/", "usdm": "/fapi/v1/"}


@given(
    MARKETS,
    IDS,
    NUMBERS,
    NUMBERS,
    st.integers(0, 10**13),
    st.booleans(),
    st.sampled_from(["historicalTrades", "trades"]),
)
def test_trade_is_the_same_from_the_stream_and_from_rest(
    market: str, number: int, price: str, quantity: str, time: int, maker: bool, path: str
) -> None:
    streamed = {"e": "trade", "E": time + 1, "s": "BTCUSDT", "t": number, "p": price, "q": quantity}
    streamed |= {"T": time, "m": maker, "M": True}
    listed = {"id": number, "price": price + "0", "qty": quantity, "time": time, "isBuyerMaker": maker}
    request = f"{PATHS[market]}{path}?symbol=BTCUSDT&limit=1000"
    assert only(market, orjson.dumps(streamed)) == only(market, orjson.dumps([listed]), request)


@given(MARKETS, IDS, st.integers(0, 2**40), st.integers(0, 1000), NUMBERS, st.integers(0, 10**13), st.booleans())
def test_aggregate_is_the_same_from_the_stream_and_from_rest(
    market: str, number: int, first: int, more: int, text: str, time: int, maker: bool
) -> None:
    listed = {"a": number, "p": text, "q": text, "f": first, "l": first + more, "T": time, "m": maker}
    streamed = {"e": "aggTrade", "E": time + 1, "s": "BTCUSDT"} | listed
    request = f"{PATHS[market]}aggTrades?symbol=BTCUSDT&fromId={number}"
    assert only(market, orjson.dumps(streamed)) == only(market, orjson.dumps([listed]), request)


def test_symbol_in_chinese_characters_is_read_from_a_request() -> None:
    found = only("spot", TRADES, "/api/v3/trades?symbol=%E5%B8%81%E5%AE%89USDT")
    assert found["instrument"] == "币安USDT"


@pytest.mark.parametrize(
    ("endpoint", "payload", "request_"),
    [
        ("spot", SPOT_QUOTE, ""),
        ("usdm", USDM_QUOTE, ""),
        ("spot", SPOT_DELTA, ""),
        ("usdm", USDM_DELTA, ""),
        ("spot", SPOT_BAR, ""),
        ("spot", SNAPSHOT, "/api/v3/depth?symbol=BTCUSDT"),
        ("spot", KLINES, "/api/v3/klines?symbol=BTCUSDT&interval=1m"),
        ("spot", AGGREGATES, "/api/v3/aggTrades?symbol=BTCUSDT"),
        ("usdm", INFO, "/fapi/v1/exchangeInfo"),
    ],
)
def test_placed_row_has_exactly_the_columns_of_its_contract(endpoint: str, payload: bytes, request_: str) -> None:
    record = TapeRecord(1_723_161_256_000_000, "binance", endpoint, "c", 1, payload, request_)
    for index, event in enumerate(parse(endpoint, payload, request_)):
        assert isinstance(event, Accepted)
        columns = dataset(event.dataset).wire_columns
        row = placed(event, record, index)
        assert set(row) == {column.name for column in columns}
        assert pa.Table.from_pylist([row], schema=arrow_schema(columns)).num_rows == 1
