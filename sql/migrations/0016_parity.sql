-- What every rebuild of a day came to, beside what was streamed.
CREATE TABLE IF NOT EXISTS system_parity
(
    venue            LowCardinality(String),
    instrument       LowCardinality(String),
    dataset          LowCardinality(String),
    day_time         DateTime64(6, 'UTC'),
    revision         Int64,
    streamed_count   Int64,
    rebuilt_count    Int64,
    streamed_hash    UInt64,
    rebuilt_hash     UInt64,
    equal            Int32,
    first_difference String,
    received_time    DateTime64(6, 'UTC'),
    connection_id    LowCardinality(String),
    message_number   Int64,
    message_index    Int32,
    run_id           LowCardinality(String),
    known_time       DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_time)
PARTITION BY toYYYYMM(day_time)
ORDER BY (day_time, dataset, venue, instrument, revision)
SETTINGS non_replicated_deduplication_window = 10000;

-- The last rebuild of each.
CREATE OR REPLACE VIEW system_parity_current AS
SELECT *
FROM system_parity
ORDER BY day_time, dataset, venue, instrument, revision DESC, known_time DESC
LIMIT 1 BY day_time, dataset, venue, instrument;
