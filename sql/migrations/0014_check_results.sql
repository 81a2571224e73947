-- What each claim about a venue's day came to, every time that it was put to the stored data.
CREATE TABLE IF NOT EXISTS system_check_results
(
    day_time         DateTime64(6, 'UTC'),
    venue            LowCardinality(String),
    dataset          LowCardinality(String),
    check_name       LowCardinality(String),
    level            LowCardinality(String),
    passed           Int32,
    checked_count    Int64,
    unexpected_count Int64,
    sample           String,
    detail           String,
    run_id           LowCardinality(String),
    known_time       DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(day_time)
ORDER BY (day_time, venue, dataset, check_name, known_time)
SETTINGS non_replicated_deduplication_window = 10000;

-- The last outcome of each claim about each venue's day.
CREATE OR REPLACE VIEW system_check_results_current AS
SELECT *
FROM system_check_results
ORDER BY day_time, venue, dataset, check_name, known_time DESC
LIMIT 1 BY day_time, venue, dataset, check_name;
