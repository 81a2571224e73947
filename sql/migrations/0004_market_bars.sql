-- Every revision of every bar, with the time at which it became known.
CREATE TABLE IF NOT EXISTS market_bars
(
    venue       LowCardinality(String),
    instrument  LowCardinality(String),
    id_space    LowCardinality(String),
    bar_time    DateTime64(6, 'UTC'),
    open        Decimal(24, 12),
    high        Decimal(24, 12),
    low         Decimal(24, 12),
    close       Decimal(24, 12),
    volume      Decimal(38, 12),
    notional    Decimal(38, 24),
    trade_count Int64,
    state       LowCardinality(String),
    revision    Int64,
    known_time  DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(bar_time)
ORDER BY (venue, instrument, id_space, bar_time, revision)
SETTINGS non_replicated_deduplication_window = 10000;

-- The bars as they are known now. vwap is derived on reading: division is where engines round differently.
CREATE OR REPLACE VIEW market_bars_current AS
SELECT *, toFloat64(notional) / toFloat64(volume) AS vwap
FROM
(
    SELECT *
    FROM market_bars
    ORDER BY venue, instrument, id_space, bar_time, revision DESC
    LIMIT 1 BY venue, instrument, id_space, bar_time
)
WHERE state != 'withdrawn';
