"""Trades, single and aggregated, from the stream and from REST: the same trade gives the same row from either."""

from contracts.trades import TRADES
from sources import fields
from sources.binance.config import NAME
from sources.binance.instruments import named
from sources.events import Accepted, Ignored, Seen

_Names = tuple[str, str, str, str]
# What price, quantity, whether the buyer was the maker, and the time are called.
_STREAMED: _Names = ("p", "q", "m", "T")
_LISTED: _Names = ("price", "qty", "isBuyerMaker", "time")


def trade(market: str, message: fields.Message) -> Accepted | Ignored:
    """Read a single trade of the stream.

    USD-M trades whose `X` is not MARKET (INSURANCE_FUND, ADL, NA, the last with price and quantity zero) are
    positions taken over or closed by the venue; its own aggregated trades leave them out and so do we, with a reason
    and with the id that they used up.
    """
    trade_id = fields.integer(message, "t")
    instrument, id_space = named(market, message, "s"), f"{market}.trade"
    cause = message.get("X", "MARKET")
    if cause != "MARKET":
        if type(cause) is not str:
            raise fields.wrong_type("X", cause, "string")
        return Ignored("not_a_market_trade", Seen(instrument, id_space, trade_id))
    return _row(message, instrument, id_space, trade_id, 1, _STREAMED)


def aggregate(market: str, message: fields.Message) -> Accepted:
    """Read an aggregated trade of the stream."""
    return listed_aggregate(market, named(market, message, "s"), message)


def listed_aggregate(market: str, instrument: str, message: fields.Message) -> Accepted:
    """Read an aggregated trade that REST lists: as the stream sends it, without its symbol."""
    trade_id = fields.integer(message, "a")
    count = fields.integer(message, "l") - fields.integer(message, "f") + 1
    return _row(message, instrument, f"{market}.agg_trade", trade_id, count, _STREAMED)


def listed_trade(market: str, instrument: str, message: fields.Message) -> Accepted:
    """Read a single trade that REST lists."""
    return _row(message, instrument, f"{market}.trade", fields.integer(message, "id"), 1, _LISTED)


def _row(message: fields.Message, instrument: str, id_space: str, trade_id: int, count: int, names: _Names) -> Accepted:
    price, quantity, maker, time = names
    buyer_is_maker = fields.field(message, maker)
    if type(buyer_is_maker) is not bool:
        raise fields.wrong_type(maker, buyer_is_maker, "boolean")
    return Accepted(
        TRADES.name,
        {
            "venue": NAME,
            "instrument": instrument,
            "id_space": id_space,
            "trade_id": str(trade_id),
            "venue_sequence": trade_id,
            "price": fields.price(message, price),
            "quantity": fields.quantity(message, quantity),
            # The maker was there first: when it was the buyer, the aggressor sold.
            "side": "sell" if buyer_is_maker else "buy",
            "trade_count": count,
            "event_time": fields.epoch_time(message, time),
        },
    )
