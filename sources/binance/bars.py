"""Bars, which Binance calls klines."""

from contracts.bars import VOLUME
from contracts.venue_bars import VENUE_BARS
from sources import fields
from sources.binance.config import NAME
from sources.binance.instruments import named
from sources.events import Accepted, Ignored

# Months (1M) are not all of one width.
WIDTHS_S = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1_800, "1h": 3_600, "2h": 7_200, "4h": 14_400,
    "6h": 21_600, "8h": 28_800, "12h": 43_200, "1d": 86_400, "3d": 259_200, "1w": 604_800,
}  # fmt: skip
_MONTH = "1M"
# Places of a listed bar's fields; the last that is needed is the number of trades.
_LISTED = {"t": 0, "o": 1, "h": 2, "l": 3, "c": 4, "v": 5, "n": 8}
_SHORTEST = 9


def bar(market: str, message: fields.Message) -> Accepted | Ignored:
    """Read a kline of the stream: one update of a bar, the final one when the venue calls it closed."""
    candle = fields.field(message, "k")
    if type(candle) is not dict:
        raise fields.wrong_type("k", candle, "object")
    interval = fields.text(candle, "i")
    if interval == _MONTH:
        return Ignored("not_collected")
    closed = fields.field(candle, "x")
    if type(closed) is not bool:
        raise fields.wrong_type("x", closed, "boolean")
    state = "final" if closed else "provisional"
    told = fields.epoch_time(message, "E")
    event = _row(market, named(market, message, "s"), interval, candle, state)
    # A bar has one update a moment, but the closing one may fall into the moment of another.
    event.row["update_id"] = f"{message['E']}-{state}"
    event.row["event_time"] = told
    return event


def listed_bar(market: str, instrument: str, interval: str, entry: object, state: str) -> Accepted | Ignored:
    """Read a bar that REST lists. The number of its trades tells apart what was asked for twice and has changed."""
    if interval == _MONTH:
        return Ignored("not_collected")
    if type(entry) is not list or len(entry) < _SHORTEST:
        raise fields.wrong_type("entry", entry, f"list of at least {_SHORTEST} fields")
    candle = {name: entry[place] for name, place in _LISTED.items()}
    event = _row(market, instrument, interval, candle, state)
    event.row["update_id"] = f"rest-{event.row['trade_count']}-{state}"
    return event


def _row(market: str, instrument: str, interval: str, candle: fields.Message, state: str) -> Accepted:
    width_s = WIDTHS_S.get(interval)
    if width_s is None:
        raise fields.Fault("unknown_message", f"interval is {fields.shown(interval)}, valid: {', '.join(WIDTHS_S)}")
    start = fields.epoch_time(candle, "t")
    return Accepted(
        VENUE_BARS.name,
        {
            "venue": NAME,
            "instrument": instrument,
            "id_space": f"{market}.kline_{interval}",
            "venue_sequence": start,
            "bar_time": start,
            "width_s": width_s,
            "open": fields.price(candle, "o"),
            "high": fields.price(candle, "h"),
            "low": fields.price(candle, "l"),
            "close": fields.price(candle, "c"),
            "volume": fields.number(fields.field(candle, "v"), "v", VOLUME, "quantity_digits"),
            "trade_count": fields.integer(candle, "n"),
            "state": state,
        },
    )
