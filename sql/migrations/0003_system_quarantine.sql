-- What was not accepted, whole. The grain is the record that delivered it, so a repeated write changes nothing.
CREATE TABLE IF NOT EXISTS system_quarantine
(
    dataset         LowCardinality(String),
    venue           LowCardinality(String),
    reason          LowCardinality(String),
    detail          String,
    payload         String,
    received_time   DateTime64(6, 'UTC'),
    connection_id   LowCardinality(String),
    message_number  Int64,
    message_index   Int32,
    topic           LowCardinality(String),
    ingested_time   DateTime64(6, 'UTC'),
    topic_id        LowCardinality(String),
    kafka_partition Int32,
    kafka_offset    Int64
)
ENGINE = ReplacingMergeTree
ORDER BY (topic_id, kafka_partition, kafka_offset)
SETTINGS non_replicated_deduplication_window = 10000;
