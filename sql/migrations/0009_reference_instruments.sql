-- Instruments each time a venue told them, by the same rules as market_trades.
CREATE TABLE IF NOT EXISTS reference_instruments
(
    venue           LowCardinality(String),
    instrument      LowCardinality(String),
    id_space        LowCardinality(String),
    update_id       String,
    venue_sequence  Int64,
    symbol          LowCardinality(String),
    kind            LowCardinality(String),
    base            LowCardinality(String),
    quote           LowCardinality(String),
    price_step      Decimal(24, 12),
    quantity_step   Decimal(24, 12),
    quantity_least  Decimal(24, 12),
    state           LowCardinality(String),
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
    displaced_count Int32,
    displaced_hash  UInt64,
    INDEX by_offset kafka_offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(displaced_count)
ORDER BY (venue, instrument, id_space, venue_sequence, update_id)
SETTINGS non_replicated_deduplication_window = 10000;

-- What was so since when and until when: [valid_from, valid_to). Rows that tell the same again make no new span.
CREATE OR REPLACE VIEW reference_instruments_history AS
SELECT
    * EXCEPT (told, told_before, valid_from),
    valid_from,
    leadInFrame(valid_from, 1, toDateTime64('2299-12-31 23:59:59', 6, 'UTC')) OVER (
        PARTITION BY venue, instrument, id_space ORDER BY valid_from, received_time, message_number, message_index
        ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ) AS valid_to
FROM
(
    SELECT
        venue, instrument, id_space, symbol, kind, base, quote, price_step, quantity_step, quantity_least, state,
        received_time, message_number, message_index,
        event_time AS valid_from,
        cityHash64(symbol, kind, base, quote, price_step, quantity_step, quantity_least, state) AS told,
        lagInFrame(toNullable(told)) OVER (
            PARTITION BY venue, instrument, id_space ORDER BY event_time, received_time, message_number, message_index
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS told_before
    FROM reference_instruments FINAL
)
WHERE told_before IS NULL OR told != told_before;
