"""One-minute bars from ccxt's lists of start, open, high, low, close and volume."""

from contracts.bars import VOLUME
from contracts.trades import PRICE
from contracts.venue_bars import NOT_TOLD, VENUE_BARS
from sources.events import Accepted
from sources.fields import symbol, wrong_type
from sources.generic.config import BAR_WIDTH_S, BARS
from sources.generic.numbers import milliseconds, number, plain

_NAMES = ("open", "high", "low", "close")


def bar(venue: str, asked_symbol: str, entry: object, state: str) -> Accepted:
    """Read a bar. Its values are its update's id: told again unchanged it is the same, told otherwise another."""
    if type(entry) is not list or len(entry) < 6:
        raise wrong_type("bar", entry, "list of start, open, high, low, close and volume")
    start = milliseconds(entry[0], "start")
    prices = {name: number(value, name, PRICE, "price_digits") for name, value in zip(_NAMES, entry[1:5], strict=True)}
    volume = number(entry[5], "volume", VOLUME, "quantity_digits")
    return Accepted(
        VENUE_BARS.name,
        {
            "venue": venue,
            "instrument": symbol(asked_symbol, "symbol"),
            "id_space": BARS,
            "update_id": ":".join((state, *map(plain, prices.values()), plain(volume))),
            "venue_sequence": start,
            "bar_time": start,
            "width_s": BAR_WIDTH_S,
            **prices,
            "volume": volume,
            "trade_count": NOT_TOLD,
            "state": state,
        },
    )
