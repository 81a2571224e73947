-- Indicators of every bar of a grain. A day of a grain is a partition, and is only ever replaced as a whole.
CREATE TABLE IF NOT EXISTS market_indicators
(
    grain      LowCardinality(String),
    venue      LowCardinality(String),
    instrument LowCardinality(String),
    id_space   LowCardinality(String),
    bar_time   DateTime64(6, 'UTC'),
    indicators LowCardinality(String),
    numbers    Array(Decimal(38, 18)),
    known_time DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY (grain, toDate(bar_time))
ORDER BY (grain, venue, instrument, id_space, bar_time);

CREATE OR REPLACE VIEW market_indicator_values AS
SELECT grain, venue, instrument, id_space, bar_time, indicator, value, known_time
FROM market_indicators
ARRAY JOIN splitByChar(',', toString(indicators)) AS indicator, numbers AS value
WHERE indicators != '';

-- Features: every revision, each with the time it became known. The sort key is the order that training sets read in.
-- A day of partitions holds the rows that tell of its minutes, the last of which ends at the next midnight.
CREATE TABLE IF NOT EXISTS market_features
(
    source     LowCardinality(String),
    venue      LowCardinality(String),
    instrument LowCardinality(String),
    event_time DateTime64(6, 'UTC'),
    features   LowCardinality(String),
    numbers    Array(Decimal(38, 18)),
    known_time DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(event_time - INTERVAL 1 MINUTE)
ORDER BY (source, venue, instrument, event_time, known_time)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE OR REPLACE VIEW market_features_current AS
SELECT *
FROM market_features
ORDER BY source, venue, instrument, event_time, known_time DESC
LIMIT 1 BY source, venue, instrument, event_time;

CREATE OR REPLACE VIEW market_feature_values AS
SELECT source, venue, instrument, event_time, feature, value, known_time
FROM market_features
ARRAY JOIN splitByChar(',', toString(features)) AS feature, numbers AS value
WHERE features != '';
