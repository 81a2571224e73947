-- Snapshots and updates of order books, by the same rules as market_trades. Rows are wide and few of them make a book,
-- so granules are small; the index by kind finds the snapshots among the updates.
CREATE TABLE IF NOT EXISTS market_books
(
    venue             LowCardinality(String),
    instrument        LowCardinality(String),
    id_space          LowCardinality(String),
    update_id         String,
    venue_sequence    Int64,
    kind              LowCardinality(String),
    chain             LowCardinality(String),
    first_sequence    Int64,
    previous_sequence Int64,
    bid_prices        Array(Decimal(24, 12)),
    bid_quantities    Array(Decimal(24, 12)),
    ask_prices        Array(Decimal(24, 12)),
    ask_quantities    Array(Decimal(24, 12)),
    depth             Int64,
    checksum          Int64,
    event_time        DateTime64(6, 'UTC'),
    event_clock       LowCardinality(String),
    received_time     DateTime64(6, 'UTC'),
    connection_id     LowCardinality(String),
    message_number    Int64,
    message_index     Int32,
    ingested_time     DateTime64(6, 'UTC'),
    topic_id          LowCardinality(String),
    kafka_partition   Int32,
    kafka_offset      Int64,
    displaced_count   Int32,
    displaced_hash    UInt64,
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1,
    INDEX by_kind kind TYPE set(2) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(displaced_count)
PARTITION BY toDate(event_time)
ORDER BY (venue, instrument, id_space, venue_sequence, update_id)
SETTINGS non_replicated_deduplication_window = 10000, index_granularity = 1024;
