"""Binance's side of the conversation: the two forms of its streams, requests and answers, reading its books."""

from collections.abc import Mapping
from typing import Any

import orjson

from sources.replay import binance_rest
from sources.replay.book import Book
from sources.replay.memory import Memory
from sources.replay.protocol import BOOK, TRADES, Answer, Answered, Asked, Level, Shelf, Trade, Update


def fit(payload: bytes, stream: str | None, combined: bool) -> bytes:
    """Return the payload in the form asked for: byte for byte when it was recorded so, else wrapped or unwrapped."""
    recorded_combined = payload.startswith(b'{"stream":')
    if recorded_combined == combined or stream is None:
        return payload
    if combined:
        return b'{"stream":' + orjson.dumps(stream) + b',"data":' + payload + b"}"
    prefix = b'{"stream":' + orjson.dumps(stream) + b',"data":'
    if payload.startswith(prefix) and payload.endswith(b"}"):
        return payload[len(prefix) : -1]
    try:
        return orjson.dumps(orjson.loads(payload)["data"])
    except (orjson.JSONDecodeError, KeyError):
        return payload


class BinanceSession:
    """What one connection asked for, and in which form it is sent."""

    def __init__(self) -> None:
        self.combined = False
        self.streams: dict[str, None] = {}

    def enter(self, path: str, query: Mapping[str, str]) -> None:
        """Take the form and the streams that the address names: /ws, /ws/<stream>, /stream?streams=a/b."""
        self.combined = path.startswith("stream")
        named = query.get("streams", "") if self.combined else path.partition("/")[2]
        self.streams |= dict.fromkeys(filter(None, named.split("/")))

    def greeting(self) -> list[bytes]:
        """Say nothing."""
        return []

    def fit(self, payload: bytes, stream: str | None) -> bytes:
        """Return the payload in the connection's form."""
        return fit(payload, stream, self.combined)

    def beat(self, now: float, quiet_since: float) -> list[bytes]:  # noqa: ARG002 - the protocol's
        """Send none: the venue pings."""
        return []

    def answer(self, request: bytes) -> Answered:
        """Act on a request of the client and return the venue's answer."""
        try:
            message = orjson.loads(request)
        except orjson.JSONDecodeError as error:
            return _refusal(3, f"Invalid JSON: {error}", None)
        if not isinstance(message, dict):
            return _refusal(3, "Invalid JSON: expected an object", None)
        number, parameters = message.get("id"), message.get("params", [])
        if number is not None and not isinstance(number, int | str):
            return _refusal(2, "Invalid request: request ID must be an unsigned integer or a string", None)
        method = message.get("method")
        if method == "LIST_SUBSCRIPTIONS":
            return _result(list(self.streams), number)
        if method == "GET_PROPERTY":
            return _result(self.combined, number)
        if method == "SET_PROPERTY" and isinstance(parameters, list) and parameters[:1] == ["combined"]:
            self.combined = parameters[1:] == [True]
            return _result(None, number)
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _refusal(2, f"Invalid request: unknown variant {method!r}", number)
        if not isinstance(parameters, list) or not all(isinstance(name, str) for name in parameters):
            return _refusal(2, "Invalid request: params must be a list of stream names", number)
        for name in parameters:
            if method == "SUBSCRIBE":
                self.streams[name] = None
            else:
                self.streams.pop(name, None)
        return _result(None, number)


def _result(result: object, number: int | str | None) -> Answered:
    return Answered([orjson.dumps({"result": result, "id": number})])


def _refusal(code: int, text: str, number: int | str | None) -> Answered:
    answer: dict[str, object] = {"error": {"code": code, "msg": text}}
    if number is not None:
        answer["id"] = number
    return Answered([orjson.dumps(answer)])


class BinanceFeed:
    """Spot or USD-M. `prefix` is the beginning of the REST side's paths."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def session(self, memory: Memory) -> BinanceSession:  # noqa: ARG002 - the protocol's
        """Begin a conversation."""
        return BinanceSession()

    def is_answer(self, payload: bytes) -> bool:
        """Tell `{"result":null,"id":1}` and refusals."""
        return len(payload) < 1024 and b'"id":' in payload and (b'"result":' in payload or b'"error":' in payload)

    def shelf(self, stream: str) -> Shelf | None:
        """Remember trades by stream, and books by symbol: all its streams of changes tell of one book."""
        symbol, _, channel = stream.partition("@")
        kind = channel.partition("@")[0]
        if kind in ("trade", "aggTrade"):
            return Shelf(TRADES, f"{symbol}@{kind}")
        return Shelf(BOOK, symbol) if kind == "depth" else None

    def shelf_of_answer(self, asked: Asked) -> Shelf | None:
        """Remember snapshots with the changes, and trades with those of the stream."""
        symbol = asked.query.get("symbol", "").lower()
        match asked.path.removeprefix(self._prefix):
            case "depth":
                return Shelf(BOOK, symbol)
            case "aggTrades":
                return Shelf(TRADES, f"{symbol}@aggTrade")
            case "trades" | "historicalTrades":
                return Shelf(TRADES, f"{symbol}@trade")
        return None

    def depth(self, name: str) -> int:  # noqa: ARG002 - the protocol's
        """Keep all levels."""
        return 0

    def update(self, payload: bytes) -> list[Update]:
        """Read a depthUpdate, or the answer to a depth request."""
        message = _data(payload)
        # USD-M alone tells when, of snapshots too.
        about = {"E": message["E"], "T": message["T"]} if "T" in message else {}
        if "lastUpdateId" in message:
            last = int(message["lastUpdateId"])
            return [Update(True, _levels(message["bids"]), _levels(message["asks"]), last, about)]
        return [Update(False, _levels(message["b"]), _levels(message["a"]), int(message["u"]), about)]

    def trades(self, payload: bytes) -> list[Trade]:
        """Read a trade or aggregated trade of the stream, or a page of REST."""
        return binance_rest.trades(_data(payload))

    def first(self, stream: str, last: bytes) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Begin with nothing."""
        return None

    def snapshot(self, stream: str, book: Book) -> bytes | None:  # noqa: ARG002 - the protocol's
        """Begin with nothing: a snapshot is asked of REST."""
        return None

    def is_reference(self, path: str) -> bool:
        """Tell exchangeInfo."""
        return path == f"{self._prefix}exchangeInfo"

    def reference(self, asked: Asked, recorded: Mapping[str, bytes]) -> bytes | None:
        """Return exchangeInfo with the symbols asked for."""
        return binance_rest.chosen(asked, recorded.get(asked.path))

    async def rest(self, asked: Asked, memory: Memory) -> Answer | None:
        """Answer time, depth and trades."""
        if not asked.path.startswith(self._prefix):
            return None
        return await binance_rest.answer(asked.path.removeprefix(self._prefix), asked, memory)

    def refusal(self, status: int, why: str) -> bytes:
        """Say no as the venue does."""
        return orjson.dumps({"code": {429: -1003, 418: -1003, 503: -1008}.get(status, -1100), "msg": why})


def _data(payload: bytes) -> Any:
    message = orjson.loads(payload)
    return message["data"] if isinstance(message, dict) and "stream" in message else message


def _levels(pairs: list[list[str]]) -> list[Level]:
    return [Level(pair[0], pair[1]) for pair in pairs]
