"""The replay server, the collector and what Kafka holds, for the tests of this room."""

import asyncio
import base64
import contextlib
import json
import shutil
import socket
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contracts.errors import TapehouseError
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE, tape_topic
from contracts.trades import TRADES
from deploy import stack
from orchestration.settings import REPOSITORY, USUAL_PORTS, Settings
from orchestration.values import stack_settings
from sources.binance.config import SPOT, USDM
from sources.collector.main import CollectorSettings, run
from sources.collector.wire import EVENT_DATASETS, report_topics, topic_of, topics_of
from sources.demo import TAPES
from sources.endpoints import Endpoint
from sources.events import Ignored
from sources.replay import main as replay_main
from sources.tape_file import TapeRecord, TapeWriter
from sources.venues import venue
from stores.broker import end_offsets, ensure_topics, read_ranges
from stores.records import RecordDecoder
from stores.settings import BrokerSettings, RegistrySettings

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "crypto_ws"


@dataclass(frozen=True)
class Platform:
    """A Kafka and a registry of these tests alone: they delete topics, and no other collector may refill them."""

    settings: Settings

    @property
    def broker(self) -> BrokerSettings:
        return self.settings.broker

    @property
    def registry(self) -> RegistrySettings:
        return self.settings.registry

    def kill_kafka(self) -> None:
        """Kill the broker as a crash would; its supervisor starts it again."""
        stack.kill(stack_settings(self.settings), "kafka")


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Kafka and the registry, on ports and data of their own."""
    jars = REPOSITORY / ".venv" / "jars"
    if not (jars / "kafka").is_dir():
        pytest.fail("the JVM jars are missing: make setup")
    # A short path: the supervisor's socket lies below it, and sockets' paths end at 107 characters.
    data = Path(tempfile.mkdtemp(prefix="tapehouse-"))
    running = Platform(Settings(data_dir=data, jars_dir=jars, port_offset=_free_offset()))
    try:
        stack.up(stack_settings(running.settings), only={"kafka", "registry"})
        yield running
    finally:
        stack.down(stack_settings(running.settings))
        shutil.rmtree(data, ignore_errors=True)


def _free_offset() -> int:
    """Find an offset at which every port is free, below those that the system hands out to connections."""
    for offset in range(21_000, 29_000, 100):
        with contextlib.ExitStack() as probes:
            try:
                for port in USUAL_PORTS.values():
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return offset
    pytest.fail("no free ports between 21,000 and 38,000")


async def until(what: str, claim: Callable[[], Awaitable[bool]], deadline_s: float = 30.0) -> None:
    """Ask until the claim holds."""
    end = time.monotonic() + deadline_s
    while not await claim():
        if time.monotonic() > end:
            pytest.fail(f"not within {deadline_s:.0f} s: {what}")
        await asyncio.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Replay:
    """A replay server within the test's own loop, and its control API."""

    port: int
    session: aiohttp.ClientSession

    def endpoint(self, name: str = "spot", streams: Sequence[str] = ("btcusdt@trade",), **more: Any) -> Endpoint:
        """Return an endpoint on this server that loses patience quickly."""
        base = {"spot": SPOT, "usdm": USDM}[name]
        values: dict[str, Any] = {
            "venue": base.venue,
            "name": name,
            "base_url": f"ws://127.0.0.1:{self.port}/binance/{name}",
            "rest_url": f"http://127.0.0.1:{self.port}/binance/{name}/rest",
            "rest_weight_a_minute": 60_000.0,
            "streams": tuple(streams),
            "heartbeat_s": 20.0,
            "confirm_s": 5.0,
            "backoff_first_s": 0.02,
            "backoff_longest_s": 0.1,
        }
        return Endpoint(**(values | more))

    async def get(self, path: str) -> dict[str, Any]:
        async with self.session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def post(self, path: str, **asked: Any) -> dict[str, Any]:
        async with self.session.post(f"http://127.0.0.1:{self.port}{path}", json=asked) as answer:
            text = await answer.text()
            assert answer.status == 200, text
            found: dict[str, Any] = json.loads(text)
            return found

    async def play(self, *tapes: Path, speed: float | str = "max", **more: Any) -> None:
        await self.post("/play", tapes=[str(tape) for tape in tapes], speed=speed, **more)

    async def played(self, deadline_s: float = 60.0) -> dict[str, Any]:
        """Wait for the end of the play and return the status."""

        async def finished() -> bool:
            return bool((await self.get("/status"))["state"] == "finished")

        await until("the play is finished", finished, deadline_s)
        return await self.get("/status")

    async def inject(self, payload: bytes, endpoint: str = "binance/spot", **more: Any) -> int:
        encoded = base64.b64encode(payload).decode()
        answer = await self.post("/inject", endpoint=endpoint, payload_base64=encoded, **more)
        return int(answer["reached"])

    async def subscribed(self, count: int = 1, endpoint: str = "binance/spot") -> None:
        """Wait for that many subscribed connections."""

        async def enough() -> bool:
            told = (await self.get("/status"))["connections"]
            return bool(sum(c["endpoint"] == endpoint and bool(c["streams"]) for c in told) == count)

        await until(f"{count} connections subscribed", enough)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def replay(session: aiohttp.ClientSession) -> AsyncIterator[Replay]:
    stop, port = asyncio.Event(), free_port()
    serving = asyncio.create_task(replay_main.run(port, [TAPES["binance"]], stop, ping_s=0.2))
    server = Replay(port, session)

    async def up() -> bool:
        try:
            return bool((await server.get("/health"))["status"] == "up")
        except aiohttp.ClientError:
            return False

    await until("the replay server is up", up)
    yield server
    stop.set()
    await serving


WriteTape = Callable[[Iterable[bytes]], Path]


@pytest.fixture
def write_tape(tmp_path: Path) -> WriteTape:
    """Write payloads of one spot connection, a millisecond apart, into a tape file."""
    written = 0

    def write(payloads: Iterable[bytes]) -> Path:
        nonlocal written
        written += 1
        path = tmp_path / f"made{written}.tape.zst"
        with TapeWriter(path, source="the test", licence="none", level=1) as writer:
            for number, payload in enumerate(payloads, 1):
                writer.write(TapeRecord(1_700_000_000_000_000 + number * 1000, "binance", "spot", "c", number, payload))
                if (stream := venue("binance").dialects["spot"].stream_of(payload)) is not None:
                    writer.streams["spot"] = sorted({*writer.streams.get("spot", []), stream})
        return path

    return write


def trade(number: int, price: str = "100.50") -> bytes:
    """Return a spot trade as Binance sends it, in the combined form."""
    return (
        b'{"stream":"btcusdt@trade","data":{"e":"trade","E":1700000000001,"s":"BTCUSDT","t":%d,"p":"%s",'
        b'"q":"0.10000000","T":1700000000000,"m":true,"M":true}}' % (number, price.encode())
    )


@pytest.fixture
def make_trade() -> Callable[..., bytes]:
    return trade


@dataclass
class Stored:
    """What one test put into Kafka."""

    tape: list[dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]  # by dataset
    tape_times: dict[tuple[str, int], int]
    event_times: dict[tuple[str, int, int], int]

    @property
    def trades(self) -> list[dict[str, Any]]:
        return self.events[TRADES.name]

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        return self.events[QUARANTINE.name]

    def expected(self) -> Counter[tuple[str, int, int]]:
        """Parse the tape and return the positions of the events it should have led to."""
        parse = venue("binance").parse
        return Counter(
            (row["connection_id"], row["message_number"], index)
            for row in self.tape
            for index, event in enumerate(parse(row["endpoint"], row["payload"], row["request"]))
            if not isinstance(event, Ignored)
        )

    def found(self) -> Counter[tuple[str, int, int]]:
        return Counter(
            (row["connection_id"], row["message_number"], row["message_index"])
            for rows in self.events.values()
            for row in rows
        )

    def assert_balanced(self) -> None:
        """Every event of the tape is there exactly once, and no connection's numbers have a hole."""
        expected, found = self.expected(), self.found()
        assert found - expected == Counter(), "events twice, or of no payload on the tape"
        assert expected - found == Counter(), "events missing"
        numbers: dict[str, list[int]] = {}
        for row in self.tape:
            numbers.setdefault(row["connection_id"], []).append(row["message_number"])
        for connection, seen in numbers.items():
            assert seen == list(range(1, len(seen) + 1)), connection


@dataclass
class Kafka:
    """The topics of the venue, and where they ended when the test began.

    What was received before is left out: another test may have killed a collector, and the next one to start sends
    what that one left.
    """

    platform: Platform
    since: int = field(default_factory=lambda: time.time_ns() // 1000)
    began: dict[str, dict[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ensure_topics(self.platform.broker, (*topics_of("binance"), *report_topics()))
        end = time.monotonic() + 30
        while True:  # a topic that was just made has no leader for a moment
            try:
                self.began = {t.name: end_offsets(self.platform.broker, t.name) for t in topics_of("binance")}
            except TapehouseError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
            else:
                return

    def forget(self, topic: str) -> None:
        """Read the topic from its beginning: it was made anew."""
        self.began[topic] = {}

    def stored(self) -> Stored:
        """Read everything that was written since the test began."""
        rows: dict[str, list[dict[str, Any]]] = {}
        tape_times, event_times = {}, {}
        topics = [(TAPE.name, TAPE, tape_topic("binance").name)]
        topics += [(d.name, d, topic_of(d).name) for d in EVENT_DATASETS]
        for name, dataset, topic in topics:
            decoder = RecordDecoder(self.platform.registry, dataset)
            begin = self.began[topic]
            ranges = {p: (begin.get(p, 0), end) for p, end in end_offsets(self.platform.broker, topic).items()}
            rows[name] = []
            for message in read_ranges(self.platform.broker, topic, ranges):
                row = decoder.decode(message.value() or b"")
                if row["received_time"] < self.since:
                    continue
                rows[name].append(row)
                place, time_ms = (row["connection_id"], row["message_number"]), message.timestamp()[1]
                if dataset is TAPE:
                    tape_times[place] = time_ms
                else:
                    event_times[*place, row["message_index"]] = time_ms
        return Stored(rows.pop(TAPE.name), rows, tape_times, event_times)


@pytest.fixture
def kafka(platform: Platform) -> Kafka:
    return Kafka(platform)


@dataclass
class Collector:
    """A collector within the test's own loop."""

    settings: CollectorSettings
    session: aiohttp.ClientSession
    task: asyncio.Task[None]
    told: asyncio.Event

    async def health(self) -> dict[str, Any]:
        async with self.session.get(f"http://127.0.0.1:{self.settings.port}/health") as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def reaches(self, what: str, claim: Callable[[dict[str, Any]], bool], deadline_s: float = 60.0) -> None:
        """Wait until the health report makes the claim true."""

        async def holds() -> bool:
            if self.task.done():
                self.task.result()
            try:
                return bool(claim(await self.health()))
            except aiohttp.ClientError:
                return False

        await until(what, holds, deadline_s)

    async def running(self) -> None:
        await self.reaches(
            "the collector is live",
            lambda h: h["status"] == "running" and all(c["state"] == "live" for c in h["connections"]),
        )

    async def done(self, messages: int) -> None:
        """Wait until that many payloads, replies to subscriptions among them, are done with."""
        await self.reaches(f"{messages} payloads done", lambda h: h["done"] >= messages and not h["lag"])

    async def stop(self) -> None:
        self.told.set()
        await asyncio.wait_for(self.task, 60)


StartCollector = Callable[..., Awaitable[Collector]]


@pytest.fixture
async def start_collector(
    platform: Platform, replay: Replay, session: aiohttp.ClientSession
) -> AsyncIterator[StartCollector]:
    """Start collectors that are stopped with the test."""
    async with AsyncExitStack() as stack:

        async def start(*endpoints: Endpoint, **more: Any) -> Collector:
            told = asyncio.Event()
            settings = CollectorSettings(
                platform.broker,
                platform.registry,
                "binance",
                endpoints or (replay.endpoint(),),
                free_port(),
                **({"commit_s": 0.2} | more),
            )
            collector = Collector(settings, session, asyncio.create_task(run(settings, told)), told)

            async def end() -> None:
                if not collector.task.done():
                    await collector.stop()

            stack.push_async_callback(end)
            return collector

        yield start


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Return the folder of recordings that nobody of the project made; skip where it is not."""
    if not RECORDINGS.is_dir():
        pytest.skip("the shared recordings are not on this machine: ../shared/data/crypto_ws")
    return RECORDINGS
