-- Every minute of {day:Date} in which a series traded or has a bar: its trades, how many of them came late or are
-- stored twice, and whether its bar says what they say. {settled:Int64}: trades stored since then may not be in their
-- bar yet, and are no contradiction.
--
-- Late against what: on a live feed event to received, less the venue's usual lag (the low hundredth of the day), which
-- holds the difference of the clocks. A tape that is replayed is received long after; there the clock is the newest
-- event time that the series had told before that second of receipt.
WITH
    toDateTime64({day:Date}, 6, 'UTC') AS midnight,
    toDateTime64({day:Date} + 1, 6, 'UTC') AS next_midnight,
    usual AS
    (
        SELECT
            venue, id_space,
            quantileExact(0.01)(toUnixTimestamp64Micro(received_time) - toUnixTimestamp64Micro(event_time)) AS lag
        FROM market_trades FINAL
        WHERE event_time >= midnight AND event_time < next_midnight
        GROUP BY venue, id_space
    ),
    clocks AS
    (
        SELECT
            venue, instrument, id_space, second,
            max(newest) OVER (
                PARTITION BY venue, instrument, id_space ORDER BY second
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS clock
        FROM
        (
            SELECT
                venue, instrument, id_space, intDiv(toUnixTimestamp64Micro(received_time), 1000000) AS second,
                max(toUnixTimestamp64Micro(event_time)) AS newest
            FROM market_trades FINAL
            WHERE event_time >= midnight AND event_time < next_midnight
                AND (venue, id_space) IN (SELECT venue, id_space FROM usual WHERE abs(lag) >= 86400000000)
            GROUP BY venue, instrument, id_space, second
        )
    ),
    timed AS
    (
        SELECT
            t.venue AS venue, t.instrument AS instrument, t.id_space AS id_space, t.trade_id AS trade_id,
            t.venue_sequence AS venue_sequence, t.price AS price, t.quantity AS quantity,
            t.trade_count AS trade_count, t.event_time AS event_time, t.ingested_time AS ingested_time,
            toUnixTimestamp64Micro(t.event_time) AS happened,
            if(
                abs(u.lag) < 86400000000,
                toUnixTimestamp64Micro(t.received_time) - happened - u.lag,
                if(c.clock = 0, 0, c.clock - happened)
            ) AS delay
        FROM
        (
            SELECT *, intDiv(toUnixTimestamp64Micro(received_time), 1000000) AS second
            FROM market_trades FINAL
            WHERE event_time >= midnight AND event_time < next_midnight
        ) AS t
        INNER JOIN usual AS u ON t.venue = u.venue AND t.id_space = u.id_space
        LEFT JOIN clocks AS c
            ON t.venue = c.venue AND t.instrument = c.instrument AND t.id_space = c.id_space AND t.second = c.second
    ),
    made AS
    (
        SELECT
            venue, instrument, id_space,
            intDiv(happened, 60000000) AS minute,
            count() AS trades,
            count() - uniqExact(sipHash64(trade_id)) AS twice,
            countIf(delay > 10000000) AS late,
            countIf(delay > 60000000) AS very_late,
            argMin(price, (event_time, venue_sequence, trade_id)) AS open,
            max(price) AS high,
            min(price) AS low,
            argMax(price, (event_time, venue_sequence, trade_id)) AS close,
            sum(quantity) AS volume,
            sum(price * quantity) AS notional,
            sum(trade_count) AS single_trades,
            toUnixTimestamp64Micro(max(ingested_time)) AS stored
        FROM timed
        GROUP BY venue, instrument, id_space, minute
    ),
    -- market_bars_current of this day alone: through the view every bar of every day would be read.
    kept AS
    (
        SELECT *, intDiv(toUnixTimestamp64Micro(bar_time), 60000000) AS minute
        FROM
        (
            SELECT *
            FROM market_bars
            WHERE bar_time >= midnight AND bar_time < next_midnight
            ORDER BY venue, instrument, id_space, bar_time, revision DESC
            LIMIT 1 BY venue, instrument, id_space, bar_time
        )
        WHERE state != 'withdrawn'
    )
SELECT
    if(m.trades > 0, m.venue, k.venue) AS venue,
    if(m.trades > 0, m.instrument, k.instrument) AS instrument,
    if(m.trades > 0, m.id_space, k.id_space) AS id_space,
    if(m.trades > 0, m.minute, k.minute) AS minute,
    m.trades, m.twice, m.late, m.very_late,
    (m.open, m.high, m.low, m.close, m.volume, m.notional, m.single_trades)
        != (k.open, k.high, k.low, k.close, k.volume, k.notional, k.trade_count)
        AND m.stored < {settled:Int64} AS differs,
    if(m.trades > 0, m.close, k.close) AS close
FROM made AS m
FULL OUTER JOIN kept AS k
    ON m.venue = k.venue AND m.instrument = k.instrument AND m.id_space = k.id_space AND m.minute = k.minute
ORDER BY venue, instrument, id_space, minute
SETTINGS join_use_nulls = 0
