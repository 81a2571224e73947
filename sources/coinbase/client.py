"""How one talks to Coinbase's two feeds: subscriptions, answers, the names of streams."""

from collections.abc import Mapping
from typing import Any

import orjson

from sources.coinbase.instruments import product
from sources.endpoints import Dialect, Endpoint, Reply

# level2 without authentication is called level2_batch in requests and level2_50 in answers.
_ASKED = {"level2": "level2_batch"}
_ANSWERED = {"level2_batch": "level2", "level2_50": "level2"}
_EXCHANGE_CHANNELS = {
    "match": "matches",
    "last_match": "matches",
    "ticker": "ticker",
    "snapshot": "level2",
    "l2update": "level2",
    "heartbeat": "heartbeat",
}
# Channel in payloads: channel in requests, and the list that holds its entries.
_ADVANCED_CHANNELS = {
    "l2_data": ("level2", ""),
    "market_trades": ("market_trades", "trades"),
    "ticker": ("ticker", "tickers"),
    "ticker_batch": ("ticker_batch", "tickers"),
    "candles": ("candles", "candles"),
}
_HEAD = 200  # within so many bytes an answer to a subscription says what it is


class ExchangeDialect:
    """The Exchange feed: one message subscribes to everything, each answer lists all that is subscribed."""

    def url(self, endpoint: Endpoint) -> str:
        """Return the feed's address."""
        return endpoint.base_url

    def subscribe(self, streams: tuple[str, ...], request: int) -> list[str]:  # noqa: ARG002 - the protocol's
        """Return the one subscribe message; the venue knows no request numbers."""
        return [_exchange_message("subscribe", streams)]

    def unsubscribe(self, streams: tuple[str, ...], request: int) -> list[str]:  # noqa: ARG002 - the protocol's
        """Return the one unsubscribe message."""
        return [_exchange_message("unsubscribe", streams)]

    def reply(self, payload: bytes, asked: Mapping[int, tuple[str, ...]]) -> Reply | None:  # noqa: ARG002
        """Read `{"type":"subscriptions","channels":[{"name":..,"product_ids":[..]}]}`, and errors with their reason."""
        message = _possible_reply(payload)
        kind = message.get("type")
        if kind == "error":
            return _refused(message)
        channels = message.get("channels")
        if kind != "subscriptions" or type(channels) is not list:
            return None
        named = [(entry.get("name"), entry.get("product_ids")) for entry in channels if type(entry) is dict]
        return Reply(frozenset(stream for name, told in named if type(name) is str for stream in _streams(name, told)))

    def stream_of(self, payload: bytes) -> str | None:
        """Name the stream by the message's type and product."""
        message = _object(payload)
        kind, told = message.get("type"), message.get("product_id")
        channel = _EXCHANGE_CHANNELS.get(kind) if type(kind) is str else None
        return f"{channel}:{told}" if channel is not None and type(told) is str else None

    def stream(self, dataset: str, instrument: str) -> str:
        """Name the stream of an instrument's trades, quotes or books; KeyError for anything else."""
        channels = {"market.trades": "matches", "market.quotes": "ticker", "market.books": "level2"}
        return f"{channels[dataset]}:{product(instrument)}"


class AdvancedDialect:
    """Advanced Trade: one message a channel, each answer lists all that is subscribed."""

    def url(self, endpoint: Endpoint) -> str:
        """Return the feed's address."""
        return endpoint.base_url

    def subscribe(self, streams: tuple[str, ...], request: int) -> list[str]:  # noqa: ARG002 - the protocol's
        """Return a subscribe message for each channel; the venue knows no request numbers."""
        return _advanced_messages("subscribe", streams)

    def unsubscribe(self, streams: tuple[str, ...], request: int) -> list[str]:  # noqa: ARG002 - the protocol's
        """Return an unsubscribe message for each channel."""
        return _advanced_messages("unsubscribe", streams)

    def reply(self, payload: bytes, asked: Mapping[int, tuple[str, ...]]) -> Reply | None:  # noqa: ARG002
        """Read `{"channel":"subscriptions","events":[{"subscriptions":{"ticker":["BTC-USD"]}}]}`, and errors."""
        message = _possible_reply(payload)
        if message.get("type") == "error":
            return _refused(message)
        events = message.get("events")
        if message.get("channel") != "subscriptions" or type(events) is not list:
            return None
        streams: set[str] = set()
        for event in events:
            listed = event.get("subscriptions") if type(event) is dict else None
            for channel, products in listed.items() if type(listed) is dict else ():
                streams.update(_streams(channel, products))
        return Reply(frozenset(streams))

    def stream_of(self, payload: bytes) -> str | None:
        """Name the stream by the channel and the first product told; recordings show one product a message."""
        message = _object(payload)
        channel = message.get("channel")
        if channel == "heartbeats":
            return "heartbeats"
        known = _ADVANCED_CHANNELS.get(channel) if type(channel) is str else None
        events = message.get("events")
        if known is None or type(events) is not list or not events or type(events[0]) is not dict:
            return None
        name, entries = known
        holder = events[0]
        if entries:
            listed = holder.get(entries)
            holder = listed[0] if type(listed) is list and listed and type(listed[0]) is dict else {}
        told = holder.get("product_id")
        return f"{name}:{told}" if type(told) is str else None

    def stream(self, dataset: str, instrument: str) -> str:
        """Name the stream of an instrument's trades, quotes, books or bars; KeyError for anything else."""
        channels = {
            "market.trades": "market_trades",
            "market.quotes": "ticker",
            "market.books": "level2",
            "market.venue_bars": "candles",
        }
        return f"{channels[dataset]}:{product(instrument)}"


DIALECTS: Mapping[str, Dialect] = {"exchange": ExchangeDialect(), "advanced": AdvancedDialect()}


def _by_channel(streams: tuple[str, ...]) -> dict[str, list[str]]:
    products: dict[str, list[str]] = {}
    for stream in streams:
        channel, _, told = stream.partition(":")
        found = products.setdefault(channel, [])
        if told:
            found.append(told)
    return products


def _exchange_message(kind: str, streams: tuple[str, ...]) -> str:
    channels = [
        {"name": _ASKED.get(channel, channel), "product_ids": products}
        for channel, products in _by_channel(streams).items()
    ]
    return orjson.dumps({"type": kind, "channels": channels}).decode()


def _advanced_messages(kind: str, streams: tuple[str, ...]) -> list[str]:
    return [
        orjson.dumps({"type": kind, "channel": channel, **({"product_ids": products} if products else {})}).decode()
        for channel, products in _by_channel(streams).items()
    ]


def _streams(channel: str, products: object) -> list[str]:
    name = _ANSWERED.get(channel, channel)
    # Channels without products are answered as {"heartbeats":["heartbeats"]}, or with none.
    listed = [told for told in products if type(told) is str] if type(products) is list else []
    return [f"{name}:{told}" for told in listed if told != channel] or [name]


def _possible_reply(payload: bytes) -> dict[str, Any]:
    head = payload[:_HEAD]
    return _object(payload) if b'"subscriptions"' in head or b'"error"' in head else {}


def _object(payload: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return message if type(message) is dict else {}


def _refused(message: dict[str, Any]) -> Reply:
    told = [message[name] for name in ("message", "reason") if type(message.get(name)) is str]
    return Reply(frozenset(), ": ".join(told) or "no reason told")
