-- Coarser bars. A day is a partition, and is only ever replaced as a whole: readers see the old or the new one.
CREATE TABLE IF NOT EXISTS market_bars_5m
(
    venue        LowCardinality(String),
    instrument   LowCardinality(String),
    id_space     LowCardinality(String),
    bar_time     DateTime64(6, 'UTC'),
    open         Decimal(24, 12),
    high         Decimal(24, 12),
    low          Decimal(24, 12),
    close        Decimal(24, 12),
    volume       Decimal(38, 12),
    notional     Decimal(38, 24),
    trade_count  Int64,
    minute_count Int64,
    state        LowCardinality(String),
    known_time   DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toDate(bar_time)
ORDER BY (venue, instrument, id_space, bar_time);

CREATE TABLE IF NOT EXISTS market_bars_1h
(
    venue        LowCardinality(String),
    instrument   LowCardinality(String),
    id_space     LowCardinality(String),
    bar_time     DateTime64(6, 'UTC'),
    open         Decimal(24, 12),
    high         Decimal(24, 12),
    low          Decimal(24, 12),
    close        Decimal(24, 12),
    volume       Decimal(38, 12),
    notional     Decimal(38, 24),
    trade_count  Int64,
    minute_count Int64,
    state        LowCardinality(String),
    known_time   DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toDate(bar_time)
ORDER BY (venue, instrument, id_space, bar_time);

CREATE TABLE IF NOT EXISTS market_bars_1d
(
    venue        LowCardinality(String),
    instrument   LowCardinality(String),
    id_space     LowCardinality(String),
    bar_time     DateTime64(6, 'UTC'),
    open         Decimal(24, 12),
    high         Decimal(24, 12),
    low          Decimal(24, 12),
    close        Decimal(24, 12),
    volume       Decimal(38, 12),
    notional     Decimal(38, 24),
    trade_count  Int64,
    minute_count Int64,
    state        LowCardinality(String),
    known_time   DateTime64(6, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toDate(bar_time)
ORDER BY (venue, instrument, id_space, bar_time);
