-- What is wrong, since when, and what it touches: every revision of every incident.
CREATE TABLE IF NOT EXISTS system_incidents
(
    incident_id   String,
    revision      Int64,
    subject       String,
    kind          LowCardinality(String),
    dataset       LowCardinality(String),
    venue         LowCardinality(String),
    instrument    LowCardinality(String),
    state         LowCardinality(String),
    severity      LowCardinality(String),
    opened_time   DateTime64(6, 'UTC'),
    closed_time   DateTime64(6, 'UTC'),
    title         String,
    evidence      String,
    upstream      String,
    downstream    String,
    affected_rows Int64,
    next_step     String,
    known_time    DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (incident_id, revision)
SETTINGS non_replicated_deduplication_window = 10000;

-- How each incident stands now.
CREATE OR REPLACE VIEW system_incidents_current AS
SELECT *
FROM system_incidents
ORDER BY incident_id, revision DESC
LIMIT 1 BY incident_id;

-- Every try to tell a receiver of an incident.
CREATE TABLE IF NOT EXISTS system_alerts
(
    incident_id String,
    event       LowCardinality(String),
    receiver    LowCardinality(String),
    attempt     Int64,
    state       LowCardinality(String),
    message_id  String,
    detail      String,
    known_time  DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (incident_id, event, receiver, attempt)
SETTINGS non_replicated_deduplication_window = 10000;

-- How far each receiver was told of each incident.
CREATE OR REPLACE VIEW system_alerts_current AS
SELECT *
FROM system_alerts
ORDER BY incident_id, event, receiver, attempt DESC
LIMIT 1 BY incident_id, event, receiver;

-- How fresh each series was, whenever that changed and every few minutes.
CREATE TABLE IF NOT EXISTS system_freshness
(
    venue              LowCardinality(String),
    instrument         LowCardinality(String),
    dataset            LowCardinality(String),
    last_event_time    DateTime64(6, 'UTC'),
    last_received_time DateTime64(6, 'UTC'),
    cadence_ms         Int64,
    age_ms             Int64,
    state              LowCardinality(String),
    known_time         DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(known_time)
ORDER BY (venue, instrument, dataset, known_time)
SETTINGS non_replicated_deduplication_window = 10000;

-- How fresh each series is, as it was noted last.
CREATE OR REPLACE VIEW system_freshness_current AS
SELECT *
FROM system_freshness
ORDER BY venue, instrument, dataset, known_time DESC
LIMIT 1 BY venue, instrument, dataset;
