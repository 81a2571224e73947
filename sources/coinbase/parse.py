"""Coinbase payloads to events. Pure; any bytes at all give at least one event and no exception."""

from collections.abc import Callable

import orjson

from contracts.books import BOOKS
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources.coinbase import answers, bars, books, quotes, trades
from sources.coinbase.each import each
from sources.events import Event, Ignored, Rejected
from sources.fields import Fault, Message, field, iso_time, shown, wrong_type

_EXCHANGE: dict[str, tuple[str, Callable[[Message], Event]]] = {
    "l2update": (BOOKS.name, books.exchange_update),
    "ticker": (QUOTES.name, quotes.exchange_quote),
    "match": (TRADES.name, trades.exchange_trade),
    "last_match": (TRADES.name, trades.last_match),
    "snapshot": (BOOKS.name, books.exchange_snapshot),
}
# What both feeds send besides, and what the Exchange sends on channels of single orders.
_WITHOUT_EVENT = {
    "subscriptions": "subscription_reply",
    "error": "subscription_error",
    "status": "venue_notice",
    "heartbeats": "heartbeat",
    # It tells the last trade's id too, but comes as well to those who did not ask for trades and miss none.
    "heartbeat": "heartbeat",
    "received": "not_collected",
    "open": "not_collected",
    "done": "not_collected",
    "change": "not_collected",
    "activate": "not_collected",
    "auction": "not_collected",
    "rfq_match": "not_collected",
    "user": "not_collected",
    "futures_balance_summary": "not_collected",
}


def parse(endpoint: str, payload: bytes, request: str = "") -> list[Event]:
    """Return the events of a payload: one for each trade, quote, candle and product, and one for each book message."""
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return [Rejected("tape", "malformed_json", str(error)[:200])]
    if request:
        return answers.answer(endpoint, request, message, payload)
    if type(message) is not dict:
        return [Rejected("tape", "unknown_message", f"{shown(message)} where an object was wanted")]
    return _advanced(message) if endpoint == "advanced" else [_exchange(message)]


def _exchange(message: Message) -> Event:
    kind = message.get("type")
    if type(kind) is str:
        if (known := _EXCHANGE.get(kind)) is not None:
            dataset, read = known
            try:
                return read(message)
            except Fault as fault:
                return fault.rejected(dataset)
        if (reason := _WITHOUT_EVENT.get(kind)) is not None:
            return Ignored(reason)
    return _unknown(message, "type")


def _advanced(message: Message) -> list[Event]:
    channel = message.get("channel")
    if type(channel) is not str:
        return [Ignored("subscription_error") if message.get("type") == "error" else _unknown(message, "channel")]
    if (reason := _WITHOUT_EVENT.get(channel)) is not None:
        return [Ignored(reason)]
    if channel not in _ADVANCED:
        return [_unknown(message, "channel")]
    dataset, read = _ADVANCED[channel]
    try:
        sent_time = iso_time(message, "timestamp")
        events = field(message, "events")
        if type(events) is not list:
            raise wrong_type("events", events, "list")
    except Fault as fault:
        return [fault.rejected(dataset)]
    found: list[Event] = []
    for event in events:
        try:
            if type(event) is not dict:
                raise wrong_type("events", event, "list of objects")
            found += read(event, sent_time)
        except Fault as fault:
            found.append(fault.rejected(dataset))
    return found or [Ignored("no_trades")]


def _books(event: Message, sent_time: int) -> list[Event]:
    return [books.advanced_book(event, sent_time)]


def _trades(event: Message, _sent_time: int) -> list[Event]:
    # A subscription begins with the last trades: ids tell which of them are new.
    return each(TRADES.name, field(event, "trades"), "trades", trades.advanced_trade)


def _quotes(event: Message, sent_time: int) -> list[Event]:
    return each(QUOTES.name, field(event, "tickers"), "tickers", lambda entry: quotes.advanced_quote(entry, sent_time))


def _bars(event: Message, sent_time: int) -> list[Event]:
    def read(candle: Message) -> Event:
        return bars.advanced_bar(candle, field(candle, "product_id"), bars.FEED_WIDTH_S, sent_time)

    return each(VENUE_BARS.name, field(event, "candles"), "candles", read)


_ADVANCED: dict[str, tuple[str, Callable[[Message, int], list[Event]]]] = {
    "l2_data": (BOOKS.name, _books),
    "market_trades": (TRADES.name, _trades),
    "ticker": (QUOTES.name, _quotes),
    "ticker_batch": (QUOTES.name, _quotes),
    "candles": (VENUE_BARS.name, _bars),
}


def _unknown(message: Message, name: str) -> Rejected:
    if name in message:
        return Rejected("tape", "unknown_message", f"{name} is {shown(message[name])}")
    return Rejected("tape", "unknown_message", f"object with fields {', '.join(sorted(message)[:12]):.120}")
