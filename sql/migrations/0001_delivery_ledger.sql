-- What was delivered where. Written last by every sink; a range that is not here was not delivered.
CREATE TABLE IF NOT EXISTS delivery_ledger
(
    sink              LowCardinality(String),
    topic             LowCardinality(String),
    topic_id          LowCardinality(String),
    kafka_partition   Int32,
    first_offset      Int64,
    last_offset       Int64,
    read_count        Int64,
    stored_count      Int64,
    duplicate_count   Int64,
    quarantined_count Int64,
    content_hash      UInt64,
    closed_time       DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(closed_time)
ORDER BY (sink, topic_id, kafka_partition, first_offset, last_offset)
SETTINGS non_replicated_deduplication_window = 10000;
