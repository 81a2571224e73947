"""What Binance's symbols are called on the platform, and the other way round."""

import re
from functools import lru_cache

from sources import fields

_DELIVERY = re.compile(r".*_[0-9]{6}", re.ASCII)
_PERPETUAL = "-PERP"


def is_delivery(symbol: str) -> bool:
    """Tell a delivery future, which names its day, from what has none."""
    return _DELIVERY.fullmatch(symbol) is not None


def instrument(market: str, symbol: str) -> str:
    """Name the instrument of a symbol: BTCUSDT on spot, BTCUSDT-PERP the perpetual, BTCUSDT_240927 a delivery future.

    Spot and USD-M use the same symbol for different things, so the perpetual carries a suffix.
    """
    return symbol if market != "usdm" or is_delivery(symbol) else symbol + _PERPETUAL


def symbol_of(market: str, instrument: str) -> str:
    """Name an instrument in the venue's words; what instrument() made, this undoes."""
    return instrument.removesuffix(_PERPETUAL) if market == "usdm" else instrument


def named(market: str, message: fields.Message, name: str) -> str:
    """Return the instrument of the symbol in a message; Fault when it can't be one."""
    value = fields.field(message, name)
    if type(value) is not str:
        raise fields.wrong_type(name, value, "string")
    return _named(market, value, name)


@lru_cache(maxsize=4096)
def _named(market: str, symbol: str, name: str) -> str:
    return instrument(market, fields.symbol(symbol, name))
