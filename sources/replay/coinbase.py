"""Coinbase's side of the conversation, on the Exchange feed and on Advanced Trade."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from sources.replay import coinbase_rest
from sources.replay.book import Book
from sources.replay.memory import Memory
from sources.replay.protocol import BOOK, TRADES, Answer, Answered, Asked, Level, Shelf, Trade, Update

HEARTBEAT_S = 1.0
# The recorded ones come every second too; ours fill in where there are none.
_LATE = 1.5
_PRODUCT = re.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+)+", re.ASCII)
_EXCHANGE_CHANNELS = ("heartbeat", "level2", "level2_batch", "matches", "status", "ticker", "ticker_batch")
_ADVANCED_CHANNELS = ("candles", "heartbeats", "level2", "market_trades", "status", "ticker", "ticker_batch")
# Batches hold the same messages as the channel they are named after.
_SAME = {"level2_batch": "level2"}
_SEQUENCE = b'"sequence_num":'
_HEAD = 256


class _Session:
    """What both feeds have in common: channels and their products."""

    combined = False
    channels: tuple[str, ...] = ()

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._listed: dict[str, dict[str, None]] = {}
        self._beaten: dict[str, float] = {}  # when a stream of heartbeats had its last
        self.streams: dict[str, None] = {}

    def greeting(self) -> list[bytes]:
        """Say nothing."""
        return []

    def answer(self, request: bytes) -> Answered:
        """Act on a message of the client and return the venue's answer."""
        try:
            message = orjson.loads(request)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            return self._refused("Malformed JSON")
        kind = message.get("type")
        if kind not in ("subscribe", "unsubscribe"):
            return self._refused("Type has to be either subscribe or unsubscribe")
        try:
            asked = self._asked(message)
            self._check(asked)
        except ValueError as error:
            return self._refused(f"Failed to {kind}", str(error))
        begun = [stream for channel, products in asked for stream in self._change(kind, channel, products)]
        return Answered([self._subscriptions()], begun)

    def _asked(self, message: dict[str, Any]) -> list[tuple[str, list[str]]]:
        raise NotImplementedError

    def _check(self, asked: list[tuple[str, list[str]]]) -> None:
        for channel, products in asked:
            if channel not in self.channels:
                raise ValueError(f"{channel} is not a valid channel")
            for product in products:
                if not _PRODUCT.fullmatch(product):
                    raise ValueError(f"{product} is not a valid product")

    def _change(self, kind: str, channel: str, products: list[str]) -> list[str]:
        """Subscribe or unsubscribe, and return the streams that begin; no products end the whole channel."""
        listed = self._listed.setdefault(channel, {})
        if kind == "unsubscribe":
            for product in products or list(listed):
                listed.pop(product, None)
            if not listed or not products:
                del self._listed[channel]
        else:
            listed.update(dict.fromkeys(products))
        self.streams = dict.fromkeys(
            _stream(name, product) for name, told in self._listed.items() for product in told or ("",)
        )
        return [_stream(channel, product) for product in products] if kind == "subscribe" else []

    def _subscriptions(self) -> bytes:
        raise NotImplementedError

    def _refused(self, text: str, reason: str = "") -> Answered:
        return Answered([orjson.dumps({"type": "error", "message": text} | ({"reason": reason} if reason else {}))])

    def _due(self, now: float, prefix: str) -> list[str]:
        """Return the streams of heartbeats that had none for too long."""
        return [
            stream
            for stream in self.streams
            if stream.startswith(prefix) and now - self._beaten.setdefault(stream, now - HEARTBEAT_S) >= HEARTBEAT_S
        ]

    def _note(self, stream: str | None) -> None:
        if stream is not None and stream.startswith("heartbeat"):
            # Later than a second, lest recorded ones that are a moment late are doubled.
            self._beaten[stream] = time.monotonic() + HEARTBEAT_S * (_LATE - 1)


class ExchangeSession(_Session):
    """A conversation on the Exchange feed."""

    channels = _EXCHANGE_CHANNELS

    def fit(self, payload: bytes, stream: str | None) -> bytes:
        """Return the payload as it was recorded."""
        self._note(stream)
        return payload

    def beat(self, now: float, quiet_since: float) -> list[bytes]:  # noqa: ARG002 - the protocol's
        """Send the heartbeat of each product whose last trade is known: it tells of that trade."""
        beats = []
        for stream in self._due(now, "heartbeat:"):
            product = stream.partition(":")[2]
            last = self._memory.last(f"matches:{product}")
            if last is None:
                continue
            trade = orjson.loads(last)
            self._beaten[stream] = now
            told = {"type": "heartbeat", "last_trade_id": trade["trade_id"], "product_id": product}
            beats.append(orjson.dumps(told | {"sequence": trade["sequence"], "time": _now()}))
        return beats

    def _asked(self, message: dict[str, Any]) -> list[tuple[str, list[str]]]:
        shared, channels = _texts(message.get("product_ids", [])), message.get("channels")
        if not isinstance(channels, list) or not channels:
            raise ValueError("channels are required")
        asked = []
        for channel in channels:
            named = channel if isinstance(channel, dict) else {"name": channel}
            products = [*shared, *_texts(named.get("product_ids", []))]
            if not products and message["type"] == "subscribe" and named.get("name") != "status":
                raise ValueError("product_ids are required")
            asked.append((str(named.get("name")), products))
        return asked

    def _subscriptions(self) -> bytes:
        channels = [
            {"name": name, "product_ids": list(products), "account_ids": None}
            for name, products in self._listed.items()
        ]
        return orjson.dumps({"type": "subscriptions", "channels": channels})


class AdvancedSession(_Session):
    """A conversation on Advanced Trade, whose messages are numbered over all channels of a connection."""

    channels = _ADVANCED_CHANNELS

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory)
        self._next = 0
        self._beats = 0

    def fit(self, payload: bytes, stream: str | None) -> bytes:
        """Return the payload with this connection's number; where that is the recorded one, byte for byte.

        Whoever subscribed to less than was recorded, or was answered by this server, would else see holes.
        """
        self._note(stream)
        begin = payload.find(_SEQUENCE, 0, _HEAD) + len(_SEQUENCE)
        if begin < len(_SEQUENCE):
            return payload
        end = begin
        while payload[end : end + 1].isdigit():
            end += 1
        number = b"%d" % self._next
        self._next += 1
        return payload if payload[begin:end] == number else payload[:begin] + number + payload[end:]

    def beat(self, now: float, quiet_since: float) -> list[bytes]:  # noqa: ARG002 - the protocol's
        """Send the connection's heartbeat."""
        beats = []
        for stream in self._due(now, "heartbeats"):
            self._beaten[stream] = now
            self._beats += 1
            beats.append(self._message("heartbeats", {"current_time": _now(), "heartbeat_counter": self._beats}))
        return beats

    def _asked(self, message: dict[str, Any]) -> list[tuple[str, list[str]]]:
        channel, products = message.get("channel"), _texts(message.get("product_ids", []))
        if not isinstance(channel, str):
            raise ValueError("channel is required")
        if channel == "heartbeats":
            products = []
        elif not products and message["type"] == "subscribe" and channel != "status":
            raise ValueError("product_ids are required")
        return [(channel, products)]

    def _subscriptions(self) -> bytes:
        told = {name: list(products) or [name] for name, products in self._listed.items()}
        return self._message("subscriptions", {"subscriptions": told})

    def _message(self, channel: str, event: dict[str, Any]) -> bytes:
        told = {"channel": channel, "client_id": "", "timestamp": _now(), "sequence_num": self._next, "events": [event]}
        self._next += 1
        return orjson.dumps(told)


class _Feed:
    """What both feeds have in common."""

    trades_channel = ""

    def shelf(self, stream: str) -> Shelf | None:
        """Remember books and trades by product."""
        channel = stream.partition(":")[0]
        if channel == "level2":
            return Shelf(BOOK, stream)
        return Shelf(TRADES, stream) if channel == self.trades_channel else None

    def depth(self, name: str) -> int:  # noqa: ARG002 - the protocol's
        """Keep all levels."""
        return 0

    def first(self, stream: str, last: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Begin with nothing."""
        return None


class ExchangeFeed(_Feed):
    """The Exchange feed."""

    trades_channel = "matches"

    def session(self, memory: Memory) -> ExchangeSession:
        """Begin a conversation."""
        return ExchangeSession(memory)

    def is_answer(self, payload: bytes) -> bool:
        """Tell subscriptions and errors."""
        return payload.startswith((b'{"type":"subscriptions"', b'{"type":"error"'))

    def shelf_of_answer(self, asked: Asked) -> Shelf | None:
        """Remember trades with those of the feed."""
        parts = asked.path.split("/")
        return Shelf(TRADES, f"matches:{parts[2]}") if parts[1] == "products" and parts[3:] == ["trades"] else None

    def update(self, payload: bytes) -> list[Update]:
        """Read a snapshot or l2update."""
        message = orjson.loads(payload)
        about = {"time": message["time"]} if "time" in message else {}
        if message["type"] == "snapshot":
            return [
                Update(True, _pairs(message["bids"]), _pairs(message["asks"]), about=about | {"timed": bool(about)})
            ]
        changes = message["changes"]
        bids = [Level(price, size) for side, price, size in changes if side == "buy"]
        return [Update(False, bids, [Level(price, size) for side, price, size in changes if side == "sell"], 0, about)]

    def trades(self, payload: bytes) -> list[Trade]:
        """Read a match, or a page of REST."""
        return coinbase_rest.exchange_trades(orjson.loads(payload))

    def first(self, stream: str, last: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Begin with the last trade, told again."""
        return last.replace(b'"type":"match"', b'"type":"last_match"', 1)

    def snapshot(self, stream: str, book: Book) -> bytes | None:
        """Begin with the whole book."""
        told: dict[str, Any] = {"type": "snapshot", "product_id": stream.partition(":")[2]}
        told |= {"asks": _sizes(book.asks()), "bids": _sizes(book.bids())}
        # Older recordings tell no time of a snapshot.
        return orjson.dumps(told | ({"time": book.about["time"]} if book.about.get("timed") else {}))

    def is_reference(self, path: str) -> bool:
        """Tell the list of products, and one of them."""
        return path == "/products" or (path.startswith("/products/") and path.count("/") == 2)

    def reference(self, asked: Asked, recorded: Mapping[str, bytes]) -> bytes | None:
        """Return products as recorded, or one of a recorded list."""
        return coinbase_rest.exchange_products(asked, recorded)

    async def rest(self, asked: Asked, memory: Memory) -> Answer | None:
        """Answer time, books and trades."""
        return await coinbase_rest.exchange(asked, memory)

    def refusal(self, status: int, why: str) -> bytes:  # noqa: ARG002 - the protocol's
        """Say no as the venue does."""
        return orjson.dumps({"message": why})


class AdvancedFeed(_Feed):
    """Advanced Trade."""

    trades_channel = "market_trades"

    def session(self, memory: Memory) -> AdvancedSession:
        """Begin a conversation."""
        return AdvancedSession(memory)

    def is_answer(self, payload: bytes) -> bool:
        """Tell subscriptions and errors."""
        return b'"channel":"subscriptions"' in payload[:_HEAD] or payload.startswith(b'{"type":"error"')

    def shelf_of_answer(self, asked: Asked) -> Shelf | None:
        """Remember trades with those of the feed."""
        parts = asked.path.split("/")
        return Shelf(TRADES, f"market_trades:{parts[-2]}") if parts[-1] == "ticker" else None

    def update(self, payload: bytes) -> list[Update]:
        """Read the events of l2_data."""
        message = orjson.loads(payload)
        about = {"timestamp": message["timestamp"]}
        found = []
        for event in message["events"]:
            sides: dict[str, list[Level]] = {"bid": [], "offer": []}
            for told in event["updates"]:
                sides[told["side"]].append(Level(told["price_level"], told["new_quantity"], told["event_time"]))
            found.append(Update(event["type"] == "snapshot", sides["bid"], sides["offer"], 0, about))
        return found

    def trades(self, payload: bytes) -> list[Trade]:
        """Read the trades of a message, or of REST."""
        return coinbase_rest.advanced_trades(orjson.loads(payload))

    def snapshot(self, stream: str, book: Book) -> bytes | None:
        """Begin with the whole book; the number is the session's to give."""
        updates = [
            {"side": side, "event_time": level.time, "price_level": level.price, "new_quantity": level.quantity}
            for side, levels in (("bid", book.bids()), ("offer", book.asks()))
            for level in levels
        ]
        event = {"type": "snapshot", "product_id": stream.partition(":")[2], "updates": updates}
        told = {"channel": "l2_data", "timestamp": book.about["timestamp"], "sequence_num": 0, "events": [event]}
        return orjson.dumps(told)

    def is_reference(self, path: str) -> bool:
        """Tell the list of products, and one of them."""
        return coinbase_rest.advanced_product(path) is not None

    def reference(self, asked: Asked, recorded: Mapping[str, bytes]) -> bytes | None:
        """Return products as recorded, those asked for, or one of a recorded list."""
        return coinbase_rest.advanced_products(asked, recorded)

    async def rest(self, asked: Asked, memory: Memory) -> Answer | None:
        """Answer time, books and trades."""
        return await coinbase_rest.advanced(asked, memory)

    def refusal(self, status: int, why: str) -> bytes:
        """Say no as the venue does."""
        return orjson.dumps({"error": {404: "NOT_FOUND"}.get(status, "unknown"), "error_details": why, "message": why})


def _stream(channel: str, product: str) -> str:
    name = _SAME.get(channel, channel)
    return f"{name}:{product}" if product else name


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise ValueError("product_ids must be a list of strings")
    return value


def _pairs(pairs: list[list[str]]) -> list[Level]:
    return [Level(pair[0], pair[1]) for pair in pairs]


def _sizes(levels: list[Level]) -> list[tuple[str, str]]:
    return [(level.price, level.quantity) for level in levels]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
