"""Kraken payloads to events. Pure; any bytes at all give at least one event and no exception."""

from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import orjson

from contracts.books import BOOKS
from contracts.quotes import QUOTES
from contracts.venue_bars import VENUE_BARS
from sources.events import Event, Ignored, Rejected
from sources.fields import Fault, Message, shown, wrong_type
from sources.kraken.bars import V1_BARS, rest_bars, v1_bar, v2_bar
from sources.kraken.books import V1_BOOKS, rest_book, v1_book, v2_book
from sources.kraken.numbers import loads
from sources.kraken.quotes import v1_spread, v1_ticker, v2_ticker
from sources.kraken.reference import rest_instruments, v2_instruments
from sources.kraken.trades import rest_trades, v1_trades, v2_trades

_V1_EVENTS = {"heartbeat": "heartbeat", "pong": "heartbeat", "systemStatus": "venue_notice"}
_V2_CHANNELS = {"heartbeat": "heartbeat", "status": "venue_notice", "level3": "not_collected"}
_V2_METHODS = {"subscribe": "subscription_reply", "unsubscribe": "subscription_reply", "pong": "heartbeat"}
_V2_DATASETS = {"book": BOOKS.name, "ticker": QUOTES.name, "ohlc": VENUE_BARS.name}
_REST_OTHERS = {
    "Assets": "not_collected",
    "GroupedBook": "not_collected",
    "Spread": "not_collected",
    "SystemStatus": "venue_notice",
    "Ticker": "not_collected",
    "Time": "server_time",
}


def parse(endpoint: str, payload: bytes, request: str = "") -> list[Event]:
    """Return the events of a payload: one a trade, a candle, an instrument, a book or update, a quote."""
    try:
        if request:
            return _rest(endpoint, loads(payload), _asked(request))
        if endpoint == "v1":
            return _v1(orjson.loads(payload))
        return _v2(loads(payload))
    except ValueError as error:
        return [Rejected("tape", "malformed_json", str(error)[:200])]


def _v1(message: Any) -> list[Event]:
    """Read `[channel number, data..., channel, pair]`, or an object that speaks of the connection."""
    if type(message) is dict:
        return [_v1_event(message)]
    if type(message) is not list or len(message) < 4 or type(message[-2]) is not str:
        return [_unknown(message)]
    channel, pair = message[-2], message[-1]
    dataset = "tape"
    try:
        if channel in V1_BOOKS:
            dataset = BOOKS.name
            return [v1_book(message[1:-2], channel, pair)]
        if len(message) != 4:
            return [_unknown(message)]
        if channel == "trade":
            return v1_trades(message[1], pair)
        if channel == "spread":
            dataset = QUOTES.name
            return [v1_spread(message[1], pair)]
        if channel == "ticker":
            dataset = QUOTES.name
            return [v1_ticker(message[1], pair)]
        if channel in V1_BARS:
            dataset = VENUE_BARS.name
            return [v1_bar(message[1], channel, pair)]
    except Fault as fault:
        return [fault.rejected(dataset)]
    return [Rejected("tape", "unknown_message", f"channel is {shown(channel)}")]


def _v1_event(message: Message) -> Event:
    event = message.get("event")
    if type(event) is str and event in _V1_EVENTS:
        return Ignored(_V1_EVENTS[event])
    if event == "subscriptionStatus":
        return Ignored("subscription_error" if message.get("status") == "error" else "subscription_reply")
    if event == "error":
        return Ignored("subscription_error")
    return _unknown(message)


def _v2(message: Any) -> list[Event]:
    """Read `{"channel", "type", "data"}`, or the answer to a `method`."""
    if type(message) is not dict:
        return [_unknown(message)]
    channel, data = message.get("channel"), message.get("data")
    if type(channel) is not str:
        return [_v2_answer(message)]
    if channel == "trade":
        return v2_trades(data)
    if channel == "instrument":
        return v2_instruments(data)
    if channel in _V2_CHANNELS:
        return [Ignored(_V2_CHANNELS[channel])]
    dataset = _V2_DATASETS.get(channel)
    if dataset is None:
        return [Rejected("tape", "unknown_message", f"channel is {shown(channel)}")]
    if type(data) is not list or not data:
        return [wrong_type("data", data, "list that is not empty").rejected(dataset)]
    return [_v2_entry(channel, dataset, message, entry) for entry in data]


def _v2_entry(channel: str, dataset: str, message: Message, entry: Any) -> Event:
    try:
        if type(entry) is not dict:
            raise wrong_type("data", entry, "list of objects")
        if channel == "book":
            return v2_book(entry, message.get("type"))
        if channel == "ticker":
            return v2_ticker(entry)
        return v2_bar(entry, message)
    except Fault as fault:
        return fault.rejected(dataset)


def _v2_answer(message: Message) -> Event:
    if message.get("success") is False or "error" in message:
        return Ignored("subscription_error")
    method = message.get("method")
    if type(method) is str and method in _V2_METHODS:
        return Ignored(_V2_METHODS[method])
    return _unknown(message)


class _Asked(NamedTuple):
    """What a REST request asked for. `pair` is empty unless it names it as the feeds do; the numbers as documented."""

    kind: str
    pair: str
    minutes: int
    depth: int


@lru_cache(maxsize=1024)
def _asked(request: str) -> _Asked:
    parts = urlsplit(request)
    query = parse_qs(parts.query)
    pair = query.get("pair", [""])[-1]
    return _Asked(
        parts.path.rpartition("/")[2],
        pair if "/" in pair else "",
        _whole(query.get("interval", [""])[-1], 1),
        _whole(query.get("count", [""])[-1], 100),
    )


def _whole(written: str, default: int) -> int:
    return int(written) if written.isascii() and written.isdigit() and len(written) < 6 else default


def _rest(endpoint: str, message: Any, asked: _Asked) -> list[Event]:
    """Read `{"error": [...], "result": {...}}`."""
    if type(message) is not dict:
        return [_unknown(message)]
    if message.get("error"):
        return [Ignored("subscription_error")]
    result = message.get("result")
    if asked.kind in _REST_OTHERS and "result" in message:
        return [Ignored(_REST_OTHERS[asked.kind])]
    if type(result) is not dict:
        return [_unknown(message)]
    if asked.kind == "AssetPairs":
        return rest_instruments(endpoint, result)
    answers = [name for name in result if name != "last"]
    if asked.kind not in ("Trades", "OHLC", "Depth") or len(answers) != 1:
        return [Rejected("tape", "unknown_message", f"{len(answers)} answers to {shown(asked.kind)}, wanted one")]
    # A recording of others may have asked by REST's own name: then it is called as the answer calls it.
    told, pair = result[answers[0]], asked.pair or answers[0]
    if asked.kind == "Trades":
        return rest_trades(endpoint, told, pair)
    if asked.kind == "OHLC":
        return rest_bars(endpoint, told, pair, asked.minutes)
    try:
        return [rest_book(endpoint, told, pair, asked.depth)]
    except Fault as fault:
        return [fault.rejected(BOOKS.name)]


def _unknown(message: object) -> Rejected:
    if type(message) is dict:
        shape = f"object with fields {', '.join(map(shown, sorted(message)[:12])):.160}"
    else:
        shape = f"{shown(message)} where an object or a list was wanted"
    return Rejected("tape", "unknown_message", shape)
