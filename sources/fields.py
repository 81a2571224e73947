"""Reading fields of a venue's message: each reader returns a checked value or raises Fault, which becomes Rejected."""

import decimal
from datetime import datetime
from typing import Any

from contracts.dataset import Decimal
from contracts.trades import PRICE, QUANTITY
from sources.events import Rejected
from sources.numbers import NotANumberError, TooManyDigitsError, exact

LONGEST_ID = 2**63 - 1
FIRST_TIME = -62_135_596_800_000_000  # year 1
LAST_TIME = 253_402_300_799_999_999  # year 9999
LONGEST_SYMBOL = 59  # an instrument has at most 64 characters, with its suffix

# Epoch times of this century: 13 digits are milliseconds, 16 microseconds.
_MICROSECONDS_FROM = 10**14
# So many prices and quantities are remembered, each no longer than this.
_REMEMBERED = 1 << 16
_LONGEST_REMEMBERED = 32

Message = dict[str, Any]


class Fault(Exception):  # noqa: N818 - a parser catches it, it never leaves sources
    """A field that can't be accepted. `reason` is a word of REJECTIONS."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def rejected(self, dataset: str) -> Rejected:
        """Return it as the event that goes to quarantine."""
        return Rejected(dataset, self.reason, self.detail)


def shown(value: object) -> str:
    """Show a value in a message. Never the whole of it: a list nested 1,000 deep has no repr within Python's limit."""
    if isinstance(value, str):
        return repr(value[:64])
    return type(value).__name__ if isinstance(value, dict | list) else repr(value)[:64]


def wrong_type(name: str, value: object, wanted: str) -> Fault:
    """Make the fault of a field of another JSON type."""
    return Fault("wrong_type", f"{name} is {shown(value)}, wanted a {wanted}")


def field(message: Message, name: str) -> Any:
    """Return a field that must be there."""
    try:
        return message[name]
    except KeyError:
        raise Fault("missing_field", f"no field {name}") from None


def text(message: Message, name: str) -> str:
    """Return a string."""
    value = field(message, name)
    if type(value) is not str:
        raise wrong_type(name, value, "string")
    return value


def integer(message: Message, name: str) -> int:
    """Return an id or count: 0 to 2^63-1."""
    value = field(message, name)
    if type(value) is not int:  # a boolean is an int to isinstance
        raise wrong_type(name, value, "integer")
    if not 0 <= value <= LONGEST_ID:
        raise Fault("id_out_of_range", f"{name} is {value}, valid: 0 to 2^63-1")
    return value


def number(value: object, name: str, wanted: Decimal, too_long: str) -> decimal.Decimal:
    """Return the exact number that a string writes; `too_long` is the reason when it has too many digits.

    Trailing zeros are kept as written where the digits are few: checksums cover them.
    """
    if type(value) is not str:
        raise wrong_type(name, value, "string")
    try:
        return exact(value, wanted)
    except NotANumberError:
        raise Fault("not_a_number", f"{name} is {shown(value)}") from None
    except TooManyDigitsError:
        limits = f"{wanted.precision - wanted.scale} before the point and {wanted.scale} after it"
        raise Fault(too_long, f"{name} is {shown(value)}, valid: {limits}") from None


class _Remembered(dict[str, decimal.Decimal]):
    """Numbers by their text: the same prices come again and again, and reading one takes 20 times as long."""

    def __init__(self, wanted: Decimal) -> None:
        self._wanted = wanted

    def __missing__(self, text: str) -> decimal.Decimal:
        found = exact(text, self._wanted)
        if len(text) <= _LONGEST_REMEMBERED:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = found
        return found


_PRICES = _Remembered(PRICE)
_QUANTITIES = _Remembered(QUANTITY)
_UNREADABLE = (KeyError, TypeError, ValueError)


def price(message: Message, name: str) -> decimal.Decimal:
    """Return a price written as a string."""
    try:
        return _PRICES[message[name]]
    except _UNREADABLE:
        return number(field(message, name), name, PRICE, "price_digits")


def quantity(message: Message, name: str) -> decimal.Decimal:
    """Return a quantity written as a string."""
    try:
        return _QUANTITIES[message[name]]
    except _UNREADABLE:
        return number(field(message, name), name, QUANTITY, "quantity_digits")


def level(pair: object, name: str) -> tuple[decimal.Decimal, decimal.Decimal]:
    """Return price and quantity of a level written as a list that begins with two strings."""
    if type(pair) is not list or len(pair) < 2:
        raise wrong_type(name, pair, "list of price and quantity")
    return number(pair[0], name, PRICE, "price_digits"), number(pair[1], name, QUANTITY, "quantity_digits")


def levels(message: Message, name: str) -> tuple[list[decimal.Decimal], list[decimal.Decimal]]:
    """Return prices and quantities of a list of levels."""
    found = field(message, name)
    if type(found) is not list:
        raise wrong_type(name, found, "list")
    try:
        prices = [_PRICES[pair[0]] for pair in found if type(pair) is list]
        quantities = [_QUANTITIES[pair[1]] for pair in found if type(pair) is list]
        if len(prices) == len(found):
            return prices, quantities
    except (*_UNREADABLE, IndexError):
        pass  # one of them can't be read; which one is found out more slowly
    pairs = [level(pair, name) for pair in found]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def within_years(micros: int, name: str, value: object) -> int:
    """Return a time in microseconds that a timestamp can hold."""
    if not FIRST_TIME <= micros <= LAST_TIME:
        raise Fault("time_out_of_range", f"{name} is {shown(value)}, valid: years 1 to 9999")
    return micros


def epoch_time(message: Message, name: str) -> int:
    """Return a time written as milliseconds since the epoch, or as microseconds, told by its size, in microseconds."""
    value = field(message, name)
    if type(value) is not int:
        raise wrong_type(name, value, "integer")
    return within_years(value * 1000 if -_MICROSECONDS_FROM < value < _MICROSECONDS_FROM else value, name, value)


def iso_time(message: Message, name: str) -> int:
    """Return a time written as ISO 8601 in UTC (`2021-04-17T16:43:37.123456Z`), in microseconds.

    Digits beyond microseconds are cut off: no clock of the platform holds them.
    """
    value = text(message, name)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise Fault("wrong_type", f"{name} is {shown(value)}, wanted an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise Fault("wrong_type", f"{name} is {shown(value)}, wanted a time with its zone")
    seconds = moment.replace(microsecond=0).timestamp()
    return within_years(int(seconds) * 1_000_000 + moment.microsecond, name, value)


def symbol(value: object, name: str) -> str:
    """Return a symbol that can be an instrument's name."""
    if type(value) is not str:
        raise wrong_type(name, value, "string")
    if not value or len(value) > LONGEST_SYMBOL or not value.isprintable():
        raise Fault("bad_symbol", f"{name} is {shown(value)}")
    return value
