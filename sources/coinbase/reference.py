"""Instruments: the products of both REST sides."""

import decimal

from contracts.instruments import INSTRUMENTS
from contracts.trades import PRICE, QUANTITY
from sources.coinbase.config import NAME
from sources.coinbase.instruments import instrument
from sources.events import Accepted, Event, Ignored
from sources.fields import Message, field, number, text

_HALTS = ("trading_disabled", "is_disabled", "cancel_only")


def exchange_instrument(message: Message) -> Accepted:
    """Read an entry of /products. Smallest sizes were told until June 2022."""
    symbol = instrument(field(message, "id"), "id")
    return Accepted(
        INSTRUMENTS.name,
        {
            "venue": NAME,
            "instrument": symbol,
            "id_space": "exchange.instruments",
            "symbol": symbol,
            "kind": "spot",
            "base": text(message, "base_currency"),
            "quote": text(message, "quote_currency"),
            "price_step": number(field(message, "quote_increment"), "quote_increment", PRICE, "price_digits"),
            "quantity_step": number(field(message, "base_increment"), "base_increment", QUANTITY, "quantity_digits"),
            "quantity_least": _quantity(message, "base_min_size"),
            "state": _state(message),
        },
    )


def advanced_instrument(message: Message) -> Event:
    """Read an entry of /market/products: spot, and the futures of the derivatives exchange."""
    symbol = instrument(field(message, "product_id"))
    sort = text(message, "product_type")
    if sort not in ("SPOT", "FUTURE"):
        return Ignored("not_collected")
    told = message.get("future_product_details")
    details: Message = told if type(told) is dict else {}
    expiry, root = details.get("contract_expiry_type"), details.get("contract_root_unit")
    kind = "spot"
    if sort == "FUTURE":
        kind = "perpetual" if expiry == "PERPETUAL" else "future"
    # Prices of spot move in quote_increment, which price_increment repeats; futures tell the latter.
    step = "price_increment" if message.get("price_increment") else "quote_increment"
    return Accepted(
        INSTRUMENTS.name,
        {
            "venue": NAME,
            "instrument": symbol,
            "id_space": "advanced.instruments",
            "symbol": symbol,
            "kind": kind,
            "base": text(message, "base_currency_id") or (root if type(root) is str else ""),
            "quote": text(message, "quote_currency_id"),
            "price_step": number(field(message, step), step, PRICE, "price_digits"),
            "quantity_step": _quantity(message, "base_increment"),
            "quantity_least": _quantity(message, "base_min_size"),
            "state": _state(message),
        },
    )


def _quantity(message: Message, name: str) -> decimal.Decimal:
    # Absent or blank is how the venue says that there is none.
    told = message.get(name)
    return decimal.Decimal(0) if told is None or told == "" else number(told, name, QUANTITY, "quantity_digits")


def _state(message: Message) -> str:
    # A blank status says nothing; the flags alone count then.
    trading = message.get("status") in ("online", "") and not any(message.get(halt) is True for halt in _HALTS)
    return "trading" if trading else "halted"
