"""Answers of real venues' APIs are read through ccxt without losing a digit, an entry or a reason."""

import dataclasses
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from contracts.errors import RetryableError, TerminalError
from sources import generic, kraken
from sources.endpoints import Endpoint
from sources.events import Accepted, Event
from sources.generic.client import Client, LimitedError, QuestionError
from sources.generic.question import Question

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "crypto_rest" / "nautechsystems+nautilus_trader"
FAST = {"rateLimit": 1}

Answer = str | web.Response | Callable[[Mapping[str, str]], Any]


@dataclass
class Site:
    """A venue's REST side on this machine: answers by path; whatever was asked is kept."""

    answers: dict[str, Answer]
    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    # Answers to every request while it is set.
    instead: Callable[[], web.Response] | None = None

    def endpoint(self, venue: str, *streams: str, **more: Any) -> Endpoint:
        url = f"http://127.0.0.1:{self.port}"
        quick = {"backoff_first_s": 0.02, "backoff_longest_s": 0.1, "rest_timeout_s": 5.0}
        return dataclasses.replace(generic.config.endpoint(venue), rest_url=url, streams=streams, **(quick | more))

    async def handle(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append((request.path, query))
        if self.instead is not None:
            return self.instead()
        answer = self.answers.get(request.path)
        if answer is None:
            return web.Response(status=404, text="not here")
        if callable(answer):
            answer = answer(query)
        if isinstance(answer, web.Response):
            return answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(text=text, content_type="application/json")


@asynccontextmanager
async def serving(answers: dict[str, Answer]) -> AsyncIterator[Site]:
    site = Site(answers)
    app = web.Application()
    app.router.add_get("/{path:.*}", site.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        tcp = web.TCPSite(runner, "127.0.0.1", 0)
        await tcp.start()
        site.port = runner.addresses[0][1]
        yield site
    finally:
        await runner.cleanup()


@asynccontextmanager
async def asking(site: Site, venue: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        client = Client(site.endpoint(venue), session, FAST)
        try:
            yield client
        finally:
            await client.close()


def recorded(name: str) -> str:
    path = RECORDED / f"crates__adapters__kraken__test_data__{name}"
    if not path.is_file():
        pytest.skip(f"the shared recordings are not on this machine: ../shared/data/crypto_rest, {name}")
    return path.read_text()


KRAKEN_PAIR = {
    "altname": "XBTUSDT", "wsname": "XBT/USDT", "base": "XXBT", "quote": "USDT", "pair_decimals": 1,
    "lot_decimals": 8, "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]], "leverage_buy": [], "ordermin": "0.00005",
    "costmin": "0.5", "tick_size": "0.1", "status": "online",
}  # fmt: skip
KRAKEN: dict[str, Answer] = {
    "/0/public/Assets": lambda _: {
        "error": [],
        "result": {"XXBT": {"altname": "XBT", "decimals": 10}, "USDT": {"altname": "USDT", "decimals": 8}},
    },
    "/0/public/AssetPairs": lambda _: {
        "error": [],
        "result": {
            "XBTUSDT": KRAKEN_PAIR,
            "ETHUSDT": KRAKEN_PAIR | {"base": "XETH", "altname": "ETHUSDT", "wsname": "ETH/USDT"},
        },
    },
}  # fmt: skip
COINBASE: dict[str, Answer] = {
    "/currencies": lambda _: [],
    "/products": lambda _: [
        {
            "id": "BTC-USDT", "base_currency": "BTC", "quote_currency": "USDT", "quote_increment": "0.01",
            "base_increment": "0.00000001", "min_market_funds": "1", "status": "online", "trading_disabled": False,
        }
    ],
}  # fmt: skip
BINANCE_SPOT = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "baseAssetPrecision": 8,
    "quotePrecision": 8, "permissions": ["SPOT"], "permissionSets": [["SPOT"]], "isSpotTradingAllowed": True,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.0", "stepSize": "0.00001000"},
    ],
}  # fmt: skip
BINANCE_SWAP = BINANCE_SPOT | {
    "contractType": "PERPETUAL", "marginAsset": "USDT", "status": "SETTLING", "deliveryDate": 4133404800000,
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    ],
}  # fmt: skip
BINANCE: dict[str, Answer] = {
    "/api/v3/exchangeInfo": lambda _: {"symbols": [BINANCE_SPOT]},
    "/fapi/v1/exchangeInfo": lambda _: {"symbols": [BINANCE_SWAP]},
    "/dapi/v1/exchangeInfo": lambda _: {"symbols": []},
}


def read(venue: str, question: Question, entries: list[Any], **about: object) -> list[Event]:
    return generic.venue(venue).parse("rest", orjson.dumps({**about, "entries": entries}), question.target)


def rows(events: list[Event]) -> list[dict[str, Any]]:
    refused = [event for event in events if not isinstance(event, Accepted)]
    assert not refused, refused[:3]
    return [event.row for event in events if isinstance(event, Accepted)]


async def test_recorded_kraken_trades_are_what_the_first_class_adapter_reads() -> None:
    text, question = recorded("http_trades.json"), Question("trades", "BTC/USDT", 1762795433000, 1000)
    async with serving({**KRAKEN, "/0/public/Trades": text}) as site, asking(site, "kraken") as client:
        entries = await client.ask(question)
        assert site.asked[-1][1] == {"pair": "XBTUSDT", "since": "1762795433", "count": "1000"}
    found = rows(read("kraken", question, entries))
    request = "/0/public/Trades?pair=XBT/USDT&since=1"
    first_class = rows(kraken.VENUE.parse("v2", text.encode(), request))
    assert len(found) == len(first_class) == 1000
    same = ("trade_id", "venue_sequence", "price", "quantity", "side", "trade_count")
    assert [[row[name] for name in same] for row in found] == [[row[name] for name in same] for row in first_class]
    # ccxt tells milliseconds, Kraken more.
    assert [row["event_time"] for row in found] == [row["event_time"] // 1000 * 1000 for row in first_class]
    assert {row["instrument"] for row in found} == {"BTC/USDT"}
    raw = json.loads(text, parse_float=str)["result"]["XBTUSDT"]
    assert [entry["info"][2] for entry in entries] == [entry[2] for entry in raw]


async def test_recorded_kraken_bars_are_all_final_but_the_last() -> None:
    text, question = recorded("http_ohlc.json"), Question("bars_1m", "BTC/USDT")
    async with serving({**KRAKEN, "/0/public/OHLC": text}) as site, asking(site, "kraken") as client:
        entries = await client.ask(question)
    found = rows(read("kraken", question, entries))
    raw = json.loads(text)["result"]["XBTUSDT"]
    assert len(found) == len(raw) == 721
    for row, told in zip(found, raw, strict=True):
        assert row["bar_time"] == row["venue_sequence"] == told[0] * 1_000_000
        assert [row[name] for name in ("open", "high", "low", "close")] == [Decimal(value) for value in told[1:5]]
        assert row["volume"] == Decimal(told[6])
    assert [entry[6] for entry in entries] == raw
    assert [row["state"] for row in found] == ["final"] * 720 + ["provisional"]
    assert len({(row["venue_sequence"], row["update_id"]) for row in found}) == 721


async def test_digits_that_a_float_would_lose_are_kept() -> None:
    # Coinbase sends bars as JSON numbers; 64-bit floats hold 17 digits of them.
    candles = "[[1700000040,100.10,123456789012.123456789012,0.000000000001,100.123456789012,98765432109.876543210987]]"
    question = Question("bars_1m", "BTC/USDT")
    answers: dict[str, Answer] = {**COINBASE, "/products/BTC-USDT/candles": candles}
    async with serving(answers) as site, asking(site, "coinbaseexchange") as client:
        entries = await client.ask(question)
    [row] = rows(read("coinbaseexchange", question, entries))
    told = ["0.000000000001", "123456789012.123456789012", "100.10", "100.123456789012", "98765432109.876543210987"]
    assert [row[name] for name in ("open", "high", "low", "close", "volume")] == [Decimal(text) for text in told]


async def test_the_side_is_the_aggressors_where_the_venue_tells_the_makers() -> None:
    trades = [
        {"trade_id": 7, "side": "sell", "size": "0.5", "price": "100.00", "time": "2023-11-14T22:14:00.123456Z"},
        {"trade_id": 8, "side": "buy", "size": "0.25", "price": "99.99", "time": "2023-11-14T22:14:01.5Z"},
    ]
    question = Question("trades", "BTC/USDT", 1700000000000)
    answers: dict[str, Answer] = {**COINBASE, "/products/BTC-USDT/trades": lambda _: trades[::-1]}
    async with serving(answers) as site, asking(site, "coinbaseexchange") as client:
        found = rows(read("coinbaseexchange", question, await client.ask(question)))
    assert [(row["trade_id"], row["side"]) for row in found] == [("7", "buy"), ("8", "sell")]
    assert found[0]["event_time"] == 1700000040123000


async def test_a_page_stays_whole_whatever_was_asked_for() -> None:
    listed = [
        {"a": n, "p": "1.0", "q": "1", "f": n, "l": n, "T": 1700000000000 + n, "m": n % 2 == 0} for n in range(10)
    ]
    question = Question("trades", "BTC/USDT", 1700000000005, 3)
    async with (
        serving({**BINANCE, "/api/v3/aggTrades": lambda _: listed}) as site,
        asking(site, "binance") as client,
    ):
        found = rows(read("binance", question, await client.ask(question)))
    assert [row["venue_sequence"] for row in found] == list(range(10))
    assert [row["side"] for row in found] == ["sell", "buy"] * 5


async def test_a_page_of_bars_stays_whole_too() -> None:
    told = [[1700000040 + 60 * n, 1, 2, 1.5, 1.25, 10] for n in range(5)]
    question = Question("bars_1m", "BTC/USDT", 1700000040000 + 180_000, 1)
    answers: dict[str, Answer] = {**COINBASE, "/products/BTC-USDT/candles": lambda _: told[::-1]}
    async with serving(answers) as site, asking(site, "coinbaseexchange") as client:
        entries = await client.ask(question)
    assert [entry[6] for entry in entries] == [[*bar[:3], "1.5", "1.25", 10] for bar in told]


async def test_bitstamp_gives_an_hour_whatever_was_asked_for() -> None:
    trades = [
        {"tid": "83581898", "date": "1700000041", "price": "35000.5", "amount": "0.85945907", "type": "1"},
        {"tid": "83581896", "date": "1700000040", "price": "35001", "amount": "11.34130961", "type": "0"},
    ]
    listed = {
        "name": "BTC/USDT", "description": "Bitcoin / Tether", "url_symbol": "btcusdt", "market_symbol": "btcusdt",
        "base_currency": "BTC",
        "counter_currency": "USDT", "base_decimals": 8, "counter_decimals": 2, "minimum_order_value": "10.00",
        "minimum_order": "10.00 USDT", "trading": "Enabled", "market_type": "SPOT",
    }  # fmt: skip
    question = Question("trades", "BTC/USDT", 1700000041000)
    answers: dict[str, Answer] = {
        "/api/v2/markets/": lambda _: [listed],
        "/api/v2/currencies/": lambda _: [],
        "/api/v2/transactions/btcusdt/": lambda _: trades,
    }
    async with serving(answers) as site, asking(site, "bitstamp") as client:
        found = rows(read("bitstamp", question, await client.ask(question)))
        events = read("bitstamp", Question("instruments"), await client.ask(Question("instruments")), precision_mode=4)
    assert [(row["venue_sequence"], row["side"], row["quantity"]) for row in found] == [
        (83581896, "buy", Decimal("11.34130961")),
        (83581898, "sell", Decimal("0.85945907")),
    ]
    [market] = rows(events)
    assert (market["price_step"], market["quantity_step"]) == (Decimal("0.01"), Decimal("0.00000001"))


async def test_instruments_have_steps_kinds_and_states() -> None:
    question = Question("instruments")
    async with serving({**BINANCE}) as site, asking(site, "binance") as client:
        markets = await client.ask(question)
        events = read("binance", question, markets, precision_mode=client.precision_mode)
    found = {row["instrument"]: row for row in rows(events)}
    assert found["BTC/USDT"] == {
        "venue": "binance", "instrument": "BTC/USDT", "id_space": "instruments", "symbol": "BTCUSDT", "kind": "spot",
        "base": "BTC", "quote": "USDT", "price_step": Decimal("0.01"), "quantity_step": Decimal("0.00001"),
        "quantity_least": Decimal("0.00001"), "state": "trading",
    }  # fmt: skip
    swap = found["BTC/USDT:USDT"]
    assert (swap["kind"], swap["price_step"], swap["state"]) == ("perpetual", Decimal("0.1"), "halted")


def failing(status: int, text: str = "no", **headers: str) -> Callable[[], web.Response]:
    return lambda: web.Response(status=status, text=text, headers=headers)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, RetryableError), (500, RetryableError), (504, RetryableError), (429, LimitedError), (418, LimitedError),
     (400, QuestionError), (404, QuestionError), (401, TerminalError)],
)  # fmt: skip
async def test_what_a_status_means(status: int, kind: type[Exception]) -> None:
    async with serving({**KRAKEN}) as site, asking(site, "kraken") as client:
        await client.ask(Question("instruments"))
        site.instead = failing(status, **{"Retry-After": "7"})
        with pytest.raises(kind) as caught:
            await client.ask(Question("trades", "BTC/USDT"))
    assert type(caught.value) is kind
    if isinstance(caught.value, LimitedError):
        assert caught.value.pause_s == 7.0


async def test_a_symbol_that_is_not_listed_is_refused_for_good() -> None:
    async with serving({**KRAKEN}) as site, asking(site, "kraken") as client:
        with pytest.raises(TerminalError, match="BTC/XYZ"):
            await client.ask(Question("trades", "BTC/XYZ"))


@pytest.mark.parametrize("venue", ["bitflyer", "coinone"])
async def test_bars_that_ccxt_would_make_of_trades_are_refused(venue: str) -> None:
    async with serving({}) as site, asking(site, venue) as client:
        with pytest.raises(TerminalError, match="bars"):
            await client.ask(Question("bars_1m", "BTC/JPY"))
        assert site.asked == []


@pytest.mark.parametrize("body", ['{"error":[],"result":{"XBTUSDT":[7]}}', "<html>We are back soon</html>"])
async def test_an_answer_that_ccxt_cannot_read_is_handed_over_as_it_came(body: str) -> None:
    async with serving({**KRAKEN, "/0/public/Trades": body}) as site, asking(site, "kraken") as client:
        with pytest.raises(QuestionError) as caught:
            await client.ask(Question("trades", "BTC/USDT"))
    assert caught.value.body == body.encode()


async def test_an_answer_without_trades_is_empty() -> None:
    body = '{"error":[],"result":{"XBTUSDT":[],"last":"1"}}'
    async with serving({**KRAKEN, "/0/public/Trades": body}) as site, asking(site, "kraken") as client:
        assert await client.ask(Question("trades", "BTC/USDT")) == []
