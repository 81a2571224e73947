"""Where Kraken is and what is asked of it unless settings say otherwise."""

from sources.endpoints import Endpoint

NAME = "kraken"
REST_URL = "https://api.kraken.com"

# Levels a side and minutes that Kraken offers.
DEPTHS = (10, 25, 100, 500, 1000)
INTERVALS = (1, 5, 15, 30, 60, 240, 1440, 10080, 21600)
# v2 does not say in a book's messages how deep they were asked for, and who keeps the book must know: one depth alone.
V2_DEPTH = 1000

# Public REST requests are limited by address, about one a second; half of that is polite.
_REST_WEIGHT_A_MINUTE = 30.0
# While anything is subscribed to, a heartbeat comes in every second in which nothing else does.
_HEARTBEAT_S = 20.0

V2 = Endpoint(
    venue=NAME,
    name="v2",
    base_url="wss://ws.kraken.com/v2",
    rest_url=REST_URL,
    streams=tuple(
        f"{channel}:{symbol}"
        for symbol in ("BTC/USD", "ETH/USD")
        for channel in ("trade", "ticker", f"book-{V2_DEPTH}", "ohlc-1")
    ),
    # A connection begins with up to 2,000 levels for each book.
    streams_per_connection=100,
    heartbeat_s=_HEARTBEAT_S,
    rest_weight_a_minute=_REST_WEIGHT_A_MINUTE,
)
# Kraken changes nothing in v1 any more. Its trades have no ids, so that a lost one does not show.
V1 = Endpoint(
    venue=NAME,
    name="v1",
    base_url="wss://ws.kraken.com",
    rest_url=REST_URL,
    # What v2 gives better is not collected twice: name streams to record v1 as well.
    streams=(),
    streams_per_connection=100,
    heartbeat_s=_HEARTBEAT_S,
    rest_weight_a_minute=_REST_WEIGHT_A_MINUTE,
)
ENDPOINTS = (V2, V1)
