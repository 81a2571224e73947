"""What is asked of Coinbase's REST sides, and what their answers become."""

from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.coinbase import VENUE
from sources.coinbase.parse import parse
from sources.coinbase.rest import AdvancedRest, ExchangeRest
from sources.endpoints import Missing
from sources.events import Accepted, Event, Ignored, Rejected

exchange = ExchangeRest()
advanced = AdvancedRest()
MINUTE = 60_000_000
BTC = "/products/BTC-USD"
ADVANCED_BTC = "/api/v3/brokerage/market/products/BTC-USD"


def missing(
    first: int | None, last: int | None, from_time: int = 0, to_time: int = 0, id_space: str = "exchange.trade"
) -> Missing:
    return Missing("BTC-USD", id_space, first, last, from_time, to_time)


def query(target: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}


def accepted(events: list[Event]) -> list[dict[str, Any]]:
    found = []
    for event in events:
        assert isinstance(event, Accepted), event
        found.append(event.row)
    return found


def test_trades_are_asked_for_by_the_id_behind_the_last_one() -> None:
    asked = exchange.trades(missing(101, 105))
    assert asked is not None
    assert asked.target == f"{BTC}/trades?after=106&limit=5"
    many = exchange.trades(missing(1, 5000))
    assert many is not None
    assert many.target == f"{BTC}/trades?after=5001&limit=1000"


@pytest.mark.parametrize("first", [None, 7])
def test_newest_trades_are_asked_for_where_the_last_id_is_not_known(first: int | None) -> None:
    asked = exchange.trades(missing(first, None, 1, 2))
    assert asked is not None
    assert asked.target == f"{BTC}/trades?limit=1000"


def test_each_side_answers_for_its_own_trades_alone() -> None:
    for name, rest in VENUE.rests.items():
        for id_space in VENUE.counted:
            asked = rest.trades(missing(1, 2, 1, 2, id_space))
            assert (asked is None) == (id_space != f"{name}.trade")


def test_advanced_trades_are_asked_for_by_seconds_that_hold_the_span() -> None:
    asked = advanced.trades(missing(101, 105, 1_700_000_000_999_999, 1_700_000_005_000_001, "advanced.trade"))
    assert asked is not None
    assert asked.target == f"{ADVANCED_BTC}/ticker?limit=1000&start=1700000000&end=1700000006"


def test_no_snapshot_of_rest_claims_to_join_a_feed_that_numbers_nothing() -> None:
    assert exchange.book("BTC-USD") is None
    assert advanced.book("BTC-USD") is None
    assert exchange.snapshot("BTC-USD").target == f"{BTC}/book?level=2"
    assert advanced.snapshot("BTC-USD").target == "/api/v3/brokerage/market/product_book?product_id=BTC-USD"


def test_instruments_are_asked_for_one_or_all() -> None:
    assert exchange.instruments(("BTC-USD",)).target == BTC
    assert exchange.instruments(("BTC-USD", "ETH-USD")).target == "/products"
    assert advanced.instruments(()).target == "/api/v3/brokerage/market/products"
    two = advanced.instruments(("BTC-USD", "ETH-USD")).target
    assert two == "/api/v3/brokerage/market/products?product_ids=BTC-USD&product_ids=ETH-USD"


def test_first_page_of_bars_is_as_long_as_the_venue_gives() -> None:
    start = 1_699_999_980_000_000
    asked = exchange.bars("BTC-USD", start + 5, start + 10_000 * MINUTE)
    assert asked is not None
    wanted = "granularity=60&start=2023-11-14T22:13:00Z&end=2023-11-15T03:12:00Z"
    assert asked.target == f"{BTC}/candles?{wanted}"
    other = advanced.bars("BTC-USD", start + 5, start + 10_000 * MINUTE)
    assert other is not None
    assert other.target == f"{ADVANCED_BTC}/candles?granularity=ONE_MINUTE&start=1699999980&end=1700020920&limit=350"


@given(st.integers(1_500_000_000_000_000, 1_900_000_000_000_000), st.integers(0, 1000 * MINUTE))
def test_span_of_bars_begins_at_a_minute_and_is_never_refused_for_its_length(start: int, length: int) -> None:
    asked = advanced.bars("BTC-USD", start, start + length)
    assert asked is not None
    told = query(asked.target)
    first, last = int(told["start"]), int(told["end"])
    assert first % 60 == 0
    assert first * 1_000_000 <= start < (first + 60) * 1_000_000
    assert (last - first) // 60 + 1 <= 350
    assert last == (start + length) // 1_000_000 or last - first == 349 * 60


def test_clocks_are_read() -> None:
    assert exchange.time().target == "/time"
    assert exchange.server_time(b'{"iso":"2015-01-07T23:47:25.201Z","epoch":1420674445.201}') == 1420674445201000
    assert advanced.time().target == "/api/v3/brokerage/time"
    answer = b'{"iso":"2023-06-12T10:00:00Z","epochSeconds":"1686564000","epochMillis":"1686564000123"}'
    assert advanced.server_time(answer) == 1686564000123000
    assert parse("exchange", b'{"iso":"x"}', "/time") == [Ignored("server_time")]
    assert parse("advanced", answer, advanced.time().target) == [Ignored("server_time")]


@given(st.sampled_from(["exchange", "advanced"]), st.binary(max_size=60) | st.just(b'{"iso":"2015-01-07T23:47:25"}'))
def test_what_is_no_clock_is_a_value_error(endpoint: str, payload: bytes) -> None:
    with pytest.raises(ValueError):
        VENUE.rests[endpoint].server_time(payload)


def test_trade_of_an_answer_is_the_same_row_as_the_trade_of_the_feed() -> None:
    heard = {
        "type": "match",
        "trade_id": 86327327,
        "side": "sell",
        "size": "0.06469797",
        "price": "6225.32",
        "product_id": "BTC-USD",
        "sequence": 5,
        "time": "2020-03-20T00:36:59.860000Z",
    }
    told = {
        "time": "2020-03-20T00:36:59.860Z",
        "trade_id": 86327327,
        "price": "6225.32000000",
        "size": "0.06469797",
        "side": "sell",
    }
    answer = parse("exchange", orjson.dumps([told]), f"{BTC}/trades?after=86327328&limit=1")
    assert answer == parse("exchange", orjson.dumps(heard))


def test_trade_of_an_advanced_answer_is_the_same_row_as_the_trade_of_the_feed() -> None:
    told = {
        "trade_id": "995098663",
        "product_id": "BTC-USD",
        "price": "68923.67",
        "size": "0.00064",
        "time": "2026-04-07T00:28:58.544778Z",
        "side": "SELL",
    }
    answer = orjson.dumps(
        {
            "trades": [told | {"bid": "", "ask": "", "exchange": "coinbase"}],
            "best_bid": "68923.66",
            "best_ask": "68923.67",
        }
    )
    heard = orjson.dumps(
        {"channel": "market_trades", "timestamp": "2026-04-07T00:28:59Z", "events": [{"trades": [told]}]}
    )
    assert parse("advanced", answer, f"{ADVANCED_BTC}/ticker?limit=1") == parse("advanced", heard)


def test_empty_answer_says_that_there_was_nothing() -> None:
    assert parse("exchange", b"[]", f"{BTC}/trades?after=1&limit=1") == [Ignored("no_trades")]
    assert parse("advanced", b'{"trades":[]}', f"{ADVANCED_BTC}/ticker?limit=1") == [Ignored("no_trades")]


@pytest.mark.parametrize(
    ("endpoint", "request_", "payload"),
    [
        ("exchange", f"{BTC}/trades?limit=1", b'{"message":"NotFound"}'),
        ("exchange", f"{BTC}/candles?granularity=60", b'{"message":"granularity too small"}'),
        ("exchange", BTC, b'{"message":"NotFound"}'),
        ("advanced", f"{ADVANCED_BTC}/ticker?limit=1", b'{"error":"NOT_FOUND","error_details":"x","message":"x"}'),
        ("advanced", "/nowhere", b'{"error":"unknown"}'),
    ],
)
def test_refusal_is_no_data(endpoint: str, request_: str, payload: bytes) -> None:
    assert parse(endpoint, payload, request_) == [Ignored("subscription_error")]


def test_answer_to_an_unknown_request_is_rejected() -> None:
    for endpoint in ("exchange", "advanced"):
        (event,) = parse(endpoint, b"[1]", "/currencies")
        assert isinstance(event, Rejected)
        assert (event.dataset, event.reason) == ("tape", "unknown_message")


def test_exchange_candles_are_exactly_the_numbers_that_were_sent() -> None:
    payload = b"[[1415398768,0.32,4.2,0.35,4.20,123456789.123456789012],[1415398708,1e-7,1,1,1,0]]"
    first, second = accepted(parse("exchange", payload, f"{BTC}/candles?granularity=60&start=a&end=b"))
    assert first == {
        "venue": "coinbase",
        "instrument": "BTC-USD",
        "id_space": "exchange.candle_1m",
        "update_id": "1415398768000000:0.35:4.2:0.32:4.2:123456789.123456789012",
        "venue_sequence": 1415398768000000,
        "bar_time": 1415398768000000,
        "width_s": 60,
        "open": Decimal("0.35"),
        "high": Decimal("4.2"),
        "low": Decimal("0.32"),
        "close": Decimal("4.20"),
        # As a binary float it would be ...123456791043.
        "volume": Decimal("123456789.123456789012"),
        "trade_count": -1,
        "state": "unknown",
    }
    assert second["low"] == Decimal("0.0000001")


DIGITS = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**11, places=12)


@given(st.lists(st.tuples(st.integers(0, 4_000_000_000), DIGITS, DIGITS, DIGITS, DIGITS, DIGITS), max_size=5))
def test_any_candle_is_exactly_what_was_sent(candles: list[tuple[Any, ...]]) -> None:
    payload = "[" + ",".join(f"[{c[0]},{c[1]:f},{c[2]:f},{c[3]:f},{c[4]:f},{c[5]:f}]" for c in candles) + "]"
    events = parse("exchange", payload.encode(), f"{BTC}/candles?granularity=300")
    if not candles:
        assert events == [Ignored("no_trades")]
        return
    names = ("low", "high", "open", "close", "volume")
    found = [(r["bar_time"] // 1_000_000, *(r[name] for name in names)) for r in accepted(events)]
    assert found == candles
    assert {r["id_space"] for r in accepted(events)} == {"exchange.candle_5m"}


def test_bad_candle_is_rejected_and_its_neighbour_kept() -> None:
    payload = b"[[1415398768,0.32,4.2],[1415398708,1,1,1,1,0],[1.5,1,1,1,1,0],[60,null,1,1,1,0]]"
    kinds = [type(event) for event in parse("exchange", payload, f"{BTC}/candles?granularity=60")]
    assert kinds == [Rejected, Accepted, Rejected, Rejected]


def test_candles_of_a_width_that_was_not_asked_for_are_rejected() -> None:
    for asked in ("", "?granularity=7", "?granularity=²"):
        (event,) = parse("exchange", b"[[0,1,1,1,1,1]]", f"{BTC}/candles{asked}")
        assert isinstance(event, Rejected)


def test_advanced_candles_are_one_minute_bars_of_the_requests_product() -> None:
    candle = b'{"start":"1639508040","low":"140.21","high":"140.22","open":"140.21","close":"140.22","volume":"5.6"}'
    request = advanced.bars("BTC-USD", 1639508040000000, 1639508040000000)
    assert request is not None
    (found,) = accepted(parse("advanced", b'{"candles":[' + candle + b"]}", request.target))
    assert (found["instrument"], found["id_space"], found["width_s"]) == ("BTC-USD", "advanced.candle_1m", 60)
    assert (found["bar_time"], found["state"], found["close"]) == (1639508040000000, "unknown", Decimal("140.22"))
    assert "event_time" not in found


def test_book_that_was_asked_for_has_an_id_space_of_its_own() -> None:
    payload = (
        b'{"bids":[["6247.58","6.3578146",2]],"asks":[["6251.52","2",3]],"sequence":3423,"time":"2020-03-20T00:00:00Z"}'
    )
    (found,) = accepted(parse("exchange", payload, exchange.snapshot("BTC-USD").target))
    assert found == {
        "venue": "coinbase",
        "instrument": "BTC-USD",
        "id_space": "exchange.book",
        "kind": "snapshot",
        "update_id": "3423",
        "venue_sequence": 3423,
        "chain": "",
        "bid_prices": [Decimal("6247.58")],
        "bid_quantities": [Decimal("6.3578146")],
        "ask_prices": [Decimal("6251.52")],
        "ask_quantities": [Decimal(2)],
        "event_time": 1584662400000000,
    }
    for level in ("1", "3"):
        assert parse("exchange", payload, f"{BTC}/book?level={level}") == [Ignored("not_collected")]


def test_advanced_book_that_was_asked_for_has_the_depth_that_was_asked_for() -> None:
    payload = (
        b'{"pricebook":{"product_id":"BTC-USD","bids":[{"price":"1.50","size":"2"}],"asks":[],'
        b'"time":"2026-04-07T00:28:58.5Z"},"last":"1"}'
    )
    target = advanced.snapshot("BTC-USD").target
    (found,) = accepted(parse("advanced", payload, target))
    assert (found["id_space"], found["depth"], found["bid_prices"]) == ("advanced.book", 0, [Decimal("1.50")])
    assert found["event_time"] == 1775521738500000
    (found,) = accepted(parse("advanced", payload, f"{target}&limit=50"))
    assert found["depth"] == 50


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, {"kind": "spot", "state": "trading", "price_step": Decimal("0.01"), "base": "BTC"}),
        ({"status": "delisted"}, {"state": "halted"}),
        ({"trading_disabled": True}, {"state": "halted"}),
        ({"is_disabled": True}, {"state": "halted"}),
        ({"cancel_only": True}, {"state": "halted"}),
        ({"price_increment": ""}, {"price_step": Decimal("0.1")}),
        (
            {
                "product_type": "FUTURE",
                "status": "",
                "base_currency_id": "",
                "future_product_details": {"contract_expiry_type": "EXPIRING", "contract_root_unit": "BTC"},
            },
            {"kind": "future", "state": "trading", "base": "BTC"},
        ),
        (
            {"product_type": "FUTURE", "future_product_details": {"contract_expiry_type": "PERPETUAL"}},
            {"kind": "perpetual", "base": "BTC"},
        ),
    ],
)
def test_advanced_product(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    product = {
        "product_id": "BTC-USD",
        "product_type": "SPOT",
        "base_currency_id": "BTC",
        "quote_currency_id": "USD",
        "price_increment": "0.01",
        "quote_increment": "0.1",
        "base_increment": "0.00000001",
        "base_min_size": "",
        "status": "online",
        "trading_disabled": False,
        "is_disabled": False,
        "cancel_only": False,
    }
    (found,) = accepted(parse("advanced", orjson.dumps(product | fields), ADVANCED_BTC))
    assert wanted.items() <= found.items()
    assert found["quantity_least"] == 0
    unknown = orjson.dumps(product | {"product_type": "EQUITY"})
    assert parse("advanced", unknown, ADVANCED_BTC) == [Ignored("not_collected")]
