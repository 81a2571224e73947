-- How far each instrument's day can be trusted. A score is written last: what it lost is there before it is.
CREATE TABLE IF NOT EXISTS system_scores
(
    venue        LowCardinality(String),
    instrument   LowCardinality(String),
    day_time     DateTime64(6, 'UTC'),
    revision     Int64,
    score        Decimal(9, 6),
    completeness Decimal(9, 6),
    validity     Decimal(9, 6),
    uniqueness   Decimal(9, 6),
    timeliness   Decimal(9, 6),
    consistency  Decimal(9, 6),
    known_time   DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_time)
PARTITION BY toYYYYMM(day_time)
ORDER BY (day_time, venue, instrument, revision)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE OR REPLACE VIEW system_scores_current AS
SELECT *
FROM system_scores
ORDER BY day_time, venue, instrument, revision DESC, known_time DESC
LIMIT 1 BY day_time, venue, instrument;

CREATE TABLE IF NOT EXISTS system_deductions
(
    venue      LowCardinality(String),
    instrument LowCardinality(String),
    day_time   DateTime64(6, 'UTC'),
    revision   Int64,
    dimension  LowCardinality(String),
    reason     LowCardinality(String),
    affected   Int64,
    total      Int64,
    weight     Decimal(9, 6),
    deducted   Decimal(9, 6),
    detail     String,
    known_time DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_time)
PARTITION BY toYYYYMM(day_time)
ORDER BY (day_time, venue, instrument, revision, dimension, reason)
SETTINGS non_replicated_deduplication_window = 10000;

-- Those of the last score: one that has nothing deducted any more must not show what the one before it lost.
CREATE OR REPLACE VIEW system_deductions_current AS
SELECT *
FROM system_deductions FINAL
WHERE (day_time, venue, instrument, revision, known_time) IN
    (SELECT day_time, venue, instrument, revision, known_time FROM system_scores_current);

CREATE TABLE IF NOT EXISTS system_bar_scores
(
    venue        LowCardinality(String),
    instrument   LowCardinality(String),
    id_space     LowCardinality(String),
    bar_time     DateTime64(6, 'UTC'),
    revision     Int64,
    score        Decimal(9, 6),
    completeness Decimal(9, 6),
    validity     Decimal(9, 6),
    uniqueness   Decimal(9, 6),
    timeliness   Decimal(9, 6),
    consistency  Decimal(9, 6),
    known_time   DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(known_time)
PARTITION BY toYYYYMM(bar_time)
ORDER BY (venue, instrument, id_space, bar_time, revision)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE OR REPLACE VIEW system_bar_scores_current AS
SELECT *
FROM system_bar_scores
ORDER BY venue, instrument, id_space, bar_time, revision DESC, known_time DESC
LIMIT 1 BY venue, instrument, id_space, bar_time;

-- A bar that was not scored yet has no score: NULL, neither 0 nor 1.
CREATE OR REPLACE VIEW market_bars_scored AS
SELECT
    b.*,
    s.score AS score, s.completeness AS completeness, s.validity AS validity, s.uniqueness AS uniqueness,
    s.timeliness AS timeliness, s.consistency AS consistency, s.known_time AS score_known_time
FROM market_bars_current AS b
LEFT JOIN system_bar_scores_current AS s
    ON b.venue = s.venue AND b.instrument = s.instrument AND b.id_space = s.id_space AND b.bar_time = s.bar_time
SETTINGS join_use_nulls = 1;
