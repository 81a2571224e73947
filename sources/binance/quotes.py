"""Best bids and asks. `u` counts the changes of the book, so it is unique among them and gives their order."""

from contracts.quotes import QUOTES
from sources import fields
from sources.binance.config import NAME
from sources.binance.instruments import named
from sources.events import Accepted


def untimed_quote(market: str, message: fields.Message) -> Accepted:
    """Read spot's bookTicker, which tells no time."""
    update = fields.integer(message, "u")
    return Accepted(
        QUOTES.name,
        {
            "venue": NAME,
            "instrument": named(market, message, "s"),
            "id_space": f"{market}.book_ticker",
            "update_id": str(update),
            "venue_sequence": update,
            "bid_price": fields.price(message, "b"),
            "bid_quantity": fields.quantity(message, "B"),
            "ask_price": fields.price(message, "a"),
            "ask_quantity": fields.quantity(message, "A"),
        },
    )


def quote(market: str, message: fields.Message) -> Accepted:
    """Read USD-M's bookTicker."""
    event = untimed_quote(market, message)
    event.row["event_time"] = fields.epoch_time(message, "T")
    return event
