-- The quotes of {day:Date} with both sides, by minute, and how many of them are crossed: more bid than asked.
SELECT
    venue, instrument, intDiv(toUnixTimestamp64Micro(event_time), 60000000) AS minute,
    count() AS quotes, countIf(bid_price >= ask_price) AS crossed
FROM market_quotes FINAL
WHERE event_time >= toDateTime64({day:Date}, 6, 'UTC') AND event_time < toDateTime64({day:Date} + 1, 6, 'UTC')
    AND bid_price > 0 AND ask_price > 0
GROUP BY venue, instrument, minute
ORDER BY venue, instrument, minute
