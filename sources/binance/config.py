"""Where Binance is and what is asked of it unless settings say otherwise."""

from sources.endpoints import Endpoint

NAME = "binance"

# Spot documents single trades; USD-M documents aggregated ones alone. Its undocumented <symbol>@trade works and is
# what the demo tape holds, but a default should not stand on it.
SPOT = Endpoint(
    venue=NAME,
    name="spot",
    base_url="wss://stream.binance.com:9443",
    streams=("btcusdt@trade", "ethusdt@trade"),
    # The venue allows 1,024 and closes a connection after 24 hours; fewer make a smaller hole when one is lost.
    streams_per_connection=200,
    # It pings every 20 s.
    heartbeat_s=60.0,
)
USDM = Endpoint(
    venue=NAME,
    name="usdm",
    # USD-M routes streams by path and sends nothing, without an error, on the wrong one: /market carries aggTrade,
    # /public books, best bids and asks, and single trades. The address without a path is that of /public.
    base_url="wss://fstream.binance.com/market",
    streams=("btcusdt@aggTrade", "ethusdt@aggTrade"),
    streams_per_connection=100,
    # It pings every 3 minutes; the aggregated trades of one quiet symbol may pause for longer than a minute.
    heartbeat_s=200.0,
)
ENDPOINTS = (SPOT, USDM)
