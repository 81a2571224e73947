"""Instruments, from exchangeInfo. Its serverTime is no time of theirs: USD-M's was seen to be a day and a half old."""

import decimal

from contracts.instruments import INSTRUMENTS
from sources import fields
from sources.binance.config import NAME
from sources.binance.instruments import is_delivery, named
from sources.events import Accepted

_NOT_TOLD = decimal.Decimal(0)


def listed_instrument(market: str, entry: fields.Message) -> Accepted:
    """Read one entry of `symbols`; the state is halted unless the venue says TRADING."""
    instrument, symbol = named(market, entry, "symbol"), fields.text(entry, "symbol")
    filters = _filters(entry)
    prices, lots = filters.get("PRICE_FILTER", {}), filters.get("LOT_SIZE", {})
    futures = "future" if is_delivery(symbol) else "perpetual"
    return Accepted(
        INSTRUMENTS.name,
        {
            "venue": NAME,
            "instrument": instrument,
            "id_space": f"{market}.instruments",
            "symbol": symbol,
            "kind": futures if market == "usdm" else "spot",
            "base": fields.text(entry, "baseAsset"),
            "quote": fields.text(entry, "quoteAsset"),
            "price_step": fields.price(prices, "tickSize") if "tickSize" in prices else _NOT_TOLD,
            "quantity_step": fields.quantity(lots, "stepSize") if "stepSize" in lots else _NOT_TOLD,
            "quantity_least": fields.quantity(lots, "minQty") if "minQty" in lots else _NOT_TOLD,
            "state": "trading" if fields.text(entry, "status") == "TRADING" else "halted",
        },
    )


def _filters(entry: fields.Message) -> dict[str, fields.Message]:
    found = fields.field(entry, "filters")
    if type(found) is not list:
        raise fields.wrong_type("filters", found, "list")
    named_filters = {}
    for one in found:
        if type(one) is not dict:
            raise fields.wrong_type("filters", one, "object")
        named_filters[fields.text(one, "filterType")] = one
    return named_filters
