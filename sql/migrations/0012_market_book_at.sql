-- The book of a feed at a moment of event time, for any client:
--     SELECT * FROM market_book_at(venue = 'kraken', instrument = 'XBT/USD', id_space = 'v1.book',
--                                  moment = '2024-08-08 23:55:00.000000', levels = 10)
-- levels: how many a side, 0 for all. One row, or none where no snapshot had been heard by then.
--
-- It starts from the snapshot that was heard last among those stamped at or before the moment, the venue's own or one of
-- market_book_snapshots, and applies the updates behind it in the venue's order, up to the first that is stamped after
-- the moment: a book never shows what was not known yet, and never skips an update. Numbered updates that the snapshot
-- holds already are left out, and complete is false once one of them is missing.
--
-- Where a feed keeps only so many levels (depth), the venue says nothing more of a level that falls out of them. So
-- depth is cut after every update, not at the end: an old level must not come back when better ones have gone.
CREATE OR REPLACE VIEW market_book_at AS
WITH
    (
        SELECT argMax(
            (snapshot_time, chain, venue_sequence, received_time, message_number, message_index, base_received_time),
            snapshot_time)
        FROM market_book_snapshots FINAL
        WHERE venue = {venue:String} AND instrument = {instrument:String} AND id_space = {id_space:String}
            AND snapshot_time <= {moment:DateTime64(6, 'UTC')} AND state != 'withdrawn'
    ) AS ours,
    (
        SELECT argMax(
            (event_time, chain, venue_sequence, received_time, message_number, message_index),
            (received_time, message_number, message_index))
        FROM market_books FINAL
        WHERE venue = {venue:String} AND instrument = {instrument:String} AND id_space = {id_space:String}
            AND kind = 'snapshot' AND event_time > tupleElement(ours, 1)
            AND event_time <= {moment:DateTime64(6, 'UTC')} AND received_time > tupleElement(ours, 7)
    ) AS theirs,
    -- Without a row argMax gives the epoch.
    tupleElement(theirs, 1) > toDateTime64(0, 6, 'UTC') AS from_venue,
    from_venue OR tupleElement(ours, 1) > toDateTime64(0, 6, 'UTC') AS has_start,
    if(from_venue, tupleElement(theirs, 2), tupleElement(ours, 2)) AS start_chain,
    if(from_venue, tupleElement(theirs, 3), tupleElement(ours, 3)) AS start_sequence,
    (
        start_sequence,
        if(from_venue, tupleElement(theirs, 4), tupleElement(ours, 4)),
        if(from_venue, tupleElement(theirs, 5), tupleElement(ours, 5)),
        if(from_venue, tupleElement(theirs, 6), tupleElement(ours, 6))
    ) AS start_place,
    -- The first update that is stamped after the moment: nothing from it on is applied.
    (
        SELECT (count() > 0, any(place))
        FROM
        (
            SELECT (venue_sequence, received_time, message_number, message_index) AS place
            FROM market_books FINAL
            WHERE venue = {venue:String} AND instrument = {instrument:String} AND id_space = {id_space:String}
                AND has_start AND venue_sequence >= start_sequence AND kind = 'delta' AND chain = start_chain
                AND place > start_place AND (previous_sequence < 0 OR venue_sequence > start_sequence)
                AND event_time > {moment:DateTime64(6, 'UTC')}
            ORDER BY venue_sequence, received_time, message_number, message_index
            LIMIT 1
            -- Read in small steps: it ends with the first row that fits.
            SETTINGS max_block_size = 1024, max_threads = 1
        )
    ) AS cut,
    applied AS
    (
        SELECT
            start_place AS place, -1 AS previous, as_of AS stamped, depth AS kept, state = 'complete' AS whole,
            base_sequence AS base, base_received_time AS base_received,
            arrayZip(bid_prices, bid_quantities) AS bids, arrayZip(ask_prices, ask_quantities) AS asks
        FROM market_book_snapshots FINAL
        WHERE venue = {venue:String} AND instrument = {instrument:String} AND id_space = {id_space:String}
            AND has_start AND NOT from_venue AND snapshot_time = tupleElement(ours, 1)
        UNION ALL
        SELECT
            start_place, -1, event_time, depth, true, venue_sequence, received_time,
            arrayZip(bid_prices, bid_quantities), arrayZip(ask_prices, ask_quantities)
        FROM market_books FINAL
        WHERE venue = {venue:String} AND instrument = {instrument:String} AND id_space = {id_space:String}
            AND from_venue AND kind = 'snapshot' AND chain = start_chain AND venue_sequence = start_sequence
            AND (venue_sequence, received_time, message_number, message_index) = start_place
        UNION ALL
        SELECT
            (venue_sequence, received_time, message_number, message_index) AS place, previous_sequence, event_time,
            depth, true, toInt64(0), toDateTime64(0, 6, 'UTC'),
            arrayZip(bid_prices, bid_quantities), arrayZip(ask_prices, ask_quantities)
        FROM market_books FINAL
        WHERE venue = {venue:String} AND instrument = {instrument:String} AND id_space = {id_space:String}
            AND has_start AND venue_sequence >= start_sequence
            AND (NOT tupleElement(cut, 1) OR venue_sequence <= tupleElement(tupleElement(cut, 2), 1))
            AND kind = 'delta' AND chain = start_chain
            AND place > start_place AND (previous_sequence < 0 OR venue_sequence > start_sequence)
            AND (NOT tupleElement(cut, 1) OR place < tupleElement(cut, 2))
    ),
    history AS
    (
        SELECT
            arraySort(step -> tupleElement(step, 1), groupArray((place, previous, bids, asks))) AS steps,
            max(stamped) AS as_of,
            max(kept) AS depth,
            min(whole) AS start_whole,
            max(base) AS base_sequence,
            max(base_received) AS base_received_time
        FROM applied
        HAVING notEmpty(steps)
    ),
    -- A row a side, the newest word of a step first. Prices of bids are negative here: on both sides the best is least.
    sides AS
    (
        SELECT
            * EXCEPT (steps),
            tupleElement(steps[-1], 1) AS last_place,
            arrayExists(
                (previous, before) -> previous > before,
                arrayPopFront(arrayMap(step -> tupleElement(step, 2), steps)),
                arrayPopBack(arrayMap(step -> tupleElement(tupleElement(step, 1), 1), steps))
            ) AS has_hole,
            arrayMap(
                step -> arrayMap(
                    level -> (tupleElement(level, 1) * side, tupleElement(level, 2)),
                    arrayReverse(if(side = -1, tupleElement(step, 3), tupleElement(step, 4)))),
                steps
            ) AS told,
            side
        FROM history
        ARRAY JOIN [-1, 1] AS side
    ),
    latest AS
    (
        SELECT
            *,
            arrayFlatten(arrayReverse(told)) AS words,
            arraySort(arrayFilter(
                (level, nth) -> nth = 1 AND tupleElement(level, 2) > 0,
                words,
                arrayEnumerateUniq(arrayMap(level -> tupleElement(level, 1), words))
            )) AS levels,
            -- With so few words nothing can ever have fallen out, and the costly way need not be gone.
            depth > 0 AND arrayCount(level -> tupleElement(level, 2) > 0, words) > depth AS overflows
        FROM sides
    ),
    -- The prices that stayed among the best through every update.
    survivors AS
    (
        SELECT
            * EXCEPT (told, words),
            arrayFold(
                (prices, step) -> arraySlice(
                    arraySort(arrayConcat(
                        arrayFilter(price -> NOT has(arrayMap(level -> tupleElement(level, 1), step), price), prices),
                        arrayMap(level -> tupleElement(level, 1), arrayFilter(level -> tupleElement(level, 2) > 0, step)))),
                    1, depth),
                arrayMap(
                    step -> arrayFilter(
                        (level, nth) -> nth = 1, step, arrayEnumerateUniq(arrayMap(level -> tupleElement(level, 1), step))),
                    arrayFilter(step -> overflows AND notEmpty(step), told)),
                arrayMap(level -> tupleElement(level, 1), arraySlice(words, 1, 0))
            ) AS prices
        FROM latest
    ),
    books AS
    (
        SELECT
            * EXCEPT (levels, prices, overflows),
            if(overflows, arrayFilter(level -> has(prices, tupleElement(level, 1)), levels), levels) AS remaining,
            arraySlice(remaining, 1, if({levels:UInt32} = 0, length(remaining), {levels:UInt32})) AS best
        FROM survivors
    )
SELECT
    {venue:String} AS venue,
    {instrument:String} AS instrument,
    {id_space:String} AS id_space,
    any(as_of) AS as_of,
    any(start_whole) AND NOT any(has_hole) AS complete,
    CAST(arrayMap(level -> -tupleElement(level, 1), anyIf(best, side = -1)), 'Array(Decimal(24, 12))') AS bid_prices,
    arrayMap(level -> tupleElement(level, 2), anyIf(best, side = -1)) AS bid_quantities,
    CAST(arrayMap(level -> tupleElement(level, 1), anyIf(best, side = 1)), 'Array(Decimal(24, 12))') AS ask_prices,
    arrayMap(level -> tupleElement(level, 2), anyIf(best, side = 1)) AS ask_quantities,
    -- 0 where nobody bids or asks.
    bid_prices[1] AS best_bid,
    ask_prices[1] AS best_ask,
    -- Quantities of the levels asked for, added up; from -1, only asks, to 1, only bids.
    arraySum(bid_quantities) AS bid_depth,
    arraySum(ask_quantities) AS ask_depth,
    if(bid_depth + ask_depth = 0, 0, toFloat64(bid_depth - ask_depth) / toFloat64(bid_depth + ask_depth)) AS imbalance,
    any(depth) AS depth,
    start_chain AS chain,
    -- The last row that was applied.
    tupleElement(any(last_place), 1) AS venue_sequence,
    tupleElement(any(last_place), 2) AS received_time,
    tupleElement(any(last_place), 3) AS message_number,
    tupleElement(any(last_place), 4) AS message_index,
    any(base_sequence) AS base_sequence,
    any(base_received_time) AS base_received_time
FROM books
HAVING count() > 0;
