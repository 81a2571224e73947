"""Kraken's best bids and asks: the tickers of both feeds, and v1's spread."""

from decimal import Decimal

from contracts.quotes import QUOTES
from contracts.trades import PRICE, QUANTITY
from sources import fields
from sources.events import Accepted
from sources.fields import Message, field, iso_time, wrong_type
from sources.kraken.config import NAME
from sources.kraken.instruments import instrument
from sources.kraken.numbers import price, quantity, seconds


def v1_ticker(ticker: object, pair: object) -> Accepted:
    """Return the quote of {"a": [price, whole lots, lots], "b": [...], ...}, which tells no time."""
    if type(ticker) is not dict:
        raise wrong_type("ticker", ticker, "object")
    ask, bid = _best(ticker, "a"), _best(ticker, "b")
    return Accepted(QUOTES.name, _row(pair, "v1.ticker", bid, ask))


def v1_spread(spread: object, pair: object) -> Accepted:
    """Return the quote of [bid, ask, time, bid volume, ask volume]; early recordings tell no volumes."""
    if type(spread) is not list or len(spread) < 3:
        raise wrong_type("spread", spread, "list of bid, ask and time")
    volumes = spread[3:5] if len(spread) >= 5 else ["0", "0"]
    bid = _price(spread[0], "bid"), _quantity(volumes[0], "bid volume")
    ask = _price(spread[1], "ask"), _quantity(volumes[1], "ask volume")
    row = _row(pair, "v1.spread", bid, ask)
    row["event_time"] = seconds(spread[2], "time")
    return Accepted(QUOTES.name, row)


def v2_ticker(ticker: Message) -> Accepted:
    """Return the quote of {"symbol", "bid", "bid_qty", "ask", "ask_qty", ...}; its time is told since 2025."""
    bid = price(ticker, "bid"), quantity(ticker, "bid_qty")
    ask = price(ticker, "ask"), quantity(ticker, "ask_qty")
    row = _row(field(ticker, "symbol"), "v2.ticker", bid, ask)
    if "timestamp" in ticker:
        row["event_time"] = iso_time(ticker, "timestamp")
    return Accepted(QUOTES.name, row)


def _best(ticker: Message, name: str) -> tuple[Decimal, Decimal]:
    best = field(ticker, name)
    if type(best) is not list or len(best) < 3:
        raise wrong_type(name, best, "list of price, whole lots and lots")
    return _price(best[0], name), _quantity(best[2], name)


def _price(value: object, name: str) -> Decimal:
    return fields.number(value, name, PRICE, "price_digits")


def _quantity(value: object, name: str) -> Decimal:
    return fields.number(value, name, QUANTITY, "quantity_digits")


def _row(pair: object, id_space: str, bid: tuple[Decimal, Decimal], ask: tuple[Decimal, Decimal]) -> dict[str, object]:
    return {
        "venue": NAME,
        "instrument": instrument(pair, "pair"),
        "id_space": id_space,
        "bid_price": bid[0],
        "bid_quantity": bid[1],
        "ask_price": ask[0],
        "ask_quantity": ask[1],
    }
