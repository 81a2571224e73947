"""Order books: deltas of the stream, snapshots of REST. Update ids span connections, so there is but one chain."""

from contracts.books import BOOKS
from sources import fields
from sources.binance.config import NAME
from sources.binance.instruments import named
from sources.events import Accepted


def delta(market: str, message: fields.Message) -> Accepted:
    """Read a depthUpdate. USD-M tells the update before it and the time of matching; on spot ids are contiguous."""
    first, last = fields.integer(message, "U"), fields.integer(message, "u")
    futures = market == "usdm"
    previous = fields.integer(message, "pu") if futures else first - 1
    time = fields.epoch_time(message, "T" if futures else "E")
    row = _row(market, named(market, message, "s"), "delta", message, "b", "a")
    row |= {"update_id": str(last), "venue_sequence": last, "first_sequence": first, "previous_sequence": previous}
    row["event_time"] = time
    return Accepted(BOOKS.name, row)


def snapshot(market: str, instrument: str, message: fields.Message) -> Accepted:
    """Read the answer to a depth request; only USD-M tells its time."""
    last = fields.integer(message, "lastUpdateId")
    row = _row(market, instrument, "snapshot", message, "bids", "asks")
    row |= {
        "update_id": f"snapshot-{last}",
        "venue_sequence": last,
        "first_sequence": last,
        "previous_sequence": -1,
    }
    if "T" in message:
        row["event_time"] = fields.epoch_time(message, "T")
    return Accepted(BOOKS.name, row)


def _row(market: str, instrument: str, kind: str, message: fields.Message, bids: str, asks: str) -> dict[str, object]:
    bid_prices, bid_quantities = fields.levels(message, bids)
    ask_prices, ask_quantities = fields.levels(message, asks)
    return {
        "venue": NAME,
        "instrument": instrument,
        "id_space": f"{market}.depth",
        "kind": kind,
        "chain": "",
        "depth": 0,
        "bid_prices": bid_prices,
        "bid_quantities": bid_quantities,
        "ask_prices": ask_prices,
        "ask_quantities": ask_quantities,
    }
