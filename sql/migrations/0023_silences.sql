-- How long each series is silent at each hour.
CREATE TABLE IF NOT EXISTS system_silences
(
    venue         LowCardinality(String),
    instrument    LowCardinality(String),
    dataset       LowCardinality(String),
    hour_time     DateTime64(6, 'UTC'),
    silence_count Int64,
    ordinary_ms   Int64,
    longest_ms    Int64,
    known_time    DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_time)
PARTITION BY toYYYYMM(hour_time)
ORDER BY (venue, instrument, dataset, hour_time)
SETTINGS non_replicated_deduplication_window = 10000;

-- Of which incidents nobody is told for a while.
CREATE TABLE IF NOT EXISTS system_mutes
(
    pattern    String,
    until_time DateTime64(6, 'UTC'),
    reason     String,
    known_time DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (pattern, known_time)
SETTINGS non_replicated_deduplication_window = 10000;

-- The last word about each pattern.
CREATE OR REPLACE VIEW system_mutes_current AS
SELECT *
FROM system_mutes
ORDER BY pattern, known_time DESC
LIMIT 1 BY pattern;
