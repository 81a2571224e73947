-- Recompute the bars of the minutes in {touched} from the stored trades; write those that changed as a new revision.
-- A bar is a function of the trades of its minute and of nothing else: not of batches, not of the order of arrival.
INSERT INTO {bars}
SELECT
    t.venue, t.instrument, t.id_space, t.bar_time,
    n.open, n.high, n.low, n.close, n.volume, n.notional, n.trade_count,
    if(n.trade_count = 0, 'withdrawn', t.state) AS state,
    c.revision + 1 AS revision,
    fromUnixTimestamp64Micro({known_time}, 'UTC') AS known_time
FROM
(
    SELECT
        tupleElement(m, 1) AS venue, tupleElement(m, 2) AS instrument, tupleElement(m, 3) AS id_space,
        fromUnixTimestamp64Micro(tupleElement(m, 4), 'UTC') AS bar_time, tupleElement(m, 5) AS state
    FROM (SELECT arrayJoin([{touched}]) AS m)
) AS t
LEFT JOIN
(
    -- Text that sorts like (event_time, venue_sequence, trade_id); to compare tuples would cost twice as much.
    WITH
        bitShiftLeft(toUInt64(1), 63) AS sign,
        concat(
            reinterpretAsFixedString(byteSwap(bitXor(reinterpretAsUInt64(toUnixTimestamp64Micro(event_time)), sign))),
            reinterpretAsFixedString(byteSwap(bitXor(reinterpretAsUInt64(venue_sequence), sign))),
            trade_id
        ) AS place
    SELECT
        venue, instrument, id_space,
        toStartOfInterval(event_time, INTERVAL 60000000 MICROSECOND) AS bar_time,
        argMin(price, place) AS open,
        max(price) AS high,
        min(price) AS low,
        argMax(price, place) AS close,
        sum(quantity) AS volume,
        sum(price * quantity) AS notional,
        sum({trades}.trade_count) AS trade_count
    FROM {trades} FINAL
    WHERE {trades_where}
    GROUP BY venue, instrument, id_space, bar_time
) AS n ON t.venue = n.venue AND t.instrument = n.instrument AND t.id_space = n.id_space AND t.bar_time = n.bar_time
LEFT JOIN
(
    SELECT *
    FROM {bars}
    WHERE {bars_where}
    ORDER BY venue, instrument, id_space, bar_time, revision DESC
    LIMIT 1 BY venue, instrument, id_space, bar_time
) AS c ON t.venue = c.venue AND t.instrument = c.instrument AND t.id_space = c.id_space AND t.bar_time = c.bar_time
WHERE (n.open, n.high, n.low, n.close, n.volume, n.notional, n.trade_count)
        != (c.open, c.high, c.low, c.close, c.volume, c.notional, c.trade_count)
    OR (c.revision > 0 AND n.trade_count > 0 AND c.state != t.state AND t.state = 'final')
SETTINGS join_use_nulls = 0
