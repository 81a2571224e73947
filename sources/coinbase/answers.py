"""REST answers to events, by the request that they answer."""

import json
from urllib.parse import parse_qsl, unquote

from contracts.books import BOOKS
from contracts.instruments import INSTRUMENTS
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources.coinbase import bars, books, reference, trades
from sources.coinbase.each import each
from sources.coinbase.instruments import instrument
from sources.events import Event, Ignored
from sources.fields import Fault, Message, field, shown, wrong_type

_PREFIX = ["api", "v3", "brokerage"]


def answer(endpoint: str, request: str, message: object, payload: bytes) -> list[Event]:
    """Return the events of an answer; `message` is the payload read as JSON."""
    path, _, asked = request.partition("?")
    parts = [unquote(part) for part in path.strip("/").split("/")]
    query = dict(parse_qsl(asked, keep_blank_values=True))
    dataset = "tape"
    try:
        if endpoint == "advanced":
            dataset, what = _advanced_kind(parts)
            found = _advanced(what, parts, query, message)
        else:
            dataset, what = _exchange_kind(parts)
            found = _exchange(what, parts, query, message, payload)
    except Fault as fault:
        if _refusal(message):
            return [Ignored("subscription_error")]
        return [fault.rejected(dataset)]
    return found or [Ignored("no_trades")]


def _exchange_kind(parts: list[str]) -> tuple[str, str]:
    match parts:
        case ["time"]:
            return "tape", "time"
        case ["products"]:
            return INSTRUMENTS.name, "products"
        case ["products", _]:
            return INSTRUMENTS.name, "product"
        case ["products", _, "trades"]:
            return TRADES.name, "trades"
        case ["products", _, "book"]:
            return BOOKS.name, "book"
        case ["products", _, "candles"]:
            return VENUE_BARS.name, "candles"
    raise Fault("unknown_message", f"answer to {shown('/'.join(parts))}")


def _exchange(what: str, parts: list[str], query: dict[str, str], message: object, payload: bytes) -> list[Event]:
    if what == "time":
        return [Ignored("server_time")]
    if what == "products":
        return each(INSTRUMENTS.name, message, "the answer", reference.exchange_instrument)
    if what == "product":
        return [reference.exchange_instrument(_object(message))]
    product = instrument(parts[1], "the request's product")
    if what == "trades":
        return each(TRADES.name, message, "the answer", lambda entry: trades.exchange_trade(entry, product))
    if what == "book":
        # 1 is best bid and ask, 3 is single orders; neither is a book of levels.
        if query.get("level") != "2":
            return [Ignored("not_collected")]
        return [books.exchange_answer(_object(message), product)]
    width_s = bars.exchange_width(query)
    found: list[Event] = []
    for candle in _candles(payload):
        try:
            found.append(bars.exchange_bar(candle, product, width_s))
        except Fault as fault:
            found.append(fault.rejected(VENUE_BARS.name))
    return found


def _candles(payload: bytes) -> list[object]:
    # Candles are JSON numbers. Read as binary floats they would not be what was sent; so numbers stay text.
    try:
        found = json.loads(payload, parse_float=str, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise Fault("malformed_json", str(error)[:200]) from None
    if type(found) is not list:
        raise wrong_type("the answer", found, "list")
    return found


def _advanced_kind(parts: list[str]) -> tuple[str, str]:
    # Without `market` the same is answered to those who authenticate.
    match [part for part in parts[3:] if part != "market"] if parts[:3] == _PREFIX else []:
        case ["time"]:
            return "tape", "time"
        case ["products"]:
            return INSTRUMENTS.name, "products"
        case ["products", _]:
            return INSTRUMENTS.name, "product"
        case ["products", _, "ticker"]:
            return TRADES.name, "trades"
        case ["products", _, "candles"]:
            return VENUE_BARS.name, "candles"
        case ["product_book"]:
            return BOOKS.name, "book"
    raise Fault("unknown_message", f"answer to {shown('/'.join(parts))}")


def _advanced(what: str, parts: list[str], query: dict[str, str], answered: object) -> list[Event]:
    if what == "time":
        return [Ignored("server_time")]
    message = _object(answered)
    if what == "products":
        return each(INSTRUMENTS.name, field(message, "products"), "products", reference.advanced_instrument)
    if what == "product":
        return [reference.advanced_instrument(message)]
    if what == "trades":
        return each(TRADES.name, field(message, "trades"), "trades", trades.advanced_trade)
    if what == "book":
        limit = query.get("limit", "0")
        return [
            books.advanced_answer(message, int(limit) if limit.isascii() and limit.isdigit() and len(limit) < 7 else 0)
        ]
    product = instrument(parts[-2], "the request's product")
    width_s = bars.advanced_width(query)
    return each(
        VENUE_BARS.name,
        field(message, "candles"),
        "candles",
        lambda candle: bars.advanced_bar(candle, product, width_s, None),
    )


def _object(message: object) -> Message:
    if type(message) is not dict:
        raise wrong_type("the answer", message, "object")
    return message


def _refusal(message: object) -> bool:
    # {"message":"NotFound"}; {"error":"NOT_FOUND","error_details":..,"message":..}
    return type(message) is dict and (type(message.get("message")) is str or type(message.get("error")) is str)
