"""Kraken's trades, from both feeds and from REST."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from contracts.trades import PRICE, QUANTITY, TRADES
from sources import fields
from sources.events import Accepted, Event, Ignored
from sources.fields import Fault, Message, field, integer, iso_time, shown, wrong_type
from sources.kraken.config import NAME
from sources.kraken.instruments import instrument
from sources.kraken.numbers import price, quantity, seconds

NUMBERED = "spot.trade"
UNNUMBERED = "v1.trade"
# The taker's side, as both feeds document it: the aggressor's.
_SIDES = {"b": "buy", "s": "sell", "buy": "buy", "sell": "sell"}

_Told = tuple[int, Decimal, Decimal, str]


def v1_trades(entries: object, pair: object) -> list[Event]:
    """Return the trades of a v1 message: [price, volume, time, side, order type, misc] each."""
    return _each(entries, lambda entry, counts: _unnumbered(pair, _told(entry), counts))


def v2_trades(entries: object) -> list[Event]:
    """Return the trades of a v2 message. A snapshot holds the last 50, real ones, most of them known already."""
    return _each(entries, lambda entry, _: _v2(entry))


def rest_trades(endpoint: str, entries: object, pair: str) -> list[Event]:
    """Return the trades of a REST answer: [price, volume, time, side, order type, misc, trade id] each.

    REST tells the time as a double, whose steps are 238 ns. Cut to microseconds it is the feed's for trades that were
    timed in microseconds, and one microsecond off for about every eighth of those timed in nanoseconds, as today's
    are. By its id a trade of v2 is the same one nevertheless. v1 knows a trade by its time: there it counts twice.
    """
    if endpoint == "v1":
        return _each(entries, lambda entry, counts: _unnumbered(pair, _told(entry), counts))
    return _each(entries, lambda entry, _: _rest(entry, pair))


def _each(entries: object, read: Callable[[Any, dict[_Told, int]], Accepted]) -> list[Event]:
    if type(entries) is not list:
        return [wrong_type("trades", entries, "list").rejected(TRADES.name)]
    if not entries:
        return [Ignored("no_trades")]
    events: list[Event] = []
    counts: dict[_Told, int] = {}
    for entry in entries:
        try:
            events.append(read(entry, counts))
        except Fault as fault:
            events.append(fault.rejected(TRADES.name))
    return events


def _told(entry: object) -> _Told:
    if type(entry) is not list or len(entry) < 4:
        raise wrong_type("trade", entry, "list of price, volume, time and side")
    return (
        seconds(entry[2], "time"),
        fields.number(entry[0], "price", PRICE, "price_digits"),
        fields.number(entry[1], "volume", QUANTITY, "quantity_digits"),
        _side(entry[3]),
    )


def _side(value: object) -> str:
    side = _SIDES.get(value) if type(value) is str else None
    if side is None:
        raise Fault("wrong_type", f"side is {shown(value)}, wanted buy or sell")
    return side


def _unnumbered(pair: object, told: _Told, counts: dict[_Told, int]) -> Accepted:
    """Make a trade without an id: what is told of it is its id, and its number among equal ones of the payload.

    Equal trades are the fills of one order, which Kraken sends together. Where it splits them over two payloads, or a
    page of REST ends between them, they are numbered from 0 again and the later ones count as known.
    """
    occurrence = counts.get(told, 0)
    counts[told] = occurrence + 1
    time, traded_price, traded_quantity, side = told
    # REST may write other zeros at the end than the feed.
    trade_id = f"{time}:{_plain(traded_price)}:{_plain(traded_quantity)}:{side}:{occurrence}"
    return _row(instrument(pair, "pair"), UNNUMBERED, trade_id, time, told)


def _plain(number: Decimal) -> str:
    written = format(number, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def _v2(entry: Message) -> Accepted:
    if type(entry) is not dict:
        raise wrong_type("trade", entry, "object")
    trade_id = integer(entry, "trade_id")
    told = iso_time(entry, "timestamp"), price(entry, "price"), quantity(entry, "qty"), _side(field(entry, "side"))
    return _row(instrument(field(entry, "symbol"), "symbol"), NUMBERED, str(trade_id), trade_id, told)


def _rest(entry: list[Any], pair: str) -> Accepted:
    told = _told(entry)
    trade_id = integer({"trade_id": entry[6]} if len(entry) > 6 else {}, "trade_id")
    return _row(instrument(pair, "pair"), NUMBERED, str(trade_id), trade_id, told)


def _row(name: str, id_space: str, trade_id: str, sequence: int, told: _Told) -> Accepted:
    return Accepted(
        TRADES.name,
        {
            "venue": NAME,
            "instrument": name,
            "id_space": id_space,
            "trade_id": trade_id,
            "venue_sequence": sequence,
            "price": told[1],
            "quantity": told[2],
            "side": told[3],
            "trade_count": 1,
            "event_time": told[0],
        },
    )
