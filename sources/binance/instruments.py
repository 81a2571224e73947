"""What Binance's symbols are called on the platform."""

import re

_DELIVERY = re.compile(r".*_[0-9]{6}", re.ASCII)
LONGEST_SYMBOL = 59  # an instrument has at most 64 characters, with its suffix


def instrument(endpoint: str, symbol: str) -> str:
    """Name the instrument of a symbol: BTCUSDT on spot, BTCUSDT-PERP the perpetual, BTCUSDT_240927 a delivery future.

    Spot and USD-M use the same symbol for different things, so the perpetual carries a suffix.
    """
    if endpoint != "usdm" or _DELIVERY.fullmatch(symbol):
        return symbol
    return f"{symbol}-PERP"
