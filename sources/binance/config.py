"""Where Binance is and what is asked of it unless settings say otherwise."""

from sources.endpoints import Endpoint

NAME = "binance"

_SYMBOLS = ("btcusdt", "ethusdt")


def _streams(*channels: str) -> tuple[str, ...]:
    return tuple(f"{symbol}@{channel}" for symbol in _SYMBOLS for channel in channels)


SPOT = Endpoint(
    venue=NAME,
    name="spot",
    base_url="wss://stream.binance.com:9443",
    rest_url="https://api.binance.com",
    streams=_streams("trade", "bookTicker", "depth@100ms", "kline_1m"),
    # The venue allows 1,024 and closes a connection after 24 hours; fewer make a smaller hole when one is lost.
    streams_per_connection=200,
    # It pings every 20 s.
    heartbeat_s=60.0,
    # REQUEST_WEIGHT allows 6,000 a minute to an address.
    rest_weight_a_minute=3_000.0,
)
# USD-M routes streams by path and sends nothing, without an error, on the wrong one: /public carries books, best bids
# and asks, and single trades; /market aggregated trades and bars. So one market has two feeds. Both share one REST
# side, whose REQUEST_WEIGHT allows 2,400 a minute to an address: half of it is shared out between them.
USDM = Endpoint(
    venue=NAME,
    name="usdm",
    base_url="wss://fstream.binance.com/public",
    rest_url="https://fapi.binance.com",
    # <symbol>@trade works here too, but is not documented: a default should not stand on it.
    streams=_streams("bookTicker", "depth@100ms"),
    # The venue allows 200 and closes a connection after 24 hours.
    streams_per_connection=100,
    # It pings every 3 minutes.
    heartbeat_s=200.0,
    rest_weight_a_minute=600.0,
)
USDM_MARKET = Endpoint(
    venue=NAME,
    name="usdm_market",
    base_url="wss://fstream.binance.com/market",
    rest_url="https://fapi.binance.com",
    streams=_streams("aggTrade", "kline_1m"),
    streams_per_connection=100,
    # The aggregated trades of one quiet symbol may pause for longer than a minute.
    heartbeat_s=200.0,
    rest_weight_a_minute=600.0,
)
ENDPOINTS = (SPOT, USDM, USDM_MARKET)

# What the ids of both USD-M feeds begin with.
MARKETS = {"spot": "spot", "usdm": "usdm", "usdm_market": "usdm"}

# Aggregated trades count without holes. So do single ones: on USD-M those that are not trades of the market use up
# ids as well, and the parser says so.
COUNTED = frozenset({"spot.trade", "spot.agg_trade", "usdm.trade", "usdm.agg_trade"})

REST_PATHS = {"spot": "/api/v3/", "usdm": "/fapi/v1/"}
