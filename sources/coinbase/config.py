"""Where Coinbase is and what is asked of it unless settings say otherwise."""

from sources.endpoints import Endpoint

NAME = "coinbase"

# The matching engine's own feed. `level2` is asked for as level2_batch, the same messages every 50 ms: level2 itself
# is for authenticated users since August 2023. No bars are sent.
EXCHANGE = Endpoint(
    venue=NAME,
    name="exchange",
    base_url="wss://ws-feed.exchange.coinbase.com",
    rest_url="https://api.exchange.coinbase.com",
    streams=(
        "matches:BTC-USD",
        "matches:ETH-USD",
        "ticker:BTC-USD",
        "ticker:ETH-USD",
        "level2:BTC-USD",
        "level2:ETH-USD",
        "heartbeat:BTC-USD",
        "heartbeat:ETH-USD",
    ),
    # No limit is documented for one connection; books begin with snapshots of megabytes, so few share one.
    streams_per_connection=50,
    # A heartbeat comes every second and product; other streams may be silent for minutes.
    heartbeat_s=30.0,
    # 10 public requests a second and address are allowed; half of that.
    rest_weight_a_minute=300.0,
)
# The retail feed over the same engine: trades in batches of up to 250 ms, and numbered messages. Candles are of five
# minutes, there are no others.
ADVANCED = Endpoint(
    venue=NAME,
    name="advanced",
    base_url="wss://advanced-trade-ws.coinbase.com",
    rest_url="https://api.coinbase.com",
    streams=(
        # Trades, tickers and books are the other feed's: the same ones would be stored twice.
        "candles:BTC-USD",
        "candles:ETH-USD",
        # Channels without updates are closed after 60 to 90 s unless the connection has heartbeats.
        "heartbeats",
    ),
    # Below 8 subscription messages a second and address: one a channel is sent. BTC-USD's snapshot has 5 MB.
    streams_per_connection=50,
    heartbeat_s=30.0,
    # 10 public requests a second and address are allowed; half of that.
    rest_weight_a_minute=300.0,
)
ENDPOINTS = (EXCHANGE, ADVANCED)
