-- What rules found wrong, by the same rules as market_trades.
CREATE TABLE IF NOT EXISTS market_alerts
(
    venue           LowCardinality(String),
    instrument      LowCardinality(String),
    id_space        LowCardinality(String),
    venue_sequence  Int64,
    event_id        String,
    rule            LowCardinality(String),
    kind            LowCardinality(String),
    limit_percent   Decimal(9, 6),
    price           Decimal(24, 12),
    other_price     Decimal(24, 12),
    reference_time  DateTime64(6, 'UTC'),
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
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(displaced_count)
ORDER BY (venue, instrument, id_space, venue_sequence, event_id, rule)
SETTINGS non_replicated_deduplication_window = 10000;
