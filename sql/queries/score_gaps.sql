-- What of {day:Date} was not heard and is not repaired: trades by their ids, and stretches of time where ids do not
-- tell. A book's gaps are no trade's: scores ask of the series of trades alone.
SELECT
    venue, instrument, id_space, kind, state, missing_count,
    intDiv(toUnixTimestamp64Micro(from_time), 60000000) AS from_minute,
    intDiv(toUnixTimestamp64Micro(to_time), 60000000) AS to_minute
FROM system_gaps_current
WHERE state IN ('open', 'unfillable') AND kind IN ('trade_ids', 'silence', 'sequence')
    AND from_time < toDateTime64({day:Date} + 1, 6, 'UTC') AND to_time >= toDateTime64({day:Date}, 6, 'UTC')
    AND (venue, instrument, id_space) IN
    (
        SELECT venue, instrument, id_space FROM market_trades
        WHERE event_time >= toDateTime64({day:Date}, 6, 'UTC') AND event_time < toDateTime64({day:Date} + 1, 6, 'UTC')
    )
ORDER BY venue, instrument, id_space, gap_number
