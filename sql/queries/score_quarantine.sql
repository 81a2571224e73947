-- The records in quarantine that came in among the trades of {day:Date}, by the minute of the venue's newest trade that
-- was received by that second: a record that nobody could read tells no time of its own, and on a replayed tape that of
-- its receipt is another day. `instruments` are those of the day that its payload names.
WITH heard AS
(
    SELECT venue, second, intDiv(newest, 60000000) AS minute, max(second) OVER (PARTITION BY venue) + 60 AS until
    FROM
    (
        SELECT
            venue, intDiv(toUnixTimestamp64Micro(received_time), 1000000) AS second,
            max(toUnixTimestamp64Micro(event_time)) AS newest
        FROM market_trades FINAL
        WHERE event_time >= toDateTime64({day:Date}, 6, 'UTC') AND event_time < toDateTime64({day:Date} + 1, 6, 'UTC')
        GROUP BY venue, second
    )
),
traded AS
(
    SELECT venue, groupUniqArray(toString(instrument)) AS instruments
    FROM market_trades
    WHERE event_time >= toDateTime64({day:Date}, 6, 'UTC') AND event_time < toDateTime64({day:Date} + 1, 6, 'UTC')
    GROUP BY venue
)
SELECT
    q.venue AS venue, h.minute AS minute, q.dataset = 'market.trades' AS of_trades,
    arraySort(arrayFilter(one -> position(q.payload, one) > 0, t.instruments)) AS instruments,
    count() AS records
FROM
(
    SELECT venue, dataset, payload, intDiv(toUnixTimestamp64Micro(received_time), 1000000) AS second
    FROM system_quarantine FINAL
    WHERE dataset IN ('market.trades', 'tape')
) AS q
ASOF INNER JOIN heard AS h ON q.venue = h.venue AND q.second >= h.second
INNER JOIN traded AS t ON q.venue = t.venue
WHERE q.second < h.until
GROUP BY venue, minute, of_trades, instruments
ORDER BY venue, minute, of_trades, instruments
