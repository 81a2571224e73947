"""Which instruments are the same thing on different venues, by their symbols alone."""

import re
from functools import lru_cache
from typing import NamedTuple

# Longest first, or USDT would be read as USD with a T before it.
_QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD", "EUR", "GBP", "CHF", "JPY", "TRY", "BTC", "ETH", "BNB")
_OLD_NAMES = {"XBT": "BTC", "XDG": "DOGE"}
# Tokens that are held at a dollar. When one of them loses its hold, prices in it are off: that is what is asked.
_DOLLARS = {"USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD"}
_WRITTEN = re.compile(r"([A-Z0-9]+)[-/_]([A-Z]+)(?:[-:].*)?")


class Pair(NamedTuple):
    """What is traded for what; a dollar token counts as the dollar."""

    base: str
    quote: str


@lru_cache(maxsize=4096)
def pair_of(instrument: str) -> Pair | None:
    """Return the pair that a spot symbol names: BTCUSDT, BTC-USD and XBT/USD are one. None for any other symbol.

    Perpetuals and futures have prices of their own and are compared with nothing.
    """
    symbol = instrument.upper()
    if symbol.endswith("-PERP") or ":" in symbol:
        return None
    written = _WRITTEN.fullmatch(symbol)
    if written:
        return _pair(written[1], written[2])
    for quote in _QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote) and symbol.isalnum():
            return _pair(symbol.removesuffix(quote), quote)
    return None


def _pair(base: str, quote: str) -> Pair:
    base, quote = _OLD_NAMES.get(base, base), _OLD_NAMES.get(quote, quote)
    return Pair(base, "USD" if quote in _DOLLARS else quote)
