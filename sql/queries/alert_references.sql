-- What each instrument last closed at, and which pair it is. A bar counts once it is final; only those that became
-- known lately are looked at, so that a long history costs nothing.
SELECT
    c.venue, c.instrument, p.kind, p.base, p.quote, c.price,
    toUnixTimestamp64Micro(c.closed_time) AS closed_time
FROM
(
    SELECT venue, instrument, argMax(close, (bar_time, id_space)) AS price, max(bar_time) + INTERVAL 1 MINUTE AS closed_time
    FROM
    (
        SELECT venue, instrument, id_space, bar_time, argMax(close, revision) AS close, argMax(state, revision) AS standing
        FROM market_bars
        WHERE known_time >= now64(6, 'UTC') - toIntervalSecond({window_s:Int64})
        GROUP BY venue, instrument, id_space, bar_time
    )
    WHERE standing = 'final'
    GROUP BY venue, instrument
) AS c
LEFT JOIN
(
    SELECT
        venue, instrument,
        argMax(kind, told) AS kind, argMax(base, told) AS base, argMax(quote, told) AS quote
    FROM
    (
        SELECT venue, instrument, kind, base, quote, (event_time, received_time, message_number, message_index) AS told
        FROM reference_instruments
    )
    GROUP BY venue, instrument
) AS p ON c.venue = p.venue AND c.instrument = p.instrument
ORDER BY c.venue, c.instrument
SETTINGS join_use_nulls = 0
