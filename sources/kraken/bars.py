"""Kraken's candles. The feeds never say that one is closed; REST does of all but the last."""

from typing import Any

from contracts.bars import VOLUME
from contracts.trades import PRICE
from contracts.venue_bars import VENUE_BARS
from sources import fields
from sources.events import Accepted, Event, Ignored
from sources.fields import Fault, Message, field, integer, iso_time, wrong_type
from sources.kraken.config import INTERVALS, NAME
from sources.kraken.instruments import instrument
from sources.kraken.numbers import number, price, seconds

V1_BARS = {f"ohlc-{minutes}": minutes for minutes in INTERVALS}
_MICROS = 1_000_000
_MINUTE = 60


def v1_bar(candle: object, channel: str, pair: object) -> Accepted:
    """Return the bar of [time, end, open, high, low, close, vwap, volume, count]; the channel tells its width."""
    if type(candle) is not list or len(candle) < 9:
        raise wrong_type("candle", candle, "list of nine")
    width = V1_BARS[channel] * _MINUTE
    begin = seconds(candle[1], "end") // _MICROS * _MICROS - width * _MICROS
    row = _row(pair, f"v1.{channel}", begin, width, "unknown")
    row["event_time"] = seconds(candle[0], "time")
    return Accepted(VENUE_BARS.name, row | _written(candle[2:6], candle[7], candle[8]))


def v2_bar(candle: Message, sent: Message) -> Accepted:
    """Return the bar of {"symbol", "open", ..., "interval_begin", "interval"}; `sent` is the message, with its time."""
    minutes = integer(candle, "interval")
    width = _width(minutes)
    row = _row(field(candle, "symbol"), f"v2.ohlc-{minutes}", iso_time(candle, "interval_begin"), width, "unknown")
    for name in ("open", "high", "low", "close"):
        row[name] = price(candle, name)
    row["volume"] = number(field(candle, "volume"), "volume", VOLUME, "quantity_digits")
    row["trade_count"] = integer(candle, "trades")
    if "timestamp" in sent:
        row["event_time"] = iso_time(sent, "timestamp")
    return Accepted(VENUE_BARS.name, row)


def rest_bars(endpoint: str, candles: object, pair: str, minutes: int) -> list[Event]:
    """Return the bars of a REST answer, [start, open, high, low, close, vwap, volume, count] each, oldest first."""
    if type(candles) is not list:
        return [wrong_type("candles", candles, "list").rejected(VENUE_BARS.name)]
    events: list[Event] = []
    for position, candle in enumerate(candles, 1):
        try:
            if type(candle) is not list or len(candle) < 8:
                raise wrong_type("candle", candle, "list of eight")
            # Kraken always sends the running one, and as the last.
            state = "provisional" if position == len(candles) else "final"
            width = _width(minutes)
            row = _row(pair, f"{endpoint}.ohlc-{minutes}", seconds(candle[0], "time"), width, state)
            events.append(Accepted(VENUE_BARS.name, row | _written(candle[1:5], candle[6], candle[7])))
        except Fault as fault:
            events.append(fault.rejected(VENUE_BARS.name))
    return events or [Ignored("no_trades")]


def _width(minutes: int) -> int:
    if minutes not in INTERVALS:
        raise Fault("unknown_message", f"a candle of {minutes} minutes, valid: {', '.join(map(str, INTERVALS))}")
    return minutes * _MINUTE


def _row(pair: object, id_space: str, begin: int, width: int, state: str) -> dict[str, object]:
    return {
        "venue": NAME,
        "instrument": instrument(pair, "pair"),
        "id_space": id_space,
        "venue_sequence": begin,
        "bar_time": begin,
        "width_s": width,
        "state": state,
    }


def _written(prices: list[Any], volume: object, count: object) -> dict[str, object]:
    """Read what both v1 and REST write as strings; v1 documents the count as a string and sends an integer."""
    row: dict[str, object] = {
        name: fields.number(value, name, PRICE, "price_digits")
        for name, value in zip(("open", "high", "low", "close"), prices, strict=True)
    }
    row["volume"] = fields.number(volume, "volume", VOLUME, "quantity_digits")
    if type(count) is str and count.isascii() and count.isdigit() and len(count) < 19:
        count = int(count)
    row["trade_count"] = integer({"count": count}, "count")
    return row
