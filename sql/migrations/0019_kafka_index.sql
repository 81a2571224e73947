-- An event's place in its record, for records of many events; 0 for what was delivered before there were any.
ALTER TABLE market_trades ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;
ALTER TABLE market_trades_displaced ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;
ALTER TABLE market_quotes ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;
ALTER TABLE market_books ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;
ALTER TABLE market_venue_bars ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;
ALTER TABLE reference_instruments ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;
ALTER TABLE market_alerts ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;
ALTER TABLE system_gaps ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset;

-- Two bad events of one record are two rows.
ALTER TABLE system_quarantine
    ADD COLUMN IF NOT EXISTS kafka_index Int32 AFTER kafka_offset,
    MODIFY ORDER BY (topic_id, kafka_partition, kafka_offset, kafka_index);

-- A view has the columns that its table had when it was made.
CREATE OR REPLACE VIEW system_gaps_current AS
SELECT *
FROM system_gaps FINAL
ORDER BY venue, instrument, id_space, gap_number, revision DESC
LIMIT 1 BY venue, instrument, id_space, gap_number;

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
