"""Instruments from ccxt's market structures."""

import decimal

from contracts.instruments import INSTRUMENTS
from contracts.trades import PRICE, QUANTITY
from sources.events import Accepted, Ignored
from sources.fields import Fault, Message, shown, symbol
from sources.generic.config import INSTRUMENTS as ID_SPACE
from sources.generic.numbers import inner, number

# ccxt's ways to tell a precision.
DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE = 2, 3, 4

_KINDS = {"spot": "spot", "swap": "perpetual", "future": "future"}
_NOT_TOLD = decimal.Decimal(0)
_MOST_PLACES = 12


def instrument(venue: str, entry: Message, precision_mode: object) -> Accepted | Ignored:
    """Read a market. Options and indices are not collected. What is listed without saying whether it trades does."""
    kind = _KINDS.get(str(entry.get("type")))
    if kind is None:
        return Ignored("not_collected")
    least = inner(entry, "limits", "amount", "min")
    return Accepted(
        INSTRUMENTS.name,
        {
            "venue": venue,
            "instrument": symbol(entry.get("symbol"), "symbol"),
            "id_space": ID_SPACE,
            "symbol": symbol(entry.get("id"), "id"),
            "kind": kind,
            "base": symbol(entry.get("base"), "base"),
            "quote": symbol(entry.get("quote"), "quote"),
            "price_step": _step(inner(entry, "precision", "price"), precision_mode, "precision.price", "price_digits"),
            "quantity_step": _step(
                inner(entry, "precision", "amount"), precision_mode, "precision.amount", "quantity_digits"
            ),
            "quantity_least": _NOT_TOLD if least is None else number(least, "least", QUANTITY, "quantity_digits"),
            "state": "halted" if entry.get("active") is False else "trading",
        },
    )


def _step(told: object, mode: object, name: str, too_long: str) -> decimal.Decimal:
    """Return the step that a precision means; 0, not told, where it is in significant digits: that is no step."""
    if told is None or mode == SIGNIFICANT_DIGITS:
        return _NOT_TOLD
    if mode == TICK_SIZE:
        return number(told, name, PRICE, too_long)
    if mode != DECIMAL_PLACES:
        raise Fault("wrong_type", f"precision_mode is {shown(mode)}, valid: 2, 3, 4")
    places = number(told, name, PRICE, too_long)
    if places != places.to_integral_value() or abs(places) > _MOST_PLACES:
        raise Fault(too_long, f"{name} is {shown(told)} places, valid: -{_MOST_PLACES} to {_MOST_PLACES}")
    return decimal.Decimal(1).scaleb(-int(places))
