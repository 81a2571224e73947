"""What Kraken's pairs are called on the platform: as the feed that told of them calls them, `XBT/USD` or `BTC/USD`."""

from functools import lru_cache

from sources.fields import symbol

# REST and v1 keep ISO's XBT and an old XDG; v2 refuses both and wants what everybody says. All other names are alike.
_V2_CURRENCIES = {"XBT": "BTC", "XDG": "DOGE"}


def instrument(value: object, name: str) -> str:
    """Return the pair as the instrument's name; `name` is the field that holds it. Raises Fault."""
    return _checked(value, name) if type(value) is str else symbol(value, name)


_checked = lru_cache(maxsize=4096)(symbol)


@lru_cache(maxsize=4096)
def listed(endpoint: str, wsname: str) -> str:
    """Name the instrument of a pair that REST lists by its v1 name (`wsname`), as the endpoint's feed calls it."""
    if endpoint == "v1":
        return wsname
    return "/".join(_V2_CURRENCIES.get(currency, currency) for currency in wsname.split("/"))
