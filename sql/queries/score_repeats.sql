-- The repeats that the ledger counted in the ranges that brought the trades of {day:Date}, shared out by the ranges'
-- stored rows: which of them were repeats is not kept. A range that brought nothing new has no day and is left out.
SELECT
    venue, instrument, id_space, minute,
    sum(toDecimal128(repeats * mine, 9) / greatest(brought, 1)) AS repeats
FROM
(
    SELECT
        t.venue AS venue, t.instrument AS instrument, t.id_space AS id_space,
        intDiv(toUnixTimestamp64Micro(t.event_time), 60000000) AS minute,
        l.first_offset AS first_offset, t.kafka_partition AS kafka_partition, t.topic_id AS topic_id,
        any(l.duplicate_count) AS repeats, any(l.stored_count) AS brought, count() AS mine
    FROM
    (
        SELECT venue, instrument, id_space, event_time, toString(topic_id) AS topic_id, kafka_partition, kafka_offset
        FROM market_trades FINAL
        WHERE event_time >= toDateTime64({day:Date}, 6, 'UTC') AND event_time < toDateTime64({day:Date} + 1, 6, 'UTC')
    ) AS t
    ASOF INNER JOIN
    (
        SELECT
            toString(topic_id) AS topic_id, kafka_partition, first_offset, last_offset, duplicate_count, stored_count
        FROM delivery_ledger FINAL
        WHERE sink = 'warehouse.market_trades' AND duplicate_count > 0
    ) AS l
        ON t.topic_id = l.topic_id AND t.kafka_partition = l.kafka_partition AND t.kafka_offset >= l.first_offset
    WHERE t.kafka_offset <= l.last_offset
    GROUP BY venue, instrument, id_space, minute, first_offset, kafka_partition, topic_id
)
GROUP BY venue, instrument, id_space, minute
ORDER BY venue, instrument, id_space, minute
