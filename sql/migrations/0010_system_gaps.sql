-- Every revision of every gap, by the same rules as market_trades.
CREATE TABLE IF NOT EXISTS system_gaps
(
    venue           LowCardinality(String),
    instrument      LowCardinality(String),
    id_space        LowCardinality(String),
    gap_number      Int64,
    revision        Int64,
    kind            LowCardinality(String),
    state           LowCardinality(String),
    from_sequence   Int64,
    to_sequence     Int64,
    missing_count   Int64,
    recovered_count Int64,
    from_time       DateTime64(6, 'UTC'),
    to_time         DateTime64(6, 'UTC'),
    attempt_count   Int64,
    repair_ms       Int64,
    detail          String,
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
ORDER BY (venue, instrument, id_space, gap_number, revision)
SETTINGS non_replicated_deduplication_window = 10000;

-- How each gap stands now.
CREATE OR REPLACE VIEW system_gaps_current AS
SELECT *
FROM system_gaps FINAL
ORDER BY venue, instrument, id_space, gap_number, revision DESC
LIMIT 1 BY venue, instrument, id_space, gap_number;
