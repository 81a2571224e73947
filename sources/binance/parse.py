"""Binance payloads to events. Pure; any bytes at all give at least one event and no exception."""

from functools import lru_cache
from typing import Any

import orjson

from contracts.trades import PRICE, QUANTITY, TRADES
from sources.binance.config import NAME
from sources.binance.instruments import LONGEST_SYMBOL, instrument
from sources.events import Accepted, Event, Ignored, Rejected
from sources.numbers import NotANumberError, TooManyDigitsError, exact

_LONGEST_ID = 2**63 - 1
# Binance gives milliseconds, and microseconds when asked: 13 digits or 16 in this century.
_MICROSECONDS_FROM = 10**14
_FIRST_TIME = -62_135_596_800_000_000  # year 1
_LAST_TIME = 253_402_300_799_999_999  # year 9999

# Documented messages that no contract covers yet.
_OTHER_KINDS = frozenset(
    {
        "1dTicker", "1hTicker", "24hrMiniTicker", "24hrTicker", "4hTicker", "assetIndexUpdate", "avgPrice",
        "bookTicker", "compositeIndex", "continuous_kline", "contractInfo", "depthUpdate", "forceOrder",
        "indexPriceUpdate", "index_price_kline", "kline", "markPrice_kline", "markPriceUpdate", "tradingSession",
    }
)  # fmt: skip
_NOTICES = frozenset({"serverShutdown", "eventStreamTerminated", "listenKeyExpired"})


class _Fault(Exception):  # noqa: N818 - it never leaves this module
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def parse(endpoint: str, payload: bytes) -> list[Event]:
    """Return the events of a payload: always exactly one, since Binance sends one a message.

    USD-M trades whose `X` is not MARKET (INSURANCE_FUND, ADL, NA, the last with price and quantity zero) are
    positions taken over or closed by the venue; its own aggregated trades leave them out and so do we, with a reason.
    """
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return [Rejected("tape", "malformed_json", str(error)[:200])]
    if isinstance(message, dict):
        if "stream" in message and "data" in message:
            message = message["data"]
        if isinstance(message, dict):
            return [_event(endpoint, message)]
    return [_no_object(message)]


def _event(endpoint: str, message: dict[str, Any]) -> Event:
    kind = message.get("e")
    try:
        if kind == "trade":
            return _trade(endpoint, message)
        if kind == "aggTrade":
            return _aggregate(endpoint, message)
    except _Fault as fault:
        return Rejected(TRADES.name, fault.reason, fault.detail)
    return _other(kind, message)


def _trade(endpoint: str, message: dict[str, Any]) -> Event:
    cause = message.get("X", "MARKET")
    if cause != "MARKET":
        if type(cause) is not str:
            raise _wrong_type("X", cause, "string")
        return Ignored("not_a_market_trade")
    trade_id = _id(message, "t")
    return _row(endpoint, message, f"{endpoint}.trade", trade_id, 1)


def _aggregate(endpoint: str, message: dict[str, Any]) -> Event:
    trade_id, first, last = _id(message, "a"), _id(message, "f"), _id(message, "l")
    return _row(endpoint, message, f"{endpoint}.agg_trade", trade_id, last - first + 1)


def _row(endpoint: str, message: dict[str, Any], id_space: str, trade_id: int, trade_count: int) -> Accepted:
    buyer_is_maker = _field(message, "m")
    if type(buyer_is_maker) is not bool:
        raise _wrong_type("m", buyer_is_maker, "boolean")
    symbol = _field(message, "s")
    if type(symbol) is not str:
        raise _wrong_type("s", symbol, "string")
    return Accepted(
        TRADES.name,
        {
            "venue": NAME,
            "instrument": _instrument(endpoint, symbol),
            "id_space": id_space,
            "trade_id": str(trade_id),
            "venue_sequence": trade_id,
            "price": _number(message, "p", PRICE, "price_digits"),
            "quantity": _number(message, "q", QUANTITY, "quantity_digits"),
            # The maker was there first: when it was the buyer, the aggressor sold.
            "side": "sell" if buyer_is_maker else "buy",
            "trade_count": trade_count,
            "event_time": _time(message),
        },
    )


def _field(message: dict[str, Any], name: str) -> Any:
    try:
        return message[name]
    except KeyError:
        raise _Fault("missing_field", f"no field {name}") from None


def _shown(value: object) -> str:
    # Never the whole of it: a list nested 1,000 deep has no repr within Python's recursion limit.
    if isinstance(value, str):
        return repr(value[:64])
    return type(value).__name__ if isinstance(value, dict | list) else repr(value)


def _wrong_type(name: str, value: object, wanted: str) -> _Fault:
    return _Fault("wrong_type", f"{name} is {_shown(value)}, wanted a {wanted}")


def _id(message: dict[str, Any], name: str) -> int:
    value = _field(message, name)
    if type(value) is not int:  # a boolean is an int to isinstance
        raise _wrong_type(name, value, "integer")
    if not 0 <= value <= _LONGEST_ID:
        raise _Fault("id_out_of_range", f"{name} is {value}, valid: 0 to 2^63-1")
    return value


def _number(message: dict[str, Any], name: str, wanted: Any, too_long: str) -> object:
    value = _field(message, name)
    if type(value) is not str:
        raise _wrong_type(name, value, "string")
    try:
        return exact(value, wanted)
    except NotANumberError:
        raise _Fault("not_a_number", f"{name} is {_shown(value)}") from None
    except TooManyDigitsError:
        limits = f"{wanted.precision - wanted.scale} before the point and {wanted.scale} after it"
        raise _Fault(too_long, f"{name} is {_shown(value)}, valid: {limits}") from None


def _time(message: dict[str, Any]) -> int:
    value = _field(message, "T")
    if type(value) is not int:
        raise _wrong_type("T", value, "integer")
    micros: int = value * 1000 if -_MICROSECONDS_FROM < value < _MICROSECONDS_FROM else value
    if not _FIRST_TIME <= micros <= _LAST_TIME:
        raise _Fault("time_out_of_range", f"T is {value}, valid: years 1 to 9999")
    return micros


@lru_cache(maxsize=4096)
def _instrument(endpoint: str, symbol: str) -> str:
    if not symbol or len(symbol) > LONGEST_SYMBOL or not symbol.isprintable():
        raise _Fault("bad_symbol", f"s is {_shown(symbol)}")
    return instrument(endpoint, symbol)


def _other(kind: object, message: dict[str, Any]) -> Event:
    if type(kind) is str:
        if kind in _OTHER_KINDS:
            return Ignored("not_collected_yet")
        if kind in _NOTICES:
            return Ignored("venue_notice")
        return Rejected("tape", "unknown_message", f"e is {_shown(kind)}")
    if kind is None:
        if "id" in message:
            if message.get("result", "absent") is None or isinstance(message.get("result"), list):
                return Ignored("subscription_reply")
            if "error" in message or "code" in message:
                return Ignored("subscription_error")
        # Spot's best bid and ask, partial books and book snapshots don't name their kind.
        if {"u", "s", "b", "B", "a", "A"} <= message.keys() or {"lastUpdateId", "bids", "asks"} <= message.keys():
            return Ignored("not_collected_yet")
        if "error" in message or {"code", "msg"} <= message.keys():
            return Ignored("subscription_error")
    return Rejected("tape", "unknown_message", f"object with fields {', '.join(sorted(message)[:12]):.120}")


def _no_object(message: object) -> Event:
    # Streams of all symbols (!ticker@arr) send lists; one event stands for the list, or a hostile payload of a
    # million entries would be quarantined a million times.
    if isinstance(message, list) and message:
        kinds = [entry.get("e") if isinstance(entry, dict) else None for entry in message]
        if all(type(kind) is str and kind in _OTHER_KINDS for kind in kinds):
            return Ignored("not_collected_yet")
    return Rejected("tape", "unknown_message", f"{_shown(message)} where an object was wanted")
