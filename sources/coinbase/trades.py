"""Trades of both feeds and of the REST answers: the same trade gives the same row wherever it was told."""

from contracts.trades import TRADES
from sources.coinbase.config import NAME
from sources.coinbase.instruments import instrument
from sources.events import Accepted, Ignored, Seen
from sources.fields import LONGEST_ID, Fault, Message, field, integer, iso_time, price, quantity, shown, text

# Ids of either feed count without holes for each product. They look like those of one engine, but no document says
# so: two spaces store a trade twice at worst, one space could lose trades.
EXCHANGE_SPACE = "exchange.trade"
ADVANCED_SPACE = "advanced.trade"

# The venue tells the maker's side, the order that was there first; the aggressor's is the other one.
_AGGRESSOR = {"buy": "sell", "sell": "buy", "BUY": "sell", "SELL": "buy"}


def exchange_trade(message: Message, product: object = None) -> Accepted:
    """Read a match, or an entry of /products/<product>/trades, which doesn't name its product."""
    trade_id = integer(message, "trade_id")
    return _trade(message, EXCHANGE_SPACE, trade_id, field(message, "product_id") if product is None else product)


def advanced_trade(message: Message) -> Accepted:
    """Read an entry of market_trades, or of the REST answer of the same form."""
    told = text(message, "trade_id")
    if not told.isascii() or not told.isdigit():
        raise Fault("wrong_type", f"trade_id is {shown(told)}, wanted digits")
    if len(told) > 19 or int(told) > LONGEST_ID:
        raise Fault("id_out_of_range", f"trade_id is {shown(told)}, valid: 0 to 2^63-1")
    return _trade(message, ADVANCED_SPACE, int(told), field(message, "product_id"))


def last_match(message: Message) -> Ignored:
    """Read the trade before the subscription: nothing to store, but it tells which trade was the last."""
    product = instrument(field(message, "product_id"))
    seen = Seen(product, EXCHANGE_SPACE, integer(message, "trade_id"), delivered=False)
    return Ignored("trade_before_subscription", seen)


def _trade(message: Message, id_space: str, trade_id: int, product: object) -> Accepted:
    told = text(message, "side")
    side = _AGGRESSOR.get(told)
    if side is None:
        raise Fault("wrong_type", f"side is {shown(told)}, wanted buy or sell")
    return Accepted(
        TRADES.name,
        {
            "venue": NAME,
            "instrument": instrument(product),
            "id_space": id_space,
            "trade_id": str(trade_id),
            "venue_sequence": trade_id,
            "price": price(message, "price"),
            "quantity": quantity(message, "size"),
            "side": side,
            "trade_count": 1,
            "event_time": iso_time(message, "time"),
        },
    )
