"""A connection hears everything, notices when it is dead, and comes back."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import orjson

from sources.binance.client import BinanceDialect
from sources.connection import Connection
from sources.endpoints import Endpoint
from sources.tape_file import TapeRecord
from sources.venues import venue
from tests.sources.conftest import Replay, WriteTape, until


class Shelf:
    """A sink that keeps what it is given, and can be full."""

    def __init__(self) -> None:
        self.records: list[TapeRecord] = []
        self.limit = 10**9
        self.freed = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self.records) >= self.limit

    async def room(self) -> None:
        await self.freed.wait()

    def accept(self, record: TapeRecord) -> None:
        self.records.append(record)

    def payloads(self) -> list[bytes]:
        return [r.payload for r in self.records if b'"result"' not in r.payload]


@asynccontextmanager
async def connection(replay: Replay, endpoint: Endpoint, shelf: Shelf) -> AsyncIterator[Connection]:
    made = Connection(endpoint, endpoint.streams, venue("binance").dialects[endpoint.name], shelf, replay.session)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def live(made: Connection) -> None:
    async def is_live() -> bool:
        return made.heard.state == "live"

    await until("the connection is live", is_live)


async def heard(shelf: Shelf, count: int) -> None:
    async def enough() -> bool:
        return len(shelf.payloads()) >= count

    await until(f"{count} payloads", enough)


async def again(made: Connection, reconnects: int) -> None:
    async def is_back() -> bool:
        return made.heard.reconnects >= reconnects and made.heard.state == "live"

    await until(f"{reconnects} reconnects", is_back)


async def test_payloads_are_numbered_without_holes_and_times_never_step_back(
    replay: Replay, write_tape: WriteTape, make_trade: Callable[..., bytes]
) -> None:
    trades, shelf = [make_trade(n) for n in range(1000)], Shelf()
    async with connection(replay, replay.endpoint(), shelf):
        await replay.play(write_tape(trades))
        await heard(shelf, 1000)
    assert shelf.payloads() == trades
    assert [r.message_number for r in shelf.records] == list(range(1, 1002))  # the reply to SUBSCRIBE is the first
    assert len({r.connection_id for r in shelf.records}) == 1
    times = [r.received_time for r in shelf.records]
    assert times == sorted(times)


async def test_any_frame_reaches_the_sink_byte_for_byte(replay: Replay) -> None:
    frames, shelf = [b"\xff\xfe\x00", b"{cut", b"", b"x" * 5_000_000, b"null"], Shelf()
    async with connection(replay, replay.endpoint(), shelf) as made:
        await live(made)
        for frame in frames:
            assert await replay.inject(frame) == 1
        await heard(shelf, len(frames))
        assert made.heard.reconnects == 0
    assert shelf.payloads() == frames


async def test_cut_connection_comes_back_under_a_new_id(
    replay: Replay, write_tape: WriteTape, make_trade: Callable[..., bytes]
) -> None:
    trades, shelf = [make_trade(n) for n in range(300)], Shelf()
    async with connection(replay, replay.endpoint(), shelf) as made:
        await live(made)
        await replay.post("/faults", endpoint="binance/spot", kind="disconnect", after=100)
        await replay.play(write_tape(trades), speed=0.5)
        await again(made, 1)
        await replay.played()
        await heard(shelf, 101)
    ids = [r.connection_id for r in shelf.records]
    assert len(set(ids)) == 2
    second = [r for r in shelf.records if r.connection_id == ids[-1]]
    assert [r.message_number for r in second] == list(range(1, len(second) + 1))
    numbers = [orjson.loads(p)["data"]["t"] for p in shelf.payloads()]
    assert numbers == sorted(set(numbers))


async def test_refused_connection_is_tried_again_until_it_is_taken(replay: Replay) -> None:
    shelf = Shelf()
    await replay.post("/faults", endpoint="binance/spot", kind="refuse", count=4)
    async with connection(replay, replay.endpoint(), shelf) as made:
        await live(made)
        assert made.heard.reconnects == 4
        assert "503" in made.heard.last_error


async def test_stalled_connection_is_given_up_after_the_heartbeat(replay: Replay) -> None:
    shelf = Shelf()
    async with connection(replay, replay.endpoint(heartbeat_s=0.6), shelf) as made:
        await live(made)
        await replay.post("/faults", endpoint="binance/spot", kind="stall", seconds=60)
        await again(made, 1)
        assert "neither message nor ping for 0.6 s" in made.heard.last_error


async def test_pings_alone_keep_a_silent_connection(replay: Replay) -> None:
    shelf = Shelf()
    async with connection(replay, replay.endpoint(heartbeat_s=0.6), shelf) as made:
        await live(made)
        end = asyncio.get_running_loop().time() + 1.5

        async def waited() -> bool:
            return asyncio.get_running_loop().time() > end

        await until("two and a half heartbeats have passed", waited)
        assert made.heard.reconnects == 0


async def test_unanswered_subscription_is_given_up(replay: Replay) -> None:
    class Deaf(BinanceDialect):
        """Hears no answer."""

        def reply(self, payload: bytes, asked: Mapping[int, tuple[str, ...]]) -> None:
            del payload, asked

    endpoint = replay.endpoint(confirm_s=0.3)
    made = Connection(endpoint, endpoint.streams, Deaf("spot"), Shelf(), replay.session)
    task = asyncio.create_task(made.run())

    async def gave_up() -> bool:
        return "no answer to the subscription" in made.heard.last_error

    await until("the subscription is given up", gave_up)
    task.cancel()


async def test_refused_subscription_says_why(replay: Replay) -> None:
    class Mumbling(BinanceDialect):
        """Asks for what the venue does not know."""

        def subscribe(self, streams: tuple[str, ...], request: int) -> list[str]:
            return [orjson.dumps({"method": "SING", "params": streams, "id": request}).decode()]

    endpoint = replay.endpoint()
    made = Connection(endpoint, endpoint.streams, Mumbling("spot"), Shelf(), replay.session)
    task = asyncio.create_task(made.run())

    async def refused() -> bool:
        return "refused the subscription" in made.heard.last_error

    await until("the refusal is heard", refused)
    task.cancel()


async def test_full_sink_stops_the_reading_and_loses_nothing(
    replay: Replay, write_tape: WriteTape, make_trade: Callable[..., bytes]
) -> None:
    # More than the sockets' buffers hold between them: the server feels that nobody reads.
    trades, shelf = [make_trade(n) + b" " * 20_000 for n in range(2000)], Shelf()
    shelf.limit = 50
    async with connection(replay, replay.endpoint(heartbeat_s=0.5), shelf) as made:
        await replay.play(write_tape(trades))
        await heard(shelf, 49)
        status = await replay.get("/status")
        end = asyncio.get_running_loop().time() + 1.2  # longer than the heartbeat

        async def waited() -> bool:
            return asyncio.get_running_loop().time() > end

        await until("the sink was full for a while", waited)
        assert len(shelf.records) == 50
        status = await replay.get("/status")
        assert status["state"] == "playing"
        assert status["sent"] < 2000
        assert made.heard.reconnects == 0
        shelf.limit = 10**9
        shelf.freed.set()
        await heard(shelf, 2000)
    assert shelf.payloads() == trades


def test_many_streams_are_shared_out_over_connections() -> None:
    endpoint = Endpoint("binance", "spot", "ws://x", "http://x", tuple(f"s{n}@trade" for n in range(450)))
    assert [len(part) for part in endpoint.connections()] == [200, 200, 50]
    assert sum(endpoint.connections(), ()) == endpoint.streams
    assert dataclasses.replace(endpoint, streams=()).connections() == ()
