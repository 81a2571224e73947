"""How one talks to Binance's market streams: addresses, requests, answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from contracts.books import BOOKS
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources.binance.instruments import symbol_of
from sources.endpoints import Endpoint, Reply

_COMBINED = b'{"stream":"'
_LONGEST_REPLY = 4096
_CHANNELS = {QUOTES.name: "bookTicker", BOOKS.name: "depth@100ms", VENUE_BARS.name: "kline_1m"}
# Only what is documented: spot offers single trades, USD-M aggregated ones.
_TRADES = {"spot": "trade", "usdm": "aggTrade"}
_QUOTE = {"u", "s", "b", "B", "a", "A"}


@dataclass(frozen=True)
class BinanceDialect:
    """The combined stream form, in which every payload names its stream."""

    market: str

    def url(self, endpoint: Endpoint) -> str:
        """Return the address of the combined stream; what is wanted of it is asked for afterwards."""
        return f"{endpoint.base_url.rstrip('/')}/stream"

    def subscribe(self, streams: tuple[str, ...], request: int) -> list[str]:
        """Return the SUBSCRIBE message; the venue answers with its request number."""
        return [_message("SUBSCRIBE", streams, request)]

    def unsubscribe(self, streams: tuple[str, ...], request: int) -> list[str]:
        """Return the UNSUBSCRIBE message."""
        return [_message("UNSUBSCRIBE", streams, request)]

    def reply(self, payload: bytes, asked: Mapping[int, tuple[str, ...]]) -> Reply | None:
        """Read `{"result":null,"id":1}`, and refusals, which carry `error` or, in older form, `code` and `msg`.

        A refusal without a request number names no streams: it is of whatever is unanswered.
        """
        if len(payload) > _LONGEST_REPLY or payload.startswith(_COMBINED):
            return None
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(message, dict) or "stream" in message or "e" in message:
            return None
        refusal = message.get("error") or message.get("msg")
        request = message.get("id")
        if request is None and refusal:
            return Reply(frozenset(), _words(refusal))
        if type(request) is not int or request not in asked:
            return None
        if message.get("result", "absent") is None and not refusal:
            return Reply(frozenset(asked[request]))
        return Reply(frozenset(asked[request]), _words(refusal or message))

    def stream_of(self, payload: bytes) -> str | None:
        """Name the stream on which the venue sends the payload; None when the payload does not tell."""
        if payload.startswith(_COMBINED):
            end = payload.find(b'"', len(_COMBINED))
            return payload[len(_COMBINED) : end].decode("utf-8", "replace") if end > 0 else None
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(message, dict):
            return None
        if isinstance(stream := message.get("stream"), str):
            return stream
        channel, symbol = _channel(message), message.get("s")
        return f"{symbol.lower()}@{channel}" if channel and isinstance(symbol, str) else None

    def stream(self, dataset: str, instrument: str) -> str:
        """Name the stream of an instrument's trades, quotes, books or bars."""
        channel = _TRADES[self.market] if dataset == TRADES.name else _CHANNELS[dataset]
        return f"{symbol_of(self.market, instrument).lower()}@{channel}"


def _message(method: str, streams: tuple[str, ...], request: int) -> str:
    return orjson.dumps({"method": method, "params": list(streams), "id": request}).decode()


def _words(refusal: object) -> str:
    return orjson.dumps(refusal).decode() if isinstance(refusal, dict) else str(refusal)


def _channel(message: dict[str, object]) -> str | None:
    kind = message.get("e")
    if kind is None and message.keys() >= _QUOTE:
        return "bookTicker"
    if not isinstance(kind, str):
        return None
    if kind == "kline":
        candle = message.get("k")
        return f"kline_{candle.get('i')}" if isinstance(candle, dict) else None
    return "depth" if kind == "depthUpdate" else kind


_SPOT, _USDM = BinanceDialect("spot"), BinanceDialect("usdm")
DIALECTS = {"spot": _SPOT, "usdm": _USDM, "usdm_market": _USDM}
