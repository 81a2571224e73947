-- Whole books at even distances of event time. They save reading and are never the only place where something stands.
CREATE TABLE IF NOT EXISTS market_book_snapshots
(
    venue              LowCardinality(String),
    instrument         LowCardinality(String),
    id_space           LowCardinality(String),
    snapshot_time      DateTime64(6, 'UTC'),
    as_of              DateTime64(6, 'UTC'),
    bid_prices         Array(Decimal(24, 12)),
    bid_quantities     Array(Decimal(24, 12)),
    ask_prices         Array(Decimal(24, 12)),
    ask_quantities     Array(Decimal(24, 12)),
    depth              Int64,
    chain              LowCardinality(String),
    venue_sequence     Int64,
    received_time      DateTime64(6, 'UTC'),
    message_number     Int64,
    message_index      Int32,
    base_sequence      Int64,
    base_received_time DateTime64(6, 'UTC'),
    state              LowCardinality(String),
    known_time         DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_time)
PARTITION BY toYYYYMM(snapshot_time)
ORDER BY (venue, instrument, id_space, snapshot_time)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 128;
