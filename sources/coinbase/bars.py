"""Venue bars: candles of Advanced Trade's feed and of both REST sides."""

import decimal
from collections.abc import Mapping

from contracts.bars import VOLUME
from contracts.trades import PRICE
from contracts.venue_bars import NOT_TOLD, VENUE_BARS
from sources.coinbase.config import NAME
from sources.coinbase.instruments import instrument
from sources.events import Accepted
from sources.fields import Fault, Message, field, number, shown, within_years, wrong_type

FEED_WIDTH_S = 300  # the candles channel has no other
EXCHANGE_WIDTHS_S = frozenset({60, 300, 900, 3600, 21600, 86400})
ADVANCED_WIDTHS_S = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "FOUR_HOUR": 14400,
    "SIX_HOUR": 21600,
    "ONE_DAY": 86400,
}


def exchange_width(query: Mapping[str, str]) -> int:
    """Return the width in seconds that a request to the Exchange asked for."""
    told = query.get("granularity", "")
    if told not in {str(width) for width in EXCHANGE_WIDTHS_S}:
        raise Fault("missing_field", f"the request's granularity is {shown(told)}, valid: {sorted(EXCHANGE_WIDTHS_S)}")
    return int(told)


def advanced_width(query: Mapping[str, str]) -> int:
    """Return the width in seconds that a request to Advanced Trade asked for."""
    told = query.get("granularity", "")
    if told not in ADVANCED_WIDTHS_S:
        raise Fault(
            "missing_field", f"the request's granularity is {shown(told)}, valid: {', '.join(ADVANCED_WIDTHS_S)}"
        )
    return ADVANCED_WIDTHS_S[told]


def exchange_bar(candle: object, product: str, width_s: int) -> Accepted:
    """Read `[time, low, high, open, close, volume]`, whose numbers must still be the text that was sent."""
    if type(candle) is not list or len(candle) != 6:
        raise wrong_type("a candle", candle, "list of time, low, high, open, close, volume")
    start, low, high, first, last, volume = candle
    named = {"start": start, "low": low, "high": high, "open": first, "close": last, "volume": volume}
    return Accepted(VENUE_BARS.name, _bar(named, "exchange", product, width_s))


def advanced_bar(candle: Message, product: object, width_s: int, sent_time: int | None) -> Accepted:
    """Read a candle of the feed, with the message's `sent_time`, or of REST, without.

    The venue never calls a candle closed; one that holds the message's own time can't be.
    """
    row = _bar(candle, "advanced", product, width_s)
    if sent_time is not None:
        row["event_time"] = sent_time
        if 0 <= sent_time - _start(candle["start"]) < width_s * 1_000_000:
            row["state"] = "provisional"
    return Accepted(VENUE_BARS.name, row)


def _bar(candle: Message, endpoint: str, product: object, width_s: int) -> dict[str, object]:
    start = _start(field(candle, "start"))
    prices = {
        name: number(field(candle, name), name, PRICE, "price_digits") for name in ("open", "high", "low", "close")
    }
    volume = number(field(candle, "volume"), "volume", VOLUME, "quantity_digits")
    return {
        "venue": NAME,
        "instrument": instrument(product),
        "id_space": f"{endpoint}.candle_{_label(width_s)}",
        # No id is told. What the candle says is one: a snapshot that repeats a candle repeats its id.
        "update_id": ":".join([str(start), *(_plain(told) for told in (*prices.values(), volume))]),
        "venue_sequence": start,
        "bar_time": start,
        "width_s": width_s,
        **prices,
        "volume": volume,
        "trade_count": NOT_TOLD,
        "state": "unknown",
    }


def _start(value: object) -> int:
    if type(value) is not str or not value.isascii() or not value.isdigit():
        raise wrong_type("start", value, "whole number of seconds")
    if len(value) > 12:
        raise Fault("time_out_of_range", f"start is {shown(value)}, valid: years 1 to 9999")
    return within_years(int(value) * 1_000_000, "start", value)


def _label(width_s: int) -> str:
    for seconds, letter in ((86400, "d"), (3600, "h")):
        if width_s % seconds == 0:
            return f"{width_s // seconds}{letter}"
    return f"{width_s // 60}m"


def _plain(told: decimal.Decimal) -> str:
    written = format(told, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written
