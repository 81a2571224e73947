-- The silences of {table} that touch the hours from {{from_hour:Int64}} to before {{to_hour:Int64}} (hours since the epoch), by
-- series and hour, written where they differ from what is known. Receipts are read from {{since:Int64}} (µs) on.
INSERT INTO system_silences
WITH measured AS
(
    SELECT
        venue,
        instrument,
        '{dataset}' AS dataset,
        toDateTime64(hour * 3600, 6, 'UTC') AS hour_time,
        toInt64(count()) AS silence_count,
        toInt64(quantileExact(0.95)(seconds) * 1000) AS ordinary_ms,
        toInt64(max(seconds) * 1000) AS longest_ms
    FROM
    (
        SELECT
            venue,
            instrument,
            tupleElement(silence, 2) - tupleElement(silence, 1) AS seconds,
            arrayJoin(range(intDiv(tupleElement(silence, 1), 3600), intDiv(tupleElement(silence, 2), 3600) + 1)) AS hour
        FROM
        (
            SELECT
                venue,
                instrument,
                arraySort(groupUniqArray(toInt64(toUnixTimestamp(received_time)))) AS heard,
                arrayJoin(arrayZip(arrayPopBack(heard), arrayPopFront(heard))) AS silence
            FROM {table}
            WHERE kafka_offset >= {{first:Int64}} AND received_time >= fromUnixTimestamp64Micro({{since:Int64}}, 'UTC')
            GROUP BY venue, instrument
        )
    )
    WHERE hour >= {{from_hour:Int64}} AND hour < {{to_hour:Int64}}
    GROUP BY venue, instrument, hour
)
SELECT
    venue, instrument, dataset, hour_time, silence_count, ordinary_ms, longest_ms,
    fromUnixTimestamp64Micro({{now:Int64}}, 'UTC') AS known_time
FROM measured
WHERE (venue, instrument, dataset, hour_time, silence_count, longest_ms) NOT IN
(
    SELECT toString(venue), toString(instrument), toString(dataset), hour_time, silence_count, longest_ms
    FROM system_silences FINAL
    WHERE hour_time >= toDateTime64({{from_hour:Int64}} * 3600, 6, 'UTC')
)
