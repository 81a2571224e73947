"""A polled venue's tape is whole, its faults are waited out, and what it does not give harms nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from contracts.errors import TerminalError
from sources import generic
from sources.events import Accepted, Event, Rejected
from sources.generic.config import Manners
from sources.generic.poller import Poller
from sources.placing import placed
from sources.tape_file import TapeRecord
from tests.sources.conftest import until
from tests.sources.test_generic_client import FAST, KRAKEN, Answer, Site, failing, recorded, serving

QUICK = {"trades": 0.005, "bars_1m": 0.01, "instruments": 60.0}


@dataclass
class Shelf:
    """A sink that keeps what it is given, and can be full."""

    records: list[TapeRecord] = field(default_factory=list)
    limit: int = 10**9
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def full(self) -> bool:
        return len(self.records) >= self.limit

    async def room(self) -> None:
        await self.freed.wait()

    def accept(self, record: TapeRecord) -> None:
        self.records.append(record)

    def events(self, kind: str) -> list[Event]:
        parse = generic.venue("kraken").parse
        taken = [record for record in self.records if record.request.startswith(kind)]
        return [event for record in taken for event in parse("rest", record.payload, record.request)]

    def ends_with(self, trade_id: int) -> bool:
        return [row["venue_sequence"] for row in self.rows("trades")[-1:]] == [trade_id]

    def rows(self, kind: str) -> list[dict[str, Any]]:
        return [event.row for event in self.events(kind) if isinstance(event, Accepted)]


class Clock:
    """A clock that the test sets; nanoseconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self) -> int:
        return int(self.seconds * 1_000_000_000)


@asynccontextmanager
async def polling(
    site: Site, shelf: Shelf, *streams: str, clock: Callable[[], int] | None = None, **more: Any
) -> AsyncIterator[Poller]:
    values: dict[str, Any] = {"periods_s": QUICK, "ccxt": FAST, "failures": 3, "rest_s": 0.3, "longest_s": 0.05}
    manners = Manners(**(values | more))
    endpoint = site.endpoint("kraken", *streams)
    async with aiohttp.ClientSession() as session:
        poller = Poller(endpoint, streams, shelf, session, manners, **({"now": clock} if clock else {}))
        task = asyncio.create_task(poller.run())

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        try:
            yield poller
            if task.done():
                task.result()
        finally:
            await end()
        assert not session.closed


async def holds(what: str, claim: Callable[[], bool]) -> None:
    async def asked() -> bool:
        return claim()

    await until(what, asked)


class Kraken:
    """Kraken's trades as recorded, up to the clock's time, given out as Kraken does: since a second, oldest first."""

    def __init__(self, clock: Clock, page: int) -> None:
        self.clock, self.page = clock, page
        self.recording = json.loads(recorded("http_trades.json"), parse_float=str)["result"]["XBTUSDT"]

    def __call__(self, query: Mapping[str, str]) -> Any:
        listed = [trade for trade in self.recording if float(trade[2]) <= self.clock.seconds]
        if "since" in query:
            listed = [trade for trade in listed if float(trade[2]) >= float(query["since"])][: self.page]
        else:
            listed = listed[-self.page :]
        return {"error": [], "result": {"XBTUSDT": listed, "last": "1762820035982277754"}}


async def test_recorded_trades_are_followed_page_by_page_without_loss_or_repeat() -> None:
    clock = Clock(1762800000.0)
    venue = Kraken(clock, 130)
    shelf = Shelf()
    async with serving({**KRAKEN, "/0/public/Trades": venue}) as site:
        async with polling(site, shelf, "trades:BTC/USDT", clock=clock) as poller:
            await holds("the first page", lambda: len(shelf.rows("trades")) == 130)
            for seconds in (1762800100.0, 1762805000.0, 1762805001.0, 1762820100.0):
                clock.seconds = seconds
                last = [trade[6] for trade in venue.recording if float(trade[2]) <= seconds][-1]
                await holds(f"trades until {seconds}", partial(shelf.ends_with, last))
            assert (poller.polled.apart, poller.polled.stuck, poller.heard.state) == (0, 0, "live")
        since = [int(query["since"]) for path, query in site.asked if path.endswith("Trades") and "since" in query]
    found = [row["venue_sequence"] for row in shelf.rows("trades")]
    assert found == list(range(found[0], 10219207 + 1))
    assert since == sorted(since)


async def test_more_in_a_second_than_a_page_holds_is_said_and_passed() -> None:
    # 122 trades are recorded within one second, and ccxt asks Kraken by whole seconds.
    clock = Clock(1762815000.0)
    venue = Kraken(clock, 60)

    class Leaping(Shelf):
        """Time leaps when a page has been taken, never while one is on its way."""

        def accept(self, record: TapeRecord) -> None:
            super().accept(record)
            clock.seconds = 1762820100.0

    shelf = Leaping()
    async with (
        serving({**KRAKEN, "/0/public/Trades": venue}) as site,
        polling(site, shelf, "trades:BTC/USDT", clock=clock) as poller,
    ):
        await holds("all that follow", partial(shelf.ends_with, 10219207))
        assert poller.polled.stuck > 0
    found = {row["venue_sequence"] for row in shelf.rows("trades")}
    missing = [trade for trade in venue.recording if trade[6] > min(found) and trade[6] not in found]
    assert {int(float(trade[2])) for trade in missing} == {1762815814}


async def test_the_tape_is_numbered_and_holds_what_the_venue_sent() -> None:
    clock = Clock(1762820100.0)
    shelf = Shelf()
    answers: dict[str, Answer] = {
        **KRAKEN,
        "/0/public/Trades": Kraken(clock, 1000),
        "/0/public/OHLC": recorded("http_ohlc.json"),
    }
    async with (
        serving(answers) as site,
        polling(site, shelf, "trades:BTC/USDT", "bars_1m:BTC/USDT", "instruments", clock=clock),
    ):
        await holds("each of them twice", lambda: len(shelf.records) >= 6)
    assert [record.message_number for record in shelf.records] == list(range(1, len(shelf.records) + 1))
    assert len({record.connection_id for record in shelf.records}) == 1
    assert {record.endpoint for record in shelf.records} == {"rest"}
    trades = next(record for record in shelf.records if record.request.startswith("trades"))
    assert trades.request == "trades?symbol=BTC/USDT&limit=1000"
    answer = orjson.loads(trades.payload)
    assert answer["entries"][0]["info"] == ["105433.60000", "0.00027625", "1762795433.9717445", "b", "l", "", 10218208]
    assert len(shelf.rows("trades")) == 1000
    assert len(shelf.rows("bars_1m")) == 721
    assert {row["instrument"] for row in shelf.rows("instruments")} == {"BTC/USDT", "ETH/USDT"}
    # What is told again is left out, and that it was is written down.
    again = [record for record in shelf.records if record.request.startswith("trades")][1]
    assert orjson.loads(again.payload)["entries"] == []
    assert orjson.loads(again.payload)["repeated"] == 1


async def test_every_row_has_a_place_and_times_of_receipt_do_not_step_back() -> None:
    clock = Clock(1762820100.0)
    shelf = Shelf()
    async with (
        serving({**KRAKEN, "/0/public/Trades": Kraken(clock, 1000)}) as site,
        polling(site, shelf, "trades:BTC/USDT", "instruments", clock=clock),
    ):
        await holds("an answer", lambda: len(shelf.records) >= 3)
        clock.seconds -= 60
        seen = len(shelf.records)
        await holds("answers after the clock stepped back", lambda: len(shelf.records) > seen + 2)
    times = [record.received_time for record in shelf.records]
    assert times == sorted(times)
    parse = generic.venue("kraken").parse
    for record in shelf.records:
        for index, event in enumerate(parse("rest", record.payload, record.request)):
            if isinstance(event, Accepted):
                assert {"venue_sequence", "event_time", "message_index"} <= placed(event, record, index).keys()


async def test_a_venue_that_fails_is_waited_for_and_then_followed_on() -> None:
    clock = Clock(1762800000.0)
    shelf = Shelf()
    async with (
        serving({**KRAKEN, "/0/public/Trades": Kraken(clock, 1000)}) as site,
        polling(site, shelf, "trades:BTC/USDT", clock=clock) as poller,
    ):
        await holds("the first page", lambda: bool(shelf.rows("trades")))
        site.instead = failing(503)
        await holds("it waits", lambda: poller.heard.state == "waiting")
        clock.seconds = 1762801000.0
        assert "503" in poller.heard.last_error
        site.instead = None
        await holds("it is live again", lambda: poller.heard.state == "live")
        await holds("more trades", lambda: shelf.rows("trades")[-1]["event_time"] > 1762800900_000_000)
        assert poller.heard.reconnects > 0
    found = [row["venue_sequence"] for row in shelf.rows("trades")]
    assert found == list(range(found[0], found[-1] + 1))


async def test_after_failures_in_a_row_nobody_asks_for_a_while() -> None:
    async with serving({**KRAKEN}) as site:
        site.instead = failing(503)
        async with polling(site, Shelf(), "trades:BTC/USDT", rest_s=30.0) as poller:
            await holds("it is left alone", lambda: "left alone" in poller.heard.last_error)
            asked = len(site.asked)
            assert poller.polled.errors == {"RetryableError": 3, "RestingError": 1}
            await asyncio.sleep(0.5)  # five times the longest pause between tries
            assert len(site.asked) == asked


async def test_a_venue_that_wants_less_is_not_taken_for_broken() -> None:
    clock = Clock(1762800000.0)
    shelf = Shelf()
    async with serving({**KRAKEN, "/0/public/Trades": Kraken(clock, 1000)}) as site:
        site.instead = failing(429)
        async with polling(site, shelf, "trades:BTC/USDT", rest_s=30.0, clock=clock) as poller:
            await holds("more refusals than open the circuit", lambda: poller.polled.errors.get("LimitedError", 0) > 5)
            site.instead = None
            await holds("trades", lambda: bool(shelf.rows("trades")))


async def test_the_pause_that_the_venue_asks_for_is_kept() -> None:
    async with serving({**KRAKEN}) as site:
        site.instead = failing(429, **{"Retry-After": "20"})
        async with polling(site, Shelf(), "trades:BTC/USDT") as poller:
            await holds("it waits", lambda: poller.heard.state == "waiting")
            asked = len(site.asked)
            await asyncio.sleep(0.3)
            assert len(site.asked) == asked


async def test_a_refused_stream_does_not_harm_the_others() -> None:
    clock = Clock(1762800000.0)
    shelf = Shelf()
    async with (
        serving({**KRAKEN, "/0/public/Trades": Kraken(clock, 1000)}) as site,
        polling(site, shelf, "trades:BTC/XYZ", "trades:BTC/USDT", clock=clock) as poller,
    ):
        await holds("answers of the other", lambda: len(shelf.records) > 2)
        assert list(poller.heard.refused) == ["trades:BTC/XYZ"]
        assert "BTC/XYZ" in poller.heard.refused["trades:BTC/XYZ"]


async def test_a_venue_that_gives_nothing_asked_for_ends_the_poller() -> None:
    async with serving({**KRAKEN}) as site:
        with pytest.raises(TerminalError, match="kraken gives none of the streams"):
            async with polling(site, Shelf(), "trades:BTC/XYZ", "bars_1m:BTC/XYZ") as poller:
                await holds("it has ended", lambda: poller.heard.state == "ended")


async def test_shorter_pages_are_asked_for_where_long_ones_are_refused() -> None:
    clock = Clock(1762800000.0)
    kraken = Kraken(clock, 1000)

    def picky(query: Mapping[str, str]) -> Any:
        if int(query.get("count", "1")) > 100:
            return web.Response(status=400, text="count is too large")
        return kraken(query)

    shelf = Shelf()
    async with serving({**KRAKEN, "/0/public/Trades": picky}) as site:
        async with polling(site, shelf, "trades:BTC/USDT", clock=clock):
            await holds("answers", lambda: len(shelf.records) > 2)
        counts = [query["count"] for path, query in site.asked if path.endswith("Trades")]
    assert counts[:4] == ["1000", "500", "100", "100"]


async def test_what_ccxt_cannot_read_is_on_the_tape_as_it_came() -> None:
    shelf = Shelf()
    body = '{"error":[],"result":{"XBTUSDT":[7]}}'
    async with (
        serving({**KRAKEN, "/0/public/Trades": body}) as site,
        polling(site, shelf, "trades:BTC/USDT") as poller,
    ):
        await holds("it is on the tape", lambda: bool(shelf.records))
        assert poller.polled.unread == len(shelf.records)
    assert shelf.records[0].payload == body.encode()
    assert shelf.records[0].request == "unread/trades?symbol=BTC/USDT&limit=1000"
    assert all(isinstance(event, Rejected) for event in shelf.events("unread"))


async def test_a_full_sink_stops_the_asking() -> None:
    clock = Clock(1762800000.0)
    shelf = Shelf(limit=3)
    async with (
        serving({**KRAKEN, "/0/public/Trades": Kraken(clock, 1000)}) as site,
        polling(site, shelf, "trades:BTC/USDT", clock=clock),
    ):
        await holds("the sink is full", lambda: len(shelf.records) == 3)
        asked = len(site.asked)
        await asyncio.sleep(0.2)
        assert (len(shelf.records), len(site.asked)) == (3, asked)
        shelf.limit = 10**9
        shelf.freed.set()
        await holds("it goes on", lambda: len(shelf.records) > 5)
