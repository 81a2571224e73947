"""Kraken's side of the conversation, in WebSocket v1 and v2."""

import json
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from sources.replay import kraken_rest
from sources.replay.book import Book
from sources.replay.memory import Memory
from sources.replay.protocol import BOOK, TRADES, Answer, Answered, Asked, Level, Shelf, Trade, Update

# Sent whenever nothing else was for a second, to whoever is subscribed to anything.
HEARTBEAT_S = 1.0
_PAIR = re.compile(r"[A-Z0-9.]+/[A-Z0-9.]+", re.ASCII)
_DEPTHS = (10, 25, 100, 500, 1000)
_INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
_V1_CHANNELS = ("book", "ohlc", "spread", "ticker", "trade")
_V2_CHANNELS = ("book", "instrument", "ohlc", "ticker", "trade")
_CONNECTION = 8_628_615_390_848_610_222


class _Session:
    """What both versions have in common."""

    combined = False
    heartbeat = b""

    def __init__(self) -> None:
        self.streams: dict[str, None] = {}

    def fit(self, payload: bytes, stream: str | None) -> bytes:  # noqa: ARG002 - the protocol's
        """Return the payload as it was recorded."""
        return payload

    def beat(self, now: float, quiet_since: float) -> list[bytes]:
        """Send a heartbeat into a second of silence."""
        return [self.heartbeat] if self.streams and now - quiet_since >= HEARTBEAT_S else []


class V1Session(_Session):
    """A conversation in v1."""

    heartbeat = b'{"event":"heartbeat"}'

    def greeting(self) -> list[bytes]:
        """Tell the system's status."""
        return [b'{"connectionID":%d,"event":"systemStatus","status":"online","version":"1.9.6"}' % _CONNECTION]

    def answer(self, request: bytes) -> Answered:
        """Act on a message of the client; each pair is answered by itself."""
        message = _object(request)
        number = {"reqid": message["reqid"]} if isinstance(message.get("reqid"), int) else {}
        kind, wanted, pairs = message.get("event"), message.get("subscription"), message.get("pair")
        if kind == "ping":
            return Answered([orjson.dumps({"event": "pong"} | number)])
        if kind not in ("subscribe", "unsubscribe") or not isinstance(wanted, dict) or not isinstance(pairs, list):
            return Answered([orjson.dumps({"errorMessage": "Malformed request", "event": "error"} | number)])
        answered = Answered()
        for pair in pairs:
            told = {"event": "subscriptionStatus", "pair": pair, "subscription": wanted} | number
            try:
                channel, option = _channel(wanted, _V1_CHANNELS)
                stream = self._change(kind, f"{channel}:{_checked(pair)}")
            except ValueError as error:
                answered.replies.append(orjson.dumps({"errorMessage": str(error)} | told | {"status": "error"}))
                continue
            # The venue's numbers of channels are its own; ours need only differ.
            told |= {"channelID": zlib.crc32(stream.encode()) % 100_000, "channelName": channel, "status": f"{kind}d"}
            answered.replies.append(orjson.dumps(told | {"subscription": {"name": wanted["name"]} | option}))
            if kind == "subscribe":
                answered.begun.append(stream)
        return answered

    def _change(self, kind: str, stream: str) -> str:
        if kind == "subscribe":
            self.streams[stream] = None
        elif stream in self.streams:
            del self.streams[stream]
        else:
            raise ValueError("Subscription Not Found")
        return stream


class V2Session(_Session):
    """A conversation in v2."""

    heartbeat = b'{"channel":"heartbeat"}'

    def greeting(self) -> list[bytes]:
        """Tell the system's status."""
        told = {"version": "2.0.10", "system": "online", "api_version": "v2", "connection_id": _CONNECTION}
        return [orjson.dumps({"channel": "status", "type": "update", "data": [told]})]

    def answer(self, request: bytes) -> Answered:
        """Act on a message of the client; each symbol is answered by itself."""
        received, message = _now(), _object(request)
        kind, params = message.get("method"), message.get("params")
        frame: dict[str, Any] = {"req_id": message["req_id"]} if isinstance(message.get("req_id"), int) else {}
        frame |= {"method": kind} if isinstance(kind, str) else {}
        if kind == "ping":
            return Answered([orjson.dumps(frame | {"method": "pong", "time_in": received, "time_out": _now()})])
        if kind not in ("subscribe", "unsubscribe") or not isinstance(params, dict):
            times = {"success": False, "time_in": received, "time_out": _now()}
            return Answered([orjson.dumps({"error": "Malformed request"} | frame | times)])
        answered = Answered()
        symbols = params.get("symbol", [])
        for symbol in [None] if params.get("channel") == "instrument" else symbols if isinstance(symbols, list) else []:
            named = {} if symbol is None else {"symbol": symbol}
            try:
                channel, option = _channel(params | {"name": params.get("channel")}, _V2_CHANNELS)
                stream = channel if symbol is None else f"{channel}:{_checked(symbol)}"
                self._change(kind, stream)
            except ValueError as error:
                told = {"error": str(error), "success": False} | named
            else:
                snapshot = {"snapshot": params.get("snapshot", True)} if kind == "subscribe" else {}
                told = {"result": {"channel": params["channel"]} | option | snapshot | named, "success": True}
                if snapshot.get("snapshot"):
                    answered.begun.append(stream)
            answered.replies.append(orjson.dumps(frame | told | {"time_in": received, "time_out": _now()}))
        return answered

    def _change(self, kind: str, stream: str) -> None:
        if kind == "unsubscribe":
            if stream not in self.streams:
                raise ValueError("Subscription Not Found")
            del self.streams[stream]
        elif stream in self.streams:
            raise ValueError("Already subscribed")
        else:
            self.streams[stream] = None


class _Feed:
    """What both versions have in common."""

    def shelf(self, stream: str) -> Shelf | None:
        """Remember books and trades by pair."""
        if stream.startswith("book-"):
            return Shelf(BOOK, stream)
        return Shelf(TRADES, stream) if stream.startswith("trade:") else None

    def depth(self, name: str) -> int:
        """Return the levels a side that `book-1000:XBT/USD` keeps."""
        depth = name.removeprefix("book-").partition(":")[0]
        return int(depth) if depth.isdecimal() else 0

    def first(self, stream: str, last: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Begin with nothing."""
        return None

    def is_reference(self, path: str) -> bool:
        """Tell AssetPairs."""
        return path == "/0/public/AssetPairs"

    def reference(self, asked: Asked, recorded: Mapping[str, bytes]) -> bytes | None:
        """Return AssetPairs as recorded, or those asked for."""
        return kraken_rest.chosen(asked, recorded.get(asked.path))

    def refusal(self, status: int, why: str) -> bytes:
        """Say no as the venue does."""
        word = {429: "EAPI:Rate limit exceeded", 404: "EGeneral:Unknown method"}.get(status, "EService:Unavailable")
        return orjson.dumps({"error": [f"{word}: {why}"]})


class V1Feed(_Feed):
    """WebSocket v1."""

    def session(self, memory: Memory) -> V1Session:  # noqa: ARG002 - the protocol's
        """Begin a conversation."""
        return V1Session()

    def is_answer(self, payload: bytes) -> bool:
        """Tell the status of the system and of subscriptions, and pongs."""
        return payload.startswith(b"{") and b'"event":"heartbeat"' not in payload and b'"event"' in payload

    def shelf_of_answer(self, asked: Asked) -> Shelf | None:  # noqa: ARG002 - the protocol's
        """Remember nothing: without ids nobody can tell the trades of a page from those of the feed."""
        return None

    def update(self, payload: bytes) -> list[Update]:
        """Read [channel id, {"as": .., "bs": ..}, name, pair], or changes {"a": .., "b": .., "c": ..} in one or two."""
        channel, *parts, _, _ = orjson.loads(payload)
        merged = {name: value for part in parts for name, value in part.items()}
        about = {"channel": channel}
        if "as" in merged:
            return [Update(True, _levels(merged["bs"]), _levels(merged["as"]), 0, about)]
        return [Update(False, _levels(merged.get("b", ())), _levels(merged.get("a", ())), 0, about)]

    def trades(self, payload: bytes) -> list[Trade]:
        """Read the trades of a message."""
        return kraken_rest.v1_trades(orjson.loads(payload)[1])

    def snapshot(self, stream: str, book: Book) -> bytes | None:
        """Begin with the whole book; v1 sends no checksum of it."""
        channel, _, pair = stream.partition(":")
        sides = {"as": _listed(book.asks()), "bs": _listed(book.bids())}
        return orjson.dumps([book.about["channel"], sides, channel, pair])

    async def rest(self, asked: Asked, memory: Memory) -> Answer | None:
        """Answer time, books and trades."""
        return await kraken_rest.answer(asked, memory, "v1")


class V2Feed(_Feed):
    """WebSocket v2."""

    def session(self, memory: Memory) -> V2Session:  # noqa: ARG002 - the protocol's
        """Begin a conversation."""
        return V2Session()

    def is_answer(self, payload: bytes) -> bool:
        """Tell the system's status, and answers to requests."""
        return payload.startswith(b'{"channel":"status"') or b'"method":' in payload[:512]

    def shelf_of_answer(self, asked: Asked) -> Shelf | None:
        """Remember trades with those of the feed."""
        if asked.path != "/0/public/Trades":
            return None
        return Shelf(TRADES, f"trade:{kraken_rest.feed_pair(asked.query.get('pair', ''), 'v2')}")

    def update(self, payload: bytes) -> list[Update]:
        """Read a message of the channel book; the digits of its numbers are kept."""
        message = _digits(payload)
        found = []
        for book in message["data"]:
            about = {name: book[name] for name in ("checksum", "timestamp") if name in book}
            bids, asks = (
                [Level(level["price"], level["qty"]) for level in book.get(side, ())] for side in ("bids", "asks")
            )
            found.append(Update(message["type"] == "snapshot", bids, asks, 0, about))
        return found

    def trades(self, payload: bytes) -> list[Trade]:
        """Read the trades of a message, or of REST."""
        message = _digits(payload)
        if "result" in message:
            return kraken_rest.rest_trades(message["result"])
        return kraken_rest.v2_trades(message["data"])

    def snapshot(self, stream: str, book: Book) -> bytes | None:
        """Begin with the whole book, and the checksum that came with its last change."""
        told = {"symbol": stream.partition(":")[2], "bids": _named(book.bids()), "asks": _named(book.asks())}
        told |= {name: orjson.Fragment(book.about[name]) for name in ("checksum",) if name in book.about}
        told |= {name: book.about[name] for name in ("timestamp",) if name in book.about}
        return orjson.dumps({"channel": "book", "type": "snapshot", "data": [told]})

    async def rest(self, asked: Asked, memory: Memory) -> Answer | None:
        """Answer time, books and trades."""
        return await kraken_rest.answer(asked, memory, "v2")


def _channel(wanted: Mapping[str, Any], channels: tuple[str, ...]) -> tuple[str, dict[str, int]]:
    """Return the name of a channel with its option, as streams begin with it, and the option."""
    name = wanted.get("name")
    if name not in channels:
        raise ValueError("Subscription name invalid")
    if name == "book":
        depth = wanted.get("depth", 10)
        if depth not in _DEPTHS:
            raise ValueError("Subscription depth not supported")
        return f"book-{depth}", {"depth": depth}
    if name == "ohlc":
        interval = wanted.get("interval", 1)
        if interval not in _INTERVALS:
            raise ValueError("Subscription ohlc interval not supported")
        return f"ohlc-{interval}", {"interval": interval}
    return str(name), {}


def _checked(pair: object) -> str:
    if not isinstance(pair, str) or not _PAIR.fullmatch(pair):
        raise ValueError(f"Currency pair not supported {pair}")
    return pair


def _object(request: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(request)
    except orjson.JSONDecodeError:
        return {}
    return message if isinstance(message, dict) else {}


def _digits(payload: bytes) -> Any:
    return json.loads(payload, parse_float=str, parse_int=str)


def _levels(entries: list[list[str]]) -> list[Level]:
    return [Level(entry[0], entry[1], entry[2]) for entry in entries]


def _listed(levels: list[Level]) -> list[tuple[str, str, str]]:
    return [(level.price, level.quantity, level.time) for level in levels]


def _named(levels: list[Level]) -> list[dict[str, orjson.Fragment]]:
    return [{"price": orjson.Fragment(level.price), "qty": orjson.Fragment(level.quantity)} for level in levels]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
