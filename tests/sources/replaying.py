"""Talking to the replay server as a client of any venue, for the tests of it."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import WSMsgType

from sources.tape_file import TapeRecord, TapeWriter
from sources.venues import venue
from tests.sources.conftest import Replay

CONTENT = ("id_space", "trade_id", "venue_sequence", "price", "quantity", "side", "trade_count", "event_time")


@dataclass
class Talk:
    """One WebSocket to an endpoint, and all that was heard on it."""

    endpoint: str
    socket: aiohttp.ClientWebSocketResponse[bool]
    heard: list[bytes] = field(default_factory=list)

    @property
    def dialect(self) -> Any:
        name, _, endpoint = self.endpoint.partition("/")
        return venue(name).dialects[endpoint]

    async def payload(self, patience_s: float = 10) -> bytes:
        """Return the next payload, pings passed over."""
        async with asyncio.timeout(patience_s):
            while (message := await self.socket.receive()).type is WSMsgType.PING:
                pass
        if message.type is not WSMsgType.TEXT:
            raise ConnectionError(message)
        self.heard.append(message.data)
        return bytes(message.data)

    async def next(self, *streams: str) -> bytes:
        """Return the next payload of one of the streams, of any stream when none is named."""
        while True:
            payload = await self.payload()
            stream = self.dialect.stream_of(payload)
            if stream in streams or (not streams and stream is not None):
                return payload

    async def ask(self, *streams: str, verb: str = "subscribe") -> list[bytes]:
        """Subscribe with the venue's own messages; return what was heard until all of it was confirmed."""
        asked = dict.fromkeys(range(1, len(streams) + 2), streams)
        for message in getattr(self.dialect, verb)(streams, 1):
            await self.socket.send_str(message)
        if verb == "unsubscribe":
            return []
        missing, heard = set(streams), []
        while missing:
            heard.append(await self.payload())
            if (reply := self.dialect.reply(heard[-1], asked)) is not None:
                assert not reply.error, reply
                missing -= reply.streams
        return heard

    async def tell(self, **message: Any) -> dict[str, Any]:
        """Send a message and return the next payload, read as JSON."""
        await self.socket.send_str(orjson.dumps(message).decode())
        found: dict[str, Any] = orjson.loads(await self.payload())
        return found


@asynccontextmanager
async def talking(replay: Replay, endpoint: str, *streams: str) -> AsyncIterator[Talk]:
    """Connect, and subscribe."""
    name, _, known = endpoint.partition("/")
    base = f"ws://127.0.0.1:{replay.port}/{endpoint}"
    made = next(each for each in venue(name).endpoints if each.name == known)
    url = venue(name).dialects[known].url(_at(made, base))
    async with replay.session.ws_connect(url, max_msg_size=1 << 26, decode_text=False, autoping=False) as socket:
        talk = Talk(endpoint, socket)
        if streams:
            await talk.ask(*streams)
        yield talk


def _at(endpoint: Any, base: str) -> Any:
    return type(endpoint)(**(vars(endpoint) | {"base_url": base}))


def write(path: Path, records: Iterable[TapeRecord]) -> Path:
    """Write a tape of these records."""
    with TapeWriter(path, source="the test", licence="none", level=1) as writer:
        for record in records:
            writer.write(record)
    return path


def records(endpoint: str, payloads: Iterable[bytes], start: int = 1_700_000_000_000_000) -> list[TapeRecord]:
    """Make records of payloads, a millisecond apart."""
    name, _, known = endpoint.partition("/")
    return [TapeRecord(start + n * 1000, name, known, "c", n, payload) for n, payload in enumerate(payloads, 1)]


def trade_rows(endpoint: str, payload: bytes, request: str = "") -> list[dict[str, Any]]:
    """Parse a payload and return the content of its trades."""
    name, _, known = endpoint.partition("/")
    events: list[Any] = list(venue(name).parse(known, payload, request))
    rows = [event.row for event in events if getattr(event, "row", None) and event.dataset == "market.trades"]
    return [{column: row[column] for column in ("instrument", *CONTENT)} for row in rows]


async def fetch(replay: Replay, endpoint: str, target: str) -> tuple[int, bytes]:
    """Ask the REST side; return status and body."""
    async with replay.session.get(f"http://127.0.0.1:{replay.port}/{endpoint}/rest{target}") as answer:
        return answer.status, await answer.read()


class PlainBook:
    """A book of strings, made by the simplest rules and none of the project's code."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.bids: dict[Decimal, tuple[str, str]] = {}
        self.asks: dict[Decimal, tuple[str, str]] = {}

    def change(self, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity, *_ in levels:
                if Decimal(quantity) == 0:
                    side.pop(Decimal(price), None)
                else:
                    side[Decimal(price)] = (price, quantity)
        while self.depth and len(self.bids) > self.depth:
            del self.bids[min(self.bids)]
        while self.depth and len(self.asks) > self.depth:
            del self.asks[max(self.asks)]

    def replace(self, bids: Iterable[Any], asks: Iterable[Any]) -> None:
        self.bids.clear()
        self.asks.clear()
        self.change(bids, asks)

    def checksum(self) -> int:
        """Return what Kraken's documentation says of the ten best levels a side."""
        best = [self.asks[price] for price in sorted(self.asks)[:10]]
        best += [self.bids[price] for price in sorted(self.bids, reverse=True)[:10]]
        text = "".join(part.replace(".", "").lstrip("0") for level in best for part in level)
        return zlib.crc32(text.encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlainBook) and (self.bids, self.asks) == (other.bids, other.asks)

    __hash__ = None  # type: ignore[assignment]
