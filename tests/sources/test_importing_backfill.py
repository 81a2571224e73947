"""A span of a venue's past is asked for page by page, from either end, and is whole wherever asking begins again."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from contracts.errors import TerminalError
from sources.events import Accepted
from sources.importing.backfill import Asker, Span, endpoint_of, span_of
from sources.importing.ccxt_backfill import CcxtAsker
from sources.importing.parse import parse
from sources.importing.run import Sendable
from tests.sources.test_generic_client import KRAKEN

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "crypto_rest" / "nautechsystems+nautilus_trader"
START = datetime(2024, 5, 6, tzinfo=UTC)
SECOND, MINUTE = 1_000_000, 60_000_000
Answer = Callable[[str, Mapping[str, str]], Any]


@asynccontextmanager
async def venue_side(answer: Answer) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve a venue's REST side; gives its address, and what was asked."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        told = answer(request.path, dict(request.query))
        text = told if isinstance(told, str) else json.dumps(told)
        return web.Response(text=text, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def rows(pages: list[Sendable]) -> list[dict[str, Any]]:
    events = [event for page in pages for event in parse(page.endpoint, page.payload, page.request)]
    return [event.row for event in events if isinstance(event, Accepted)]


async def brought(span: Span, url: str, cursor: int = 0, at_most: int = 1000) -> list[Sendable]:
    """Ask for a span from a cursor on, as an import that goes on would."""
    endpoint = replace(endpoint_of(span, url, ""), rest_weight_a_minute=1e6)
    found: list[Sendable] = []
    async with aiohttp.ClientSession() as session:
        async for page in Asker(span, endpoint, session).payloads(replace(span.record, cursor=cursor)):
            found.append(page)
            if len(found) == at_most:
                break
    return found


def span(venue: str, instrument: str, minutes: int = 60, *, endpoint: str = "", bars: bool = False) -> Span:
    end = datetime.fromtimestamp(START.timestamp() + minutes * 60, UTC)
    return span_of(venue, endpoint, instrument, START, end, bars=bars)


def micros(second: float) -> int:
    return int(START.timestamp() * SECOND) + int(second * SECOND)


def binance(_: str, query: Mapping[str, str]) -> Any:
    trades: list[dict[str, Any]] = [
        {"a": n, "p": "1.5", "q": "2", "f": n, "l": n, "T": micros(n) // 1000, "m": n % 2 == 0} for n in range(3300)
    ]
    if "fromId" in query:
        return [one for one in trades if one["a"] >= int(query["fromId"])][:1000]
    return [one for one in trades if one["T"] >= int(query["startTime"])][:1000]


def coinbase(_: str, query: Mapping[str, str]) -> Any:
    before = int(query.get("after", 3001))
    ids = range(before - 1, max(before - 1 - int(query["limit"]), 0), -1)
    return [
        {"trade_id": n, "side": "buy", "size": "1", "price": "2",
         "time": datetime.fromtimestamp(START.timestamp() + n, UTC).isoformat().replace("+00:00", "Z")}
        for n in ids
    ]  # fmt: skip


def candles(_: str, query: Mapping[str, str]) -> Any:
    first, last = (int(datetime.fromisoformat(query[name]).timestamp()) for name in ("start", "end"))
    # Half an hour in the middle without a trade, longer than nothing, and newest first.
    minutes = [t for t in range(first, last + 1, 60) if not 1800 <= t - START.timestamp() < 24_000]
    return [[t, 1, 3, 2, 2, 5] for t in reversed(minutes)]


@pytest.mark.parametrize(
    ("asked", "answer", "ids"),
    [
        (span("binance", "BTCUSDT"), binance, range(3300)),
        (span("coinbase", "BTC-USD", endpoint="exchange"), coinbase, range(1, 3001)),
    ],
    ids=["forward", "backward"],
)
async def test_all_trades_of_a_span_come_in_pages_and_the_rest_of_them_after_a_break(
    asked: Span, answer: Answer, ids: range
) -> None:
    async with venue_side(answer) as (url, _):
        whole = await brought(asked, url)
        begun = await brought(asked, url, at_most=2)
        rest = await brought(asked, url, cursor=begun[-1].cursor)
    assert sorted({row["venue_sequence"] for row in rows(whole)}) == list(ids)
    assert {row["venue_sequence"] for row in rows(begun + rest)} == set(ids)
    assert len(rest) < len(whole)
    assert {row["venue"] for row in rows(whole)} == {asked.venue}


async def test_bars_come_across_a_stretch_without_trades() -> None:
    asked = span("coinbase", "BTC-USD", 900, endpoint="exchange", bars=True)
    async with venue_side(candles) as (url, requests):
        found = rows(await brought(asked, url))
    starts = {row["bar_time"] for row in found}
    wanted = {micros(m * 60) for m in range(900) if not 1800 <= m * 60 < 24_000}
    assert wanted <= starts
    assert len(requests) == 3


async def test_recorded_kraken_trades_are_all_there_and_only_once_by_their_ids() -> None:
    path = RECORDED / "crates__adapters__kraken__test_data__http_trades.json"
    if not path.is_file():
        pytest.skip("the shared recordings are not on this machine: ../shared/data/crypto_rest")
    recorded = json.loads(path.read_text())["result"]["XBTUSDT"]

    def kraken(_: str, query: Mapping[str, str]) -> Any:
        page = [one for one in recorded if one[2] * 1e9 > int(query["since"])][:150]
        return {"error": [], "result": {"XBTUSDT": page, "last": "0"}}

    times = [datetime.fromtimestamp(recorded[at][2], UTC) for at in (0, -1)]
    asked = span_of("kraken", "", "BTC/USDT", times[0].replace(microsecond=0), times[1], bars=False)
    async with venue_side(kraken) as (url, _):
        found = rows(await brought(asked, url))
    first_last = (recorded[0][6], recorded[-1][6])
    # The end is cut to whole seconds: trades of the last one may come or not.
    ids = {row["venue_sequence"] for row in found}
    assert ids >= {one[6] for one in recorded if one[2] < asked.to_time / 1e6}
    assert (min(ids), len(ids)) == (first_last[0], max(ids) - first_last[0] + 1)
    assert {(row["id_space"], row["instrument"]) for row in found} == {("spot.trade", "BTC/USDT")}


async def test_through_ccxt_any_venue_s_trades_come_page_by_page() -> None:
    made = [["1.5", "0.1", micros(n) / 1e6, "b", "l", "", 1000 + n] for n in range(400)]

    def kraken(path: str, query: Mapping[str, str]) -> Any:
        if path in KRAKEN:
            return KRAKEN[path](query)  # type: ignore[operator]
        page = [one for one in made if one[2] >= int(query["since"])][:100]  # type: ignore[operator]
        return {"error": [], "result": {"XBTUSDT": page, "last": "0"}}

    asked = Span("kraken", "rest", "BTC/USDT", False, micros(0), micros(350))
    async with venue_side(kraken) as (url, _), aiohttp.ClientSession() as session:
        pages = [page async for page in CcxtAsker(asked, url, session).payloads(asked.record)]
    ids = [row["venue_sequence"] for row in rows(pages)]
    assert set(ids) >= set(range(1000, 1350))
    assert len(ids) == len(set(ids))
    assert len(pages) >= 4


@pytest.mark.parametrize(
    ("venue", "endpoint", "first", "says"),
    [
        ("okx", "", START, "ccxt"),
        ("binance", "v2", START, "spot, usdm"),
        ("binance", "", datetime(2030, 1, 1, tzinfo=UTC), "no span"),
    ],
)
def test_what_can_t_be_asked_says_what_can(venue: str, endpoint: str, first: datetime, says: str) -> None:
    with pytest.raises(TerminalError, match=says):
        span_of(venue, endpoint, "X", first, datetime(2024, 5, 7, tzinfo=UTC), bars=False)


async def test_a_refusal_ends_the_import_and_names_what_was_asked() -> None:
    async with venue_side(lambda _, __: {"error": ["EQuery:Unknown asset pair"]}) as (url, _):
        with pytest.raises(TerminalError, match="Trades"):
            await brought(span("kraken", "NO/NO"), url)
