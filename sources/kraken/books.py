"""Kraken's order books. Updates have no numbers; a checksum of the book after each tells whether one was lost."""

from decimal import Decimal
from typing import Any

from contracts.books import BOOKS
from contracts.trades import PRICE, QUANTITY
from sources.events import Accepted
from sources.fields import Fault, Message, field, integer, iso_time, level, levels, shown, wrong_type
from sources.kraken.config import DEPTHS, NAME, V2_DEPTH
from sources.kraken.instruments import instrument
from sources.kraken.numbers import number, seconds

V1_BOOKS = {f"book-{depth}": depth for depth in DEPTHS}
_LONGEST_CHECKSUM = 2**32 - 1

_Side = tuple[list[Decimal], list[Decimal]]


def v1_book(parts: list[Any], channel: str, pair: object) -> Accepted:
    """Return the book of {"as", "bs"}, or the update of {"a", "b", "c"}, which may come in two parts.

    The time is that of the newest level: levels sent again ("r") keep their old time. Of a snapshot that is when the
    book last won or changed a level, at most a moment before it was taken.
    """
    whole: Message = {}
    for part in parts:
        if type(part) is not dict:
            raise wrong_type("book", part, "object")
        if not whole.keys().isdisjoint(part):
            raise Fault("wrong_type", "two parts tell of the same side")
        whole |= part
    row = _row(pair, f"v1.{channel}", V1_BOOKS[channel])
    snapshot = "as" in whole or "bs" in whole
    if not snapshot and "a" not in whole and "b" not in whole:
        raise Fault("missing_field", "no field a or b")
    newest = -1
    for name, side in (("bs", "bid"), ("as", "ask")) if snapshot else (("b", "bid"), ("a", "ask")):
        entries = field(whole, name) if snapshot else whole.get(name, [])
        if type(entries) is not list:
            raise wrong_type(name, entries, "list")
        prices, quantities = [], []
        for entry in entries:
            best, amount = level(entry, name)
            prices.append(best)
            quantities.append(amount)
            if len(entry) > 2:
                newest = max(newest, seconds(entry[2], "time"))
        row[f"{side}_prices"], row[f"{side}_quantities"] = prices, quantities
    if newest >= 0:
        row["event_time"] = newest
    if snapshot:
        row["kind"] = "snapshot"
        return Accepted(BOOKS.name, row)
    row["kind"] = "delta"
    if "c" in whole:
        row["checksum"] = _written_checksum(whole["c"])
    return Accepted(BOOKS.name, row)


def v2_book(book: Message, kind: object) -> Accepted:
    """Return the book or update of {"symbol", "bids", "asks", "checksum", "timestamp"}."""
    if kind not in ("snapshot", "update"):
        raise Fault("wrong_type", f"type is {shown(kind)}, wanted snapshot or update")
    row = _row(field(book, "symbol"), f"v2.book-{V2_DEPTH}", V2_DEPTH)
    row["kind"] = "snapshot" if kind == "snapshot" else "delta"
    row["bid_prices"], row["bid_quantities"] = _v2_side(book, "bids")
    row["ask_prices"], row["ask_quantities"] = _v2_side(book, "asks")
    row["checksum"] = _checksum(integer(book, "checksum"))
    if "timestamp" in book:
        row["event_time"] = iso_time(book, "timestamp")
    return Accepted(BOOKS.name, row)


def rest_book(endpoint: str, book: object, pair: str, depth: int) -> Accepted:
    """Return the book of a REST answer, {"asks", "bids"}: a feed of its own, for no update follows on it."""
    if type(book) is not dict:
        raise wrong_type("book", book, "object")
    row = _row(pair, f"{endpoint}.depth", depth)
    row["kind"] = "snapshot"
    row["bid_prices"], row["bid_quantities"] = levels(book, "bids")
    row["ask_prices"], row["ask_quantities"] = levels(book, "asks")
    return Accepted(BOOKS.name, row)


def _row(pair: object, id_space: str, depth: int) -> dict[str, object]:
    return {
        "venue": NAME,
        "instrument": instrument(pair, "pair"),
        "id_space": id_space,
        "depth": depth,
    }


def _v2_side(book: Message, name: str) -> _Side:
    entries = field(book, name)
    if type(entries) is not list:
        raise wrong_type(name, entries, "list")
    prices, quantities = [], []
    for entry in entries:
        try:
            prices.append(number(entry["price"], "price", PRICE, "price_digits"))
            quantities.append(number(entry["qty"], "qty", QUANTITY, "quantity_digits"))
        except KeyError as error:
            raise Fault("missing_field", f"no field {error.args[0]} in a level of {name}") from None
        except TypeError:
            raise wrong_type(name, entry, "list of objects") from None
    return prices, quantities


def _written_checksum(value: object) -> int:
    if type(value) is not str or not value.isascii() or not value.isdigit() or len(value) > 10:
        raise Fault("wrong_type", f"c is {shown(value)}, wanted a string of digits")
    return _checksum(int(value))


def _checksum(value: int) -> int:
    if value > _LONGEST_CHECKSUM:
        raise Fault("id_out_of_range", f"checksum is {value}, valid: 0 to 2^32-1")
    return value
