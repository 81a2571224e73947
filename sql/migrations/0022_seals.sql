-- What every retired day held, before its rows were dropped.
CREATE TABLE IF NOT EXISTS system_seals
(
    dataset         LowCardinality(String),
    day_time        DateTime64(6, 'UTC'),
    venue           LowCardinality(String),
    topic_id        LowCardinality(String),
    kafka_partition Int32,
    revision        Int64,
    row_count       Int64,
    content_hash    UInt64,
    state           LowCardinality(String),
    rule            LowCardinality(String),
    backup          String,
    known_time      DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_time)
ORDER BY (dataset, day_time, venue, topic_id, kafka_partition, revision)
SETTINGS non_replicated_deduplication_window = 10000;

-- How each seal stands.
CREATE OR REPLACE VIEW system_seals_current AS
SELECT *
FROM system_seals
ORDER BY dataset, day_time, venue, topic_id, kafka_partition, revision DESC, known_time DESC
LIMIT 1 BY dataset, day_time, venue, topic_id, kafka_partition;
