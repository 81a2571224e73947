-- Every update of every bar that a venue tells, by the same rules as market_trades.
CREATE TABLE IF NOT EXISTS market_venue_bars
(
    venue           LowCardinality(String),
    instrument      LowCardinality(String),
    id_space        LowCardinality(String),
    update_id       String,
    venue_sequence  Int64,
    bar_time        DateTime64(6, 'UTC'),
    width_s         Int64,
    open            Decimal(24, 12),
    high            Decimal(24, 12),
    low             Decimal(24, 12),
    close           Decimal(24, 12),
    volume          Decimal(38, 12),
    trade_count     Int64,
    state           LowCardinality(String),
    event_time      DateTime64(6, 'UTC'),
    event_clock     LowCardinality(String),
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
PARTITION BY toYYYYMM(event_time)
ORDER BY (venue, instrument, id_space, venue_sequence, update_id)
SETTINGS non_replicated_deduplication_window = 10000;
