"""Quotes: the tickers of both feeds, of which only best bid and ask are kept."""

from decimal import Decimal

from contracts.quotes import QUOTES
from sources.coinbase.config import NAME
from sources.coinbase.instruments import instrument
from sources.events import Accepted, Event, Ignored
from sources.fields import Message, field, integer, iso_time, price, quantity

_NOT_TOLD = Decimal(0)


def exchange_quote(message: Message) -> Accepted:
    """Read a ticker, which is sent with every match and shows the book just after it.

    Its sequence is the engine's and names the match, so that the ticker repeated at a subscription is the same quote.
    """
    sequence = integer(message, "sequence")
    row = _quote(message, "exchange.ticker", "best_bid_size", "best_ask_size")
    row["update_id"] = str(sequence)
    row["venue_sequence"] = sequence
    # A product that was never traded has none.
    if "time" in message:
        row["event_time"] = iso_time(message, "time")
    return Accepted(QUOTES.name, row)


def advanced_quote(message: Message, sent_time: int) -> Event:
    """Read an entry of ticker or ticker_batch; `sent_time` is the message's. ticker_batch may tell prices alone."""
    if "best_bid" not in message and "best_ask" not in message and message.get("type") == "ticker_batch":
        return Ignored("not_collected")
    row = _quote(message, "advanced.ticker", "best_bid_quantity", "best_ask_quantity")
    row["event_time"] = sent_time
    return Accepted(QUOTES.name, row)


def _quote(message: Message, id_space: str, bid_quantity: str, ask_quantity: str) -> dict[str, object]:
    return {
        "venue": NAME,
        "instrument": instrument(field(message, "product_id")),
        "id_space": id_space,
        "bid_price": price(message, "best_bid"),
        # The Exchange's tickers recorded in 2021 tell no quantities.
        "bid_quantity": quantity(message, bid_quantity) if bid_quantity in message else _NOT_TOLD,
        "ask_price": price(message, "best_ask"),
        "ask_quantity": quantity(message, ask_quantity) if ask_quantity in message else _NOT_TOLD,
    }
