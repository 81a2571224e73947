"""Kraken's numbers: JSON numbers with the digits that were sent, and times in seconds."""

import json
import re
from decimal import Decimal
from typing import Any

from contracts.dataset import Decimal as DecimalType
from contracts.trades import PRICE, QUANTITY
from sources import fields
from sources.fields import Fault, Message, field, shown, within_years, wrong_type
from sources.numbers import TooManyDigitsError, exact

_LONGEST_EXPONENT = 18  # no exponent in so few characters overflows a Decimal
_SECONDS = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,12}))?", re.ASCII)


class Unusual(str):
    """A JSON number with more digits than a price has, as written: who wants it judges it."""

    __slots__ = ()


def _number(written: str) -> Decimal | Unusual:
    if "e" in written or "E" in written:
        return _with_exponent(written)
    if len(written) <= 13:  # at most 12 digits on either side of the point
        return Decimal(written)
    try:
        return exact(written, PRICE)
    except TooManyDigitsError:
        return Unusual(written)


def _with_exponent(written: str) -> Decimal | Unusual:
    """Read 5.320E-6, as Kraken writes small prices, keeping the zeros that a checksum covers."""
    if len(written) > _LONGEST_EXPONENT:
        return Unusual(written)
    found = Decimal(written)
    _, digits, exponent = found.as_tuple()
    assert isinstance(exponent, int)  # neither infinite nor NaN: JSON writes none
    fits = -PRICE.scale <= exponent and len(digits) + exponent <= PRICE.precision - PRICE.scale
    return found if fits else Unusual(written)


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_decode = json.JSONDecoder(parse_float=_number, parse_constant=_refused).decode


def loads(payload: bytes) -> Any:
    """Read JSON; numbers with a point become Decimals with the digits as sent, or Unusual. Raises ValueError."""
    try:
        return _decode(payload.decode())
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def number(value: object, name: str, wanted: DecimalType, too_long: str) -> Decimal:
    """Return the exact number that loads() read; `too_long` is the reason when it has too many digits."""
    if type(value) is Decimal:
        return value  # it fits a price, and so all that is wanted
    if type(value) is int or type(value) is Unusual:
        return fields.number(str(value), name, wanted, too_long)
    raise wrong_type(name, value, "number")


def price(message: Message, name: str) -> Decimal:
    """Return a price that is a JSON number."""
    return number(field(message, name), name, PRICE, "price_digits")


def quantity(message: Message, name: str) -> Decimal:
    """Return a quantity that is a JSON number."""
    return number(field(message, name), name, QUANTITY, "quantity_digits")


def seconds(value: object, name: str) -> int:
    """Return a time in seconds since the epoch, a string or a JSON number that loads() read, in microseconds.

    Digits beyond microseconds are cut off.
    """
    if type(value) is not str:
        if type(value) is not Decimal and type(value) is not int:
            raise wrong_type(name, value, "time in seconds")
        value = format(value, "f") if type(value) is Decimal else str(value)
    match = _SECONDS.fullmatch(value)
    if match is None:
        raise Fault("wrong_type", f"{name} is {shown(value)}, wanted seconds since the epoch")
    fraction = match[2] or ""
    micros = int(match[1] + (fraction if len(fraction) == 6 else f"{fraction[:6]:0<6}"))
    return within_years(micros, name, value)
