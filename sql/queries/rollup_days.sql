-- The days whose bars changed after {since:Int64}, oldest change first: when the newest of the day's bars became
-- known, and the newest bar of that venue, of all that traded on the day, which is furthest behind.
-- Withdrawn bars count: they change what a rollup has to say.
SELECT days.day, max(days.known) AS known, min(clocks.newest) AS slowest_venue
FROM
(
    SELECT toDate(bar_time) AS day, venue, toUnixTimestamp64Micro(max(known_time)) AS known
    FROM market_bars
    WHERE toDate(bar_time) IN
        (SELECT toDate(bar_time) FROM market_bars WHERE toUnixTimestamp64Micro(known_time) > {since:Int64})
    GROUP BY day, venue
) AS days
INNER JOIN
(
    SELECT venue, toUnixTimestamp64Micro(max(bar_time)) AS newest FROM market_bars GROUP BY venue
) AS clocks ON days.venue = clocks.venue
GROUP BY days.day
ORDER BY known, days.day
