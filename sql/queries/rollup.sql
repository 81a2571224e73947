-- Make the bars of {width_s} seconds of one day from the finer ones in {source}, into the empty table {target}.
-- A series has at most one bar at a time, so open and close are exact; sums that would not fit raise, never wrap.
INSERT INTO {target}
SELECT
    venue,
    instrument,
    id_space,
    toDateTime64(toStartOfInterval(finer.bar_time, INTERVAL {width_s} SECOND, 'UTC'), 6, 'UTC') AS start,
    argMin(finer.open, finer.bar_time),
    max(finer.high),
    min(finer.low),
    argMax(finer.close, finer.bar_time),
    CAST(sum(toDecimal256(finer.volume, 12)) AS Decimal(38, 12)),
    CAST(sum(toDecimal256(finer.notional, 24)) AS Decimal(38, 24)),
    sum(finer.trade_count),
    sum({minutes}),
    if(countIf(finer.state != 'final') = 0, 'final', 'provisional'),
    max(finer.known_time)
FROM {source} AS finer
WHERE finer.bar_time >= toDateTime64({{day:Date}}, 6, 'UTC') AND finer.bar_time < toDateTime64({{day:Date}} + 1, 6, 'UTC')
GROUP BY venue, instrument, id_space, start
