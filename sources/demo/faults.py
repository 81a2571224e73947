"""What goes wrong in the demo, at the same places each time, so that gaps open and close before the user's eyes."""

# `after` counts the stream's own payloads. Each kind of hole: trades that REST gives back, updates of a book by id and
# by checksum, and trades of a venue whose messages are numbered.
FAULTS: list[dict[str, object]] = [
    {"endpoint": "binance/spot", "stream": "btcusdt@trade", "kind": "drop", "after": 2_000, "count": 7},
    {"endpoint": "binance/usdm", "stream": "btcusdt@trade", "kind": "drop", "after": 9_000, "count": 40},
    {"endpoint": "binance/usdm", "stream": "btcusdt@depth@0ms", "kind": "drop", "after": 4_500, "count": 3},
    {"endpoint": "kraken/v1", "stream": "book-1000:XBT/CHF", "kind": "drop", "after": 69, "count": 1},
    {"endpoint": "coinbase/exchange", "stream": "matches:SKL-USD", "kind": "drop", "after": 5, "count": 2},
]
