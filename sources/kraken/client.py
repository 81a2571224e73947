"""How one talks to Kraken's feeds: addresses, requests, answers, and the names of streams.

A stream is a channel and a pair, `trade:XBT/USD`; depth and minutes belong to the channel, as v1 writes them:
`book-1000:XBT/USD`, `ohlc-1:XBT/USD`. The channel `instrument` of v2 has no pair.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import orjson

from contracts.errors import TerminalError
from sources.endpoints import Dialect, Endpoint, Reply
from sources.kraken.config import DEPTHS, INTERVALS, V2_DEPTH

_PLAIN = {"v1": ("trade", "ticker", "spread"), "v2": ("trade", "ticker", "instrument")}
_DEPTHS = {"v1": DEPTHS, "v2": (V2_DEPTH,)}
_QUOTES = {"v1": "spread", "v2": "ticker"}  # v1's ticker tells no time


class _Dialect:
    """What both feeds have in common."""

    version = ""

    def url(self, endpoint: Endpoint) -> str:
        """Return the address; what is wanted of it is asked for afterwards."""
        return endpoint.base_url

    def subscribe(self, streams: tuple[str, ...], request: int) -> list[str]:
        """Return a message for each channel; TerminalError names a stream that Kraken does not have."""
        return self._messages("subscribe", streams, request)

    def unsubscribe(self, streams: tuple[str, ...], request: int) -> list[str]:
        """Return a message for each channel."""
        return self._messages("unsubscribe", streams, request)

    def stream(self, dataset: str, instrument: str) -> str:
        """Name the stream of an instrument's trades, quotes or books."""
        channels = {"market.trades": "trade", "market.quotes": _QUOTES[self.version], "market.books": "book-1000"}
        return f"{channels[dataset]}:{instrument}"

    def _messages(self, verb: str, streams: tuple[str, ...], request: int) -> list[str]:
        messages = []
        for number, (channel, pairs) in enumerate(_by_channel(streams), request):
            name, option = _channel(self.version, channel)
            messages.append(orjson.dumps(self._message(verb, name, option, pairs, number)).decode())
        return messages

    def _message(self, verb: str, name: str, option: dict[str, int], pairs: list[str], request: int) -> dict[str, Any]:
        raise NotImplementedError


class V1Dialect(_Dialect):
    """WebSocket v1."""

    version = "v1"

    def reply(self, payload: bytes, asked: Mapping[int, tuple[str, ...]]) -> Reply | None:
        """Read a subscriptionStatus, one for each pair, or the answer to a request that Kraken could not read."""
        if b'"event"' not in payload or b'"heartbeat"' in payload:
            return None
        message = _object(payload)
        error = str(message.get("errorMessage") or "refused")
        if message.get("event") == "error":
            return Reply(frozenset(asked.get(_request(message.get("reqid")), ())), error)
        if message.get("event") != "subscriptionStatus":
            return None
        status, wanted, pair = message.get("status"), message.get("subscription"), message.get("pair")
        if status == "subscribed":
            return Reply(frozenset({f"{message.get('channelName')}:{pair}"}))
        # Of an end that was asked for nothing is told; that there was nothing to end harms nobody.
        if status != "error" or error.casefold() == "subscription not found" or not isinstance(wanted, dict):
            return None
        option = wanted.get("depth", wanted.get("interval"))
        channel = f"{wanted.get('name')}" if option is None else f"{wanted.get('name')}-{option}"
        streams = {f"{channel}:{pair}"} if pair else asked.get(_request(message.get("reqid")), ())
        return Reply(frozenset(streams), error)

    def stream_of(self, payload: bytes) -> str | None:
        """Name the channel and pair that end every array."""
        if not payload.startswith(b"["):
            return None
        try:
            *_, channel, pair = orjson.loads(payload)
        except ValueError:
            return None
        return f"{channel}:{pair}" if isinstance(channel, str) and isinstance(pair, str) else None

    def _message(self, verb: str, name: str, option: dict[str, int], pairs: list[str], request: int) -> dict[str, Any]:
        return {"event": verb, "reqid": request, "pair": pairs, "subscription": {"name": name} | option}


class V2Dialect(_Dialect):
    """WebSocket v2."""

    version = "v2"

    def reply(self, payload: bytes, asked: Mapping[int, tuple[str, ...]]) -> Reply | None:
        """Read the answer to a subscription, one for each symbol; a refusal names the symbol and not the channel.

        Depths and intervals are never refused, since subscribe() asks for none that Kraken does not have. So a
        refusal is of the symbol, in all of its channels.
        """
        if b'"method"' not in payload and b'"error"' not in payload:
            return None
        message = _object(payload)
        result = message.get("result")
        if message.get("method") not in ("subscribe", None) or "channel" in message:
            return None
        if message.get("success") is True and isinstance(result, dict):
            return Reply(frozenset({_named(result.get("channel"), result.get("interval"), result.get("symbol"))}))
        if "error" not in message:
            return None
        error, symbol = str(message["error"]), message.get("symbol")
        streams = asked.get(_request(message.get("req_id"))) or {stream for each in asked.values() for stream in each}
        refused = frozenset(stream for stream in streams if symbol is None or stream.partition(":")[2] == symbol)
        if not refused and symbol is not None:
            return None
        return Reply(refused, "" if error == "Already subscribed" else error)

    def stream_of(self, payload: bytes) -> str | None:
        """Name the stream by channel and first symbol: Kraken sends no message about several."""
        try:
            message = orjson.loads(payload)
        except ValueError:
            return None
        if not isinstance(message, dict) or message.get("channel") in (None, "heartbeat", "status"):
            return None
        data = message.get("data")
        first = data[0] if isinstance(data, list) and data else {}
        if not isinstance(first, dict):
            return None
        return _named(message["channel"], first.get("interval"), first.get("symbol"))

    def _message(self, verb: str, name: str, option: dict[str, int], pairs: list[str], request: int) -> dict[str, Any]:
        params: dict[str, Any] = {"channel": name}
        if name != "instrument":
            params["symbol"] = pairs
        if name == "ticker":
            # Otherwise trades alone bring an update, and the best prices in between stay unknown.
            params["event_trigger"] = "bbo"
        if verb == "subscribe":
            params["snapshot"] = True
        return {"method": verb, "params": params | option, "req_id": request}


def _by_channel(streams: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    pairs = sorted((stream.partition(":")[0], stream.partition(":")[2]) for stream in streams)
    for channel, group in groupby(pairs, key=lambda pair: pair[0]):
        yield channel, [pair for _, pair in group]


def _channel(version: str, channel: str) -> tuple[str, dict[str, int]]:
    """Split a stream's channel into Kraken's name and the option that goes with it."""
    name, _, option = channel.partition("-")
    valid = {"book": _DEPTHS[version], "ohlc": INTERVALS}.get(name, ())
    if option.isdecimal() and int(option) in valid:
        return name, {"depth" if name == "book" else "interval": int(option)}
    if option or name not in _PLAIN[version]:
        books = ", ".join(f"book-{depth}" for depth in _DEPTHS[version])
        raise TerminalError(
            f"Kraken's {version} has no channel {channel!r}; valid: {', '.join(_PLAIN[version])}, {books}, "
            f"ohlc- with minutes of {', '.join(map(str, INTERVALS))}"
        )
    return name, {}


def _named(channel: object, interval: object, symbol: object) -> str:
    if channel == "book":
        channel = f"book-{V2_DEPTH}"
    elif channel == "ohlc":
        channel = f"ohlc-{interval}"
    return f"{channel}" if symbol is None else f"{channel}:{symbol}"


def _object(payload: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(payload)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _request(number: object) -> int:
    return number if type(number) is int else -1


DIALECTS: Mapping[str, Dialect] = {"v1": V1Dialect(), "v2": V2Dialect()}
