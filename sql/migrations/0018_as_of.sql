-- Trades that a row from earlier on the tape took the place of, as they were stored: what was known then can still be
-- asked for after market_trades has merged them away. Written just before the row that displaces them.
CREATE TABLE IF NOT EXISTS market_trades_displaced
(
    venue           LowCardinality(String),
    instrument      LowCardinality(String),
    id_space        LowCardinality(String),
    trade_id        String,
    venue_sequence  Int64,
    price           Decimal(24, 12),
    quantity        Decimal(24, 12),
    side            LowCardinality(String),
    trade_count     Int64,
    event_time      DateTime64(6, 'UTC'),
    received_time   DateTime64(6, 'UTC'),
    connection_id   LowCardinality(String),
    message_number  Int64,
    message_index   Int32,
    ingested_time   DateTime64(6, 'UTC'),
    topic_id        LowCardinality(String),
    kafka_partition Int32,
    kafka_offset    Int64,
    displaced_count Int32,
    displaced_hash  UInt64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(event_time)
ORDER BY (venue, instrument, id_space, venue_sequence, trade_id, displaced_count)
SETTINGS non_replicated_deduplication_window = 10000;

-- The trades as they were known at a moment, for any client:
--     SELECT * FROM market_trades_as_of(moment = '2026-11-20 12:00:00.000000') WHERE venue = 'binance'
-- A trade is known from its ingested_time on: when the streaming core began to store it. Nearly all rows are read as
-- they stand; where the row that stands came later than the moment, the one that stood then is looked up.
CREATE OR REPLACE VIEW market_trades_as_of AS
SELECT *
FROM market_trades FINAL
WHERE ingested_time <= {moment:DateTime64(6, 'UTC')}
UNION ALL
SELECT *
FROM
(
    SELECT *
    FROM market_trades_displaced FINAL
    WHERE ingested_time <= {moment:DateTime64(6, 'UTC')}
        AND (venue, instrument, id_space, venue_sequence, trade_id) IN
        (
            SELECT venue, instrument, id_space, venue_sequence, trade_id
            FROM market_trades FINAL
            WHERE ingested_time > {moment:DateTime64(6, 'UTC')} AND displaced_count > 0
        )
    ORDER BY venue, instrument, id_space, venue_sequence, trade_id, displaced_count DESC
    LIMIT 1 BY venue, instrument, id_space, venue_sequence, trade_id
);

-- The one-minute bars as they were known at a moment: of each bar the last revision that was known by then.
--     SELECT * FROM market_bars_as_of(moment = '2026-11-20 12:00:00.000000') WHERE venue = 'binance'
CREATE OR REPLACE VIEW market_bars_as_of AS
SELECT *, toFloat64(notional) / toFloat64(volume) AS vwap
FROM
(
    SELECT *
    FROM market_bars
    WHERE known_time <= {moment:DateTime64(6, 'UTC')}
    ORDER BY venue, instrument, id_space, bar_time, revision DESC
    LIMIT 1 BY venue, instrument, id_space, bar_time
)
WHERE state != 'withdrawn';

-- The same in coarser bars of width_s seconds, by the rules of sql/queries/rollup.sql. The tables of coarser bars keep no
-- revisions: a day of theirs is replaced as a whole. Their minutes do, so that they can be made for any moment.
CREATE OR REPLACE VIEW market_bars_rolled_as_of AS
SELECT
    minute.venue AS venue,
    minute.instrument AS instrument,
    minute.id_space AS id_space,
    toDateTime64(toStartOfInterval(minute.bar_time, toIntervalSecond({width_s:UInt32}), 'UTC'), 6, 'UTC') AS bar_time,
    argMin(minute.open, minute.bar_time) AS open,
    max(minute.high) AS high,
    min(minute.low) AS low,
    argMax(minute.close, minute.bar_time) AS close,
    CAST(sum(toDecimal256(minute.volume, 12)) AS Decimal(38, 12)) AS volume,
    CAST(sum(toDecimal256(minute.notional, 24)) AS Decimal(38, 24)) AS notional,
    sum(minute.trade_count) AS trade_count,
    toInt64(count()) AS minute_count,
    if(countIf(minute.state != 'final') = 0, 'final', 'provisional') AS state,
    max(minute.known_time) AS known_time
FROM market_bars_as_of(moment = {moment:DateTime64(6, 'UTC')}) AS minute
GROUP BY venue, instrument, id_space, bar_time;
