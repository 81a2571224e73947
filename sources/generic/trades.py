"""Trades from ccxt's trade structures."""

import decimal
from collections import Counter

from contracts.trades import PRICE, QUANTITY, SIDES, TRADES
from sources.events import Accepted
from sources.fields import LONGEST_ID, Fault, Message, shown, symbol, wrong_type
from sources.generic.numbers import milliseconds, number, plain

ID_SPACE = "trade"


def own_id(entry: Message) -> str:
    """Return the venue's id of the trade, empty where it gives none."""
    told = entry.get("id")
    if told is None or told == "":
        return ""
    if type(told) is int:
        return str(told)
    if type(told) is not str:
        raise wrong_type("id", told, "string")
    return told


def alike(entry: Message) -> str:
    """Return what is told of a trade besides its id, as one text for equal ones. Raises Fault."""
    return _alike(*_told(entry))


def _told(entry: Message) -> tuple[int, decimal.Decimal, decimal.Decimal, str]:
    time = milliseconds(entry.get("timestamp"), "timestamp")
    price = number(entry.get("price"), "price", PRICE, "price_digits")
    quantity = number(entry.get("amount"), "amount", QUANTITY, "quantity_digits")
    side = entry.get("side")
    if side is None:
        raise Fault("missing_field", "ccxt tells no side")
    if type(side) is not str or side not in SIDES:
        raise Fault("wrong_type", f"side is {shown(side)}, wanted buy or sell")
    return time, price, quantity, side


def _alike(time: int, price: decimal.Decimal, quantity: decimal.Decimal, side: str) -> str:
    return f"{time}:{plain(price)}:{plain(quantity)}:{side}"


def trade(venue: str, asked_symbol: str, entry: Message, counts: Counter[str]) -> Accepted:
    """Read a trade; `counts` counts equal ones without an id within the payload.

    ccxt's `side` is the taker's: the aggressor's. Without an id, what is told of the trade is its id, and its number
    among equal ones; the poller writes that number down, since it leaves out what the tape has already. The venue's
    order is its id where that is a number, else the time.
    """
    time, price, quantity, side = _told(entry)
    trade_id, sequence = own_id(entry), time
    if not trade_id:
        without_id = _alike(time, price, quantity, side)
        occurrence = entry.get("occurrence", counts[without_id])
        if type(occurrence) is not int or occurrence < 0:
            raise wrong_type("occurrence", occurrence, "number from 0")
        counts[without_id] += 1
        trade_id = f"{without_id}:{occurrence}"
    elif len(trade_id) <= 19 and trade_id.isascii() and trade_id.isdigit() and int(trade_id) <= LONGEST_ID:
        sequence = int(trade_id)
    told_symbol = entry.get("symbol")
    return Accepted(
        TRADES.name,
        {
            "venue": venue,
            "instrument": symbol(asked_symbol if told_symbol is None else told_symbol, "symbol"),
            "id_space": ID_SPACE,
            "trade_id": trade_id,
            "venue_sequence": sequence,
            "price": price,
            "quantity": quantity,
            "side": side,
            "trade_count": 1,
            "event_time": time,
        },
    )
