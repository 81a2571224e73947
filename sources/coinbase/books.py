"""Books: snapshots and updates of both feeds, and snapshots asked for.

Neither feed numbers its updates: a snapshot and what follows it belong together by connection, so update_id, order and
chain are left to the tape. Snapshots of REST can't be joined with them and have id spaces of their own.
"""

import decimal

from contracts.books import BOOKS
from contracts.trades import PRICE, QUANTITY
from sources.coinbase.config import NAME
from sources.coinbase.instruments import instrument
from sources.events import Accepted
from sources.fields import (
    Fault,
    Message,
    field,
    integer,
    iso_time,
    levels,
    number,
    price,
    quantity,
    shown,
    text,
    wrong_type,
)

_Numbers = list[decimal.Decimal]


def exchange_snapshot(message: Message) -> Accepted:
    """Read the whole book with which a level2 subscription begins."""
    row = _row(message, "exchange.level2", "snapshot")
    row["bid_prices"], row["bid_quantities"] = levels(message, "bids")
    row["ask_prices"], row["ask_quantities"] = levels(message, "asks")
    # Recordings show none; newer ones may.
    if "time" in message:
        row["event_time"] = iso_time(message, "time")
    return Accepted(BOOKS.name, row)


def exchange_update(message: Message) -> Accepted:
    """Read an l2update: side, price and new quantity of each change, in the order in which they apply."""
    row = _row(message, "exchange.level2", "delta")
    bids: tuple[_Numbers, _Numbers] = ([], [])
    asks: tuple[_Numbers, _Numbers] = ([], [])
    for change in _entries(message, "changes"):
        if type(change) is not list or len(change) != 3:
            raise wrong_type("changes", change, "list of side, price and quantity")
        side = change[0]
        if side not in ("buy", "sell"):
            raise Fault("wrong_type", f"a change's side is {shown(side)}, wanted buy or sell")
        prices, quantities = bids if side == "buy" else asks
        prices.append(number(change[1], "a change's price", PRICE, "price_digits"))
        quantities.append(number(change[2], "a change's quantity", QUANTITY, "quantity_digits"))
    row["bid_prices"], row["bid_quantities"] = bids
    row["ask_prices"], row["ask_quantities"] = asks
    row["event_time"] = iso_time(message, "time")
    return Accepted(BOOKS.name, row)


def advanced_book(event: Message, sent_time: int) -> Accepted:
    """Read an event of l2_data; `sent_time` is the message's, since the levels' own times differ."""
    kind = text(event, "type")
    if kind not in ("snapshot", "update"):
        raise Fault("wrong_type", f"type is {shown(kind)}, wanted snapshot or update")
    row = _row(event, "advanced.level2", "snapshot" if kind == "snapshot" else "delta")
    bids: tuple[_Numbers, _Numbers] = ([], [])
    asks: tuple[_Numbers, _Numbers] = ([], [])
    for update in _entries(event, "updates"):
        if type(update) is not dict:
            raise wrong_type("updates", update, "object of side, price and quantity")
        side = text(update, "side")
        if side not in ("bid", "offer"):
            raise Fault("wrong_type", f"an update's side is {shown(side)}, wanted bid or offer")
        prices, quantities = bids if side == "bid" else asks
        prices.append(price(update, "price_level"))
        quantities.append(quantity(update, "new_quantity"))
    row["bid_prices"], row["bid_quantities"] = bids
    row["ask_prices"], row["ask_quantities"] = asks
    row["event_time"] = sent_time
    return Accepted(BOOKS.name, row)


def exchange_answer(message: Message, product: str) -> Accepted:
    """Read /products/<product>/book?level=2: the whole book with the engine's sequence, which level2 does not tell."""
    sequence = integer(message, "sequence")
    row = _row({"product_id": product}, "exchange.book", "snapshot")
    row["bid_prices"], row["bid_quantities"] = levels(message, "bids")
    row["ask_prices"], row["ask_quantities"] = levels(message, "asks")
    row["update_id"] = str(sequence)
    row["venue_sequence"] = sequence
    row["chain"] = ""
    if "time" in message:
        row["event_time"] = iso_time(message, "time")
    return Accepted(BOOKS.name, row)


def advanced_answer(message: Message, depth: int) -> Accepted:
    """Read /market/product_book; `depth` is the limit that was asked for, 0 without one."""
    book = field(message, "pricebook")
    if type(book) is not dict:
        raise wrong_type("pricebook", book, "object")
    row = _row(book, "advanced.book", "snapshot")
    row["bid_prices"], row["bid_quantities"] = _named_levels(book, "bids")
    row["ask_prices"], row["ask_quantities"] = _named_levels(book, "asks")
    row["depth"] = depth
    if "time" in book:
        row["event_time"] = iso_time(book, "time")
    return Accepted(BOOKS.name, row)


def _row(message: Message, id_space: str, kind: str) -> dict[str, object]:
    product = instrument(field(message, "product_id"))
    return {"venue": NAME, "instrument": product, "id_space": id_space, "kind": kind}


def _entries(message: Message, name: str) -> list[object]:
    entries = field(message, name)
    if type(entries) is not list:
        raise wrong_type(name, entries, "list")
    return entries


def _named_levels(book: Message, name: str) -> tuple[_Numbers, _Numbers]:
    prices: _Numbers = []
    quantities: _Numbers = []
    for entry in _entries(book, name):
        if type(entry) is not dict:
            raise wrong_type(name, entry, "object of price and size")
        prices.append(price(entry, "price"))
        quantities.append(quantity(entry, "size"))
    return prices, quantities
