-- Every trade once: the sort key is the grain, and the row that is earliest on the tape is the one read (FINAL).
-- Ids sort with time within a series, so a day's and a minute's rows lie together.
CREATE TABLE IF NOT EXISTS market_trades
(
    venue           LowCardinality(String),
    instrument      LowCardinality(String),
    id_space        LowCardinality(String),
    trade_id        String,
    venue_sequence  Int64,
    price           Decimal(24, 12),
    quantity        Decimal(24, 12),
    side            LowCardinality(String),
    trade_count     Int64,
    event_time      DateTime64(6, 'UTC'),
    received_time   DateTime64(6, 'UTC'),
    connection_id   LowCardinality(String),
    message_number  Int64,
    message_index   Int32,
    ingested_time   DateTime64(6, 'UTC'),
    topic_id        LowCardinality(String),
    kafka_partition Int32,
    kafka_offset    Int64,
    displaced_count Int32,
    displaced_hash  UInt64,
    INDEX by_event_time event_time TYPE minmax GRANULARITY 1,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(displaced_count)
PARTITION BY toDate(event_time)
ORDER BY (venue, instrument, id_space, venue_sequence, trade_id)
SETTINGS non_replicated_deduplication_window = 10000;
