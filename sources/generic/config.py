"""What is asked of a venue that has no folder of its own, and how often, unless settings say otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sources.endpoints import Endpoint

TRADES, BARS, INSTRUMENTS = "trades", "bars_1m", "instruments"
KINDS = (TRADES, BARS, INSTRUMENTS)
BAR_WIDTH_S = 60

_SYMBOLS = ("BTC/USDT", "ETH/USDT")


@dataclass(frozen=True)
class Manners:
    """How often each kind of stream is asked for, and when a venue that fails is left alone.

    A venue that gives the newest trades alone loses some to us when more are made in a period than its page holds;
    the poller says so.
    """

    periods_s: Mapping[str, float] = field(default_factory=lambda: {TRADES: 2.0, BARS: 15.0, INSTRUMENTS: 6 * 3600.0})
    # So many failures in a row and nobody asks for so long; then one request tries.
    failures: int = 5
    rest_s: float = 30.0
    # What ccxt is told besides, such as {"options": {"fetchTradesMethod": "publicGetTrades"}} for its binance.
    ccxt: Mapping[str, object] = field(default_factory=dict)
    # A stream that the venue answers with an error waits longer each time, up to this; the others go on.
    longest_s: float = 300.0


def endpoint(venue: str) -> Endpoint:
    """Return the one endpoint. Without a `rest_url` ccxt's own addresses of the venue hold."""
    return Endpoint(
        venue=venue,
        name="rest",
        base_url="",
        rest_url="",
        streams=(*(f"{kind}:{symbol}" for symbol in _SYMBOLS for kind in (TRADES, BARS)), INSTRUMENTS),
        # One after the other, within one limit.
        streams_per_connection=100_000,
        backoff_first_s=1.0,
        backoff_longest_s=60.0,
        rest_timeout_s=15.0,
    )
