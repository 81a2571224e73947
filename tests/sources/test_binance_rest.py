"""What Binance's REST side is asked, and that its answers can be parsed with that request."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.binance import VENUE
from sources.binance.parse import parse
from sources.binance.rest import USDM_WEIGHTS, BinanceRest
from sources.endpoints import Missing, Request
from sources.events import Accepted, Ignored

SPOT, USDM = VENUE.rests["spot"], VENUE.rests["usdm"]
HOUR_US = 3_600_000_000
BEGIN_US = 1_723_161_255_342_000


def missing(id_space: str, first: int | None = None, last: int | None = None, span_us: int = 60_000_000) -> Missing:
    instrument = "BTCUSDT" if id_space.startswith("spot") else "BTCUSDT-PERP"
    return Missing(instrument, id_space, first, last, BEGIN_US, BEGIN_US + span_us)


@pytest.mark.parametrize(
    ("asked", "target", "weight"),
    [
        (missing("spot.agg_trade", 5, 14), "/api/v3/aggTrades?symbol=BTCUSDT&fromId=5&limit=10", 4),
        (missing("spot.agg_trade", 5, 5000), "/api/v3/aggTrades?symbol=BTCUSDT&fromId=5&limit=1000", 4),
        (missing("spot.agg_trade", 5), "/api/v3/aggTrades?symbol=BTCUSDT&fromId=5&limit=1000", 4),
        (
            missing("spot.agg_trade"),
            "/api/v3/aggTrades?symbol=BTCUSDT&startTime=1723161255342&endTime=1723161315342&limit=1000",
            4,
        ),
        (missing("spot.trade", 0, 0), "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=0&limit=1", 25),
        (missing("spot.trade", 7, 9999), "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=7&limit=1000", 25),
        (missing("spot.trade"), "/api/v3/trades?symbol=BTCUSDT&limit=1000", 25),
    ],
)
def test_missing_spot_trades_are_asked_for(asked: Missing, target: str, weight: float) -> None:
    assert SPOT.trades(asked) == Request(target, weight)


@pytest.mark.parametrize(
    ("asked", "target", "weight"),
    [
        (missing("usdm.agg_trade", 5, 14), "/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=5&limit=10", 20),
        (
            missing("usdm.agg_trade", span_us=HOUR_US),
            "/fapi/v1/aggTrades?symbol=BTCUSDT&startTime=1723161255342&limit=1000",
            20,
        ),
        (missing("usdm.trade", 5, 14), "/fapi/v1/trades?symbol=BTCUSDT&limit=1000", 5),
    ],
)
def test_missing_usdm_trades_are_asked_for_without_a_key(asked: Missing, target: str, weight: float) -> None:
    assert USDM.trades(asked) == Request(target, weight)


def test_old_usdm_trades_come_in_pages_of_five_hundred_to_who_has_a_key() -> None:
    keyed = BinanceRest("usdm", USDM_WEIGHTS, old_trades=True)
    target = "/fapi/v1/historicalTrades?symbol=BTCUSDT&fromId=5&limit=500"
    assert keyed.trades(missing("usdm.trade", 5, 2000)) == Request(target, 200)


@pytest.mark.parametrize("id_space", ["spot.depth", "spot.book_ticker", "usdm.trade", "usdm.agg_trade", ""])
def test_what_is_no_series_of_the_markets_trades_is_not_asked_for(id_space: str) -> None:
    assert SPOT.trades(missing(id_space, 1, 2)) is None


@given(st.integers(0, 2**62), st.integers(0, 10**6))
def test_a_page_begins_with_the_first_missing_and_asks_for_no_more_than_is_missing(first: int, more: int) -> None:
    for rest, space in ((SPOT, "spot.agg_trade"), (SPOT, "spot.trade"), (USDM, "usdm.agg_trade")):
        request = rest.trades(missing(space, first, first + more))
        assert request is not None
        query = parse_qs(urlsplit(request.target).query)
        assert query["fromId"] == [str(first)]
        assert query["limit"] == [str(min(1000, more + 1))]


@given(st.integers(0, 10 * HOUR_US))
def test_times_cover_what_is_missing_and_both_ends_lie_within_an_hour(span_us: int) -> None:
    request = USDM.trades(missing("usdm.agg_trade", span_us=span_us))
    assert request is not None
    query = parse_qs(urlsplit(request.target).query)
    start = int(query["startTime"][0]) * 1000
    assert start <= BEGIN_US
    if "endTime" in query:
        end = int(query["endTime"][0]) * 1000
        assert BEGIN_US + span_us - 1000 < end <= BEGIN_US + span_us
        assert end - start < HOUR_US


def test_books_bars_instruments_and_the_clock_are_asked_for() -> None:
    assert SPOT.book("BTCUSDT") == Request("/api/v3/depth?symbol=BTCUSDT&limit=1000", 50)
    assert USDM.book("BTCUSDT-PERP") == Request("/fapi/v1/depth?symbol=BTCUSDT&limit=1000", 20)
    assert USDM.book("BTCUSDT_240927") == Request("/fapi/v1/depth?symbol=BTCUSDT_240927&limit=1000", 20)
    assert USDM.bars("BTCUSDT-PERP", 60_000_000, 120_000_000) == Request(
        "/fapi/v1/klines?symbol=BTCUSDT&interval=1m&startTime=60000&endTime=120000&limit=1000", 5
    )
    assert SPOT.instruments(("BTCUSDT", "ETHUSDT")) == Request(
        "/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D", 20
    )
    assert SPOT.instruments(()) == Request("/api/v3/exchangeInfo", 20)
    assert USDM.instruments(("BTCUSDT-PERP",)) == Request("/fapi/v1/exchangeInfo", 1)
    assert (SPOT.time(), USDM.time()) == (Request("/api/v3/time", 1), Request("/fapi/v1/time", 1))


def test_answers_are_parsed_with_the_requests_that_are_made() -> None:
    book = b'{"lastUpdateId":1,"bids":[],"asks":[]}'
    aggregate = b'[{"a":5,"p":"1","q":"1","f":1,"l":1,"T":1498793709153,"m":true}]'
    trade = b'[{"id":5,"price":"1","qty":"1","time":1499865549590,"isBuyerMaker":true}]'
    bar = b'[[1499040000000,"1","1","1","1","1",1499040059999,"1",3,"1","1","0"]]'
    for name, rest in VENUE.rests.items():
        market, instrument = ("spot", "币安人生USDT") if name == "spot" else ("usdm", "币安人生USDT-PERP")
        agg, single = (
            rest.trades(Missing(instrument, f"{market}.{kind}", 5, 5, 0, 0)) for kind in ("agg_trade", "trade")
        )
        asked = [(agg, aggregate), (single, trade), (rest.book(instrument), book), (rest.bars(instrument, 0, 0), bar)]
        for request, payload in asked:
            assert request is not None
            assert request.target.isascii()
            (event,) = parse(name, payload, request.target)
            assert isinstance(event, Accepted), event
            assert event.row["instrument"] == instrument
        assert parse(name, b'{"serverTime":1499827319559}', rest.time().target) == [Ignored("server_time")]


def test_server_time_is_read_in_microseconds() -> None:
    assert SPOT.server_time(b'{"serverTime":1499827319559}') == 1_499_827_319_559_000
    assert SPOT.server_time(b'{"serverTime":1499827319559123}') == 1_499_827_319_559_123


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{}", b"5", b'{"serverTime":"1"}', b'{"code":-1003,"msg":"Too many"}']
)
def test_what_is_no_server_time_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        SPOT.server_time(payload)
