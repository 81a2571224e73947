-- Factors and tickers as files told them, by the same rules as market_trades.
CREATE TABLE IF NOT EXISTS reference_corporate_actions
(
    venue           LowCardinality(String),
    instrument      LowCardinality(String),
    id_space        LowCardinality(String),
    update_id       String,
    venue_sequence  Int64,
    kind            LowCardinality(String),
    vintage         LowCardinality(String),
    ticker          LowCardinality(String),
    exchange        LowCardinality(String),
    price_factor    Decimal(24, 12),
    split_factor    Decimal(24, 12),
    reference_price Decimal(24, 12),
    event_time      DateTime64(6, 'UTC'),
    event_clock     LowCardinality(String),
    received_time   DateTime64(6, 'UTC'),
    connection_id   LowCardinality(String),
    message_number  Int64,
    message_index   Int32,
    ingested_time   DateTime64(6, 'UTC'),
    topic_id        LowCardinality(String),
    kafka_partition Int32,
    kafka_offset    Int64,
    kafka_index     Int32,
    displaced_count Int32,
    displaced_hash  UInt64,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(displaced_count)
ORDER BY (venue, instrument, id_space, venue_sequence, update_id)
SETTINGS non_replicated_deduplication_window = 10000;

-- The factors of the newest file of each instrument, and what they say of each day: `shares` new shares for an old one
-- and `dividend` for a share, from the next trading day on.
CREATE OR REPLACE VIEW reference_adjustments AS
SELECT
    venue, instrument, toDate(event_time) AS day, price_factor, split_factor, reference_price,
    ifNull(leadInFrame(toNullable(price_factor)) OVER later, price_factor) AS price_factor_after,
    ifNull(leadInFrame(toNullable(split_factor)) OVER later, split_factor) AS split_factor_after,
    round(toFloat64(split_factor_after) / toFloat64(split_factor), 4) AS shares,
    round(toFloat64(reference_price) * (1 - toFloat64(price_factor) / toFloat64(price_factor_after)), 4) AS dividend
FROM reference_corporate_actions FINAL
WHERE kind = 'factors' AND (venue, instrument, vintage) IN
(
    SELECT venue, instrument, argMax(vintage, received_time)
    FROM reference_corporate_actions FINAL
    WHERE kind = 'factors'
    GROUP BY venue, instrument
)
WINDOW later AS (
    PARTITION BY venue, instrument ORDER BY event_time ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
);

-- Which instrument a ticker was on which days, both included. The first line of a file is the listing.
CREATE OR REPLACE VIEW reference_tickers AS
SELECT venue, instrument, ticker, exchange, first_day, last_day
FROM
(
    SELECT
        venue, instrument, ticker, exchange, toDate(event_time) AS last_day,
        row_number() OVER so_far AS place,
        lagInFrame(last_day) OVER so_far AS day_before,
        if(place = 2, day_before, day_before + 1) AS first_day
    FROM reference_corporate_actions FINAL
    WHERE kind = 'ticker' AND (venue, instrument, vintage) IN
    (
        SELECT venue, instrument, argMax(vintage, received_time)
        FROM reference_corporate_actions FINAL
        WHERE kind = 'ticker'
        GROUP BY venue, instrument
    )
    WINDOW so_far AS (
        PARTITION BY venue, instrument ORDER BY event_time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)
WHERE place > 1;

-- Venue bars in today's shares, dividends taken out: raw prices times both factors of their day, the exchange's date.
-- What it was in the shares of an earlier day D: divide by price_factor * split_factor of D.
CREATE OR REPLACE VIEW market_venue_bars_adjusted AS
SELECT
    b.venue AS venue, b.instrument AS instrument, b.id_space AS id_space, b.update_id AS update_id,
    b.bar_time AS bar_time, b.width_s AS width_s, b.day AS day,
    if(a.split_factor = 0, toDecimal128(1, 12), a.price_factor) AS price_factor,
    if(a.split_factor = 0, toDecimal128(1, 12), a.split_factor) AS split_factor,
    toDecimal128(round(toDecimal256(b.open, 12) * price_factor * split_factor, 12), 12) AS open,
    toDecimal128(round(toDecimal256(b.high, 12) * price_factor * split_factor, 12), 12) AS high,
    toDecimal128(round(toDecimal256(b.low, 12) * price_factor * split_factor, 12), 12) AS low,
    toDecimal128(round(toDecimal256(b.close, 12) * price_factor * split_factor, 12), 12) AS close,
    toDecimal128(divideDecimal(toDecimal256(b.volume, 12), toDecimal256(split_factor, 12), 12), 12) AS volume,
    b.close AS raw_close
FROM
(
    SELECT
        *,
        -- Bars of a day are dated; shorter ones are timed, and trading goes on past midnight UTC.
        if(width_s < 86400 AND venue = 'usa', toDate(bar_time, 'America/New_York'), toDate(bar_time)) AS day
    FROM market_venue_bars FINAL
) AS b
ASOF LEFT JOIN reference_adjustments AS a
    ON b.venue = a.venue AND b.instrument = a.instrument AND b.day <= a.day
SETTINGS join_use_nulls = 0;
