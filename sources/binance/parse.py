"""Binance payloads to events. Pure; any bytes at all give at least one event and no exception."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson

from contracts.books import BOOKS
from contracts.instruments import INSTRUMENTS
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources import fields
from sources.binance import instruments
from sources.binance.bars import bar, listed_bar
from sources.binance.books import delta, snapshot
from sources.binance.config import MARKETS, REST_PATHS
from sources.binance.quotes import quote, untimed_quote
from sources.binance.reference import listed_instrument
from sources.binance.trades import aggregate, listed_aggregate, listed_trade, trade
from sources.events import Event, Ignored, Rejected

_Read = Callable[[str, fields.Message], Event]
_READERS: dict[str, tuple[str, _Read]] = {
    "trade": (TRADES.name, trade),
    "aggTrade": (TRADES.name, aggregate),
    "bookTicker": (QUOTES.name, quote),
    "depthUpdate": (BOOKS.name, delta),
    "kline": (VENUE_BARS.name, bar),
}
# Documented messages that no contract covers.
_OTHER_KINDS = frozenset(
    {
        "1dTicker", "1hTicker", "24hrMiniTicker", "24hrTicker", "4hTicker", "assetIndexUpdate", "avgPrice",
        "blockTrade", "compositeIndex", "continuous_kline", "contractInfo", "forceOrder", "indexPriceUpdate",
        "index_price_kline", "markPrice_kline", "markPriceUpdate", "referencePrice", "tradingSession",
    }
)  # fmt: skip
_NOTICES = frozenset({"serverShutdown", "eventStreamTerminated", "listenKeyExpired"})
# Spot's best bid and ask, and book snapshots, don't name their kind.
_QUOTE = {"u", "s", "b", "B", "a", "A"}
_SNAPSHOT = {"lastUpdateId", "bids", "asks"}


def parse(endpoint: str, payload: bytes, request: str = "") -> list[Event]:
    """Return the events of a payload: one for a message of the stream, one for each entry that REST lists."""
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return [Rejected("tape", "malformed_json", str(error)[:200])]
    market = MARKETS.get(endpoint, endpoint)
    if request:
        return _answer(market, message, request)
    if type(message) is not dict:
        return [_no_object(message)]
    if "stream" not in message or "data" not in message:
        return [_event(market, message)]
    data, stream = message["data"], message["stream"]
    if type(data) is not dict:
        return [_no_object(data)]
    if type(stream) is str and _is_left_out(stream):
        return [Ignored("not_collected")]
    return [_event(market, data)]


@lru_cache(maxsize=4096)
def _is_left_out(stream: str) -> bool:
    """Tell streams whose messages look like others': partial and RPI books like deltas, days of UTC+8 like UTC's."""
    _, _, channel = stream.partition("@")
    kind, _, more = channel.partition("@")
    is_book = kind.startswith("depth") or kind == "rpiDepth"
    return (is_book and kind != "depth") or (kind.startswith("kline_") and more != "")


def _event(market: str, message: fields.Message) -> Event:
    kind = message.get("e")
    reader = _READERS.get(kind) if type(kind) is str else None
    if reader is None:
        if kind is not None or not message.keys() >= _QUOTE:
            return _other(kind, message)
        reader = (QUOTES.name, untimed_quote)
    dataset, read = reader
    try:
        return read(market, message)
    except fields.Fault as fault:
        return fault.rejected(dataset)


def _other(kind: object, message: fields.Message) -> Event:
    if type(kind) is str:
        if kind in _OTHER_KINDS:
            return Ignored("not_collected")
        if kind in _NOTICES:
            return Ignored("venue_notice")
        return Rejected("tape", "unknown_message", f"e is {fields.shown(kind)}")
    if kind is None:
        if "id" in message:
            if message.get("result", "absent") is None or isinstance(message.get("result"), list):
                return Ignored("subscription_reply")
            if "error" in message or "code" in message:
                return Ignored("subscription_error")
        if message.keys() >= _SNAPSHOT:
            return Rejected(BOOKS.name, "missing_field", "a book without its symbol, and no request that tells it")
        if _is_refusal(message):
            return Ignored("subscription_error")
    return Rejected("tape", "unknown_message", f"object with fields {', '.join(sorted(message)[:12]):.120}")


def _is_refusal(message: fields.Message) -> bool:
    return "error" in message or message.keys() >= {"code", "msg"}


def _no_object(message: object) -> Event:
    # Streams of all symbols (!ticker@arr) send lists; one event stands for the list, or a hostile payload of a
    # million entries would be quarantined a million times.
    if isinstance(message, list) and message:
        kinds = [entry.get("e") if isinstance(entry, dict) else None for entry in message]
        if all(type(kind) is str and kind in _OTHER_KINDS for kind in kinds):
            return Ignored("not_collected")
    return Rejected("tape", "unknown_message", f"{fields.shown(message)} where an object was wanted")


class _Asked(NamedTuple):
    """What a request asks for: the path's last word, and of what."""

    path: str
    symbol: str
    interval: str


@lru_cache(maxsize=4096)
def _asked(market: str, request: str) -> _Asked | None:
    """Read a request; None when it is none of the market's."""
    try:
        parts = urlsplit(request)
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        return None
    base = REST_PATHS.get(market)
    if base is None or not parts.path.startswith(base):
        return None
    return _Asked(parts.path.removeprefix(base), query.get("symbol", [""])[0], query.get("interval", [""])[0])


def _answer(market: str, message: Any, request: str) -> list[Event]:
    asked = _asked(market, request)
    answers = _ANSWERS.get(asked.path) if asked else None
    if asked is None or answers is None:
        return [Rejected("tape", "unknown_message", f"an answer to {fields.shown(request)}")]
    if type(message) is dict and _is_refusal(message):
        return [Ignored("subscription_error")]
    dataset, read = answers
    try:
        return read(market, asked, message) or [Ignored("no_trades")]
    except fields.Fault as fault:
        return [fault.rejected(dataset)]


def _instrument(market: str, asked: _Asked) -> str:
    return instruments.named(market, {"symbol": asked.symbol}, "symbol")


def _object(message: object, name: str) -> fields.Message:
    if type(message) is not dict:
        raise fields.wrong_type(name, message, "object")
    return message


def _entries(message: object, name: str) -> list[Any]:
    if type(message) is not list:
        raise fields.wrong_type(name, message, "list")
    return message


def _each(dataset: str, entries: list[Any], read: Callable[[int, Any], Event]) -> list[Event]:
    """Read every entry; one that can't be accepted does not harm its neighbours."""
    events: list[Event] = []
    for place, entry in enumerate(entries):
        try:
            events.append(read(place, entry))
        except fields.Fault as fault:
            events.append(Rejected(dataset, fault.reason, f"entry {place}: {fault.detail}"))
    return events


def _trades(market: str, asked: _Asked, message: object) -> list[Event]:
    instrument = _instrument(market, asked)
    read = listed_aggregate if asked.path == "aggTrades" else listed_trade
    return _each(
        TRADES.name, _entries(message, "trades"), lambda _, entry: read(market, instrument, _object(entry, "trade"))
    )


def _bars(market: str, asked: _Asked, message: object) -> list[Event]:
    instrument = _instrument(market, asked)
    listed = _entries(message, "klines")
    # The newest may still be open, and nothing in it tells; the others were followed by one.
    last = len(listed) - 1
    return _each(
        VENUE_BARS.name,
        listed,
        lambda place, entry: listed_bar(
            market, instrument, asked.interval, entry, "final" if place < last else "unknown"
        ),
    )


def _book(market: str, asked: _Asked, message: object) -> list[Event]:
    return [snapshot(market, _instrument(market, asked), _object(message, "depth"))]


def _instruments(market: str, _: _Asked, message: object) -> list[Event]:
    listed = _entries(fields.field(_object(message, "exchangeInfo"), "symbols"), "symbols")
    return _each(INSTRUMENTS.name, listed, lambda _, entry: listed_instrument(market, _object(entry, "symbol")))


def _clock(_market: str, _: _Asked, message: object) -> list[Event]:
    fields.epoch_time(_object(message, "time"), "serverTime")
    return [Ignored("server_time")]


_ANSWERS: dict[str, tuple[str, Callable[[str, _Asked, object], list[Event]]]] = {
    "depth": (BOOKS.name, _book),
    "aggTrades": (TRADES.name, _trades),
    "historicalTrades": (TRADES.name, _trades),
    "trades": (TRADES.name, _trades),
    "klines": (VENUE_BARS.name, _bars),
    "exchangeInfo": (INSTRUMENTS.name, _instruments),
    "time": ("tape", _clock),
}
