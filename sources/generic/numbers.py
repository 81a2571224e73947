"""Numbers and times as ccxt gives them."""

import decimal

from contracts.dataset import Decimal as DecimalType
from sources import fields
from sources.fields import Fault, Message, within_years, wrong_type


def number(value: object, name: str, wanted: DecimalType, too_long: str) -> decimal.Decimal:
    """Return the exact number. ccxt is told to write strings; what a venue's code computes is still a JSON number.

    Of those the shortest text that means the same float is taken, which is what was sent unless it had 17 digits.
    """
    if value is None:
        raise Fault("missing_field", f"ccxt tells no {name}")
    if type(value) in (int, float):
        value = repr(value)
    return fields.number(value, name, wanted, too_long)


def plain(value: decimal.Decimal) -> str:
    """Write a number without exponent and without zeros that change nothing."""
    written = format(value, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def milliseconds(value: object, name: str) -> int:
    """Return a time in milliseconds, all that ccxt tells, as microseconds."""
    if value is None:
        raise Fault("missing_field", f"ccxt tells no {name}")
    if type(value) is not int:
        raise wrong_type(name, value, "integer")
    return within_years(value * 1000, name, value)


def inner(message: Message, *names: str) -> object:
    """Return a field of a field, None where there is none."""
    found: object = message
    for name in names:
        if type(found) is not dict:
            return None
        found = found.get(name)
    return found
