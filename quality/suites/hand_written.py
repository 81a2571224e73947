"""Claims that no rule of one value says: about rows that stand beside each other, and about two tables."""

from contracts.bars import BARS
from contracts.books import BOOKS
from contracts.dataset import Dataset
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from quality.suites.claims import BETWEEN, GREATER, Claim, Level, Suite, at_least, between
from quality.suites.derive import CURRENT_BARS, NONE, Derived, ahead, computed_claim

# The clocks of venues and collectors differ; the recordings' by up to 1.3 s. Beyond this one of them is wrong.
SKEW_S = 5

SERIES_KEY = ("venue", "instrument", "id_space")
BAR_KEY = (*SERIES_KEY, "bar_time")


def more_claims(dataset: Dataset) -> list[Derived]:
    """Return what else is claimed of the rows that the contract's claims are about."""
    return [*_MORE.get(dataset.name, []), *([_skew()] if dataset in (TRADES, QUOTES, BOOKS, VENUE_BARS) else [])]


def _skew() -> Derived:
    name = f"received_time_is_at_most_{SKEW_S}_s_before_event_time"
    says = f"What was received had happened, give or take {SKEW_S} seconds between the clocks."
    return computed_claim(
        "warn", name, says, *ahead("event_time", "received_time", SKEW_S), "event_time", "received_time"
    )


def _order_of_prices(level: Level) -> list[Derived]:
    pairs = [("high", "open"), ("high", "close"), ("high", "low"), ("open", "low"), ("close", "low")]
    return [
        Derived(
            Claim(f"{a}_is_at_least_{b}", level, f"{a} is not below {b}.", GREATER, at_least(a, b)),
            {},
        )
        for a, b in pairs
    ]


_CROSSED_BOOK = "notEmpty(bid_prices) AND notEmpty(ask_prices) AND arrayMax(bid_prices) > arrayMin(ask_prices)"

_MORE: dict[str, list[Derived]] = {
    BARS.name: _order_of_prices("stop"),
    VENUE_BARS.name: _order_of_prices("warn"),
    QUOTES.name: [
        computed_claim(
            "warn",
            "bid_does_not_exceed_ask",
            "The best bid is not above the best ask, where both are told.",
            "crossed_by",
            "if(bid_price > 0 AND ask_price > 0, greatest(bid_price - ask_price, toDecimal128(0, 12)), 0)",
            NONE,
            "bid_price",
            "ask_price",
        ),
    ],
    BOOKS.name: [
        computed_claim(
            "warn",
            "bids_of_a_snapshot_do_not_exceed_its_asks",
            "In a whole book the best bid is not above the best ask.",
            "crossed",
            f"kind = 'snapshot' AND {_CROSSED_BOOK}",
            NONE,
        ),
        computed_claim(
            "warn",
            "first_sequence_does_not_exceed_venue_sequence",
            "The first of the updates that a row stands for is not behind the last.",
            "sequences_reversed",
            "first_sequence - venue_sequence",
            {"max_value": 0},
            "first_sequence",
        ),
    ],
}

_IN_ORDER = f"""
SELECT venue, instrument, id_space, venue_sequence, trade_id, event_time, previous_event_time,
    toUnixTimestamp64Micro(previous_event_time) - toUnixTimestamp64Micro(event_time) AS stepped_back_us
FROM
(
    SELECT venue, instrument, id_space, venue_sequence, trade_id, event_time,
        lagInFrame(event_time, 1, event_time) OVER (
            PARTITION BY venue, instrument, id_space ORDER BY venue_sequence, trade_id
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
        ) AS previous_event_time
    FROM {TRADES.table} FINAL WHERE {{event_time}}
)"""

_BY_ID = f"""
SELECT venue, instrument, id_space, trade_id, count() AS occurrences, min(venue_sequence) AS first_venue_sequence
FROM {TRADES.table} FINAL WHERE {{event_time}}
GROUP BY venue, instrument, id_space, trade_id"""

# A minute that is in one of the tables alone has zeros from the other.
_AGAINST_TRADES = f"""
SELECT
    venue, instrument, id_space, bar_time, max(is_bar) AS has_bar, max(is_trades) AS has_trades,
    sum(volume) AS volume_beyond_trades, sum(notional) AS notional_beyond_trades,
    sum(trade_count) AS trade_count_beyond_trades, sum(high) AS high_beyond_trades, sum(low) AS low_beyond_trades
FROM
(
    SELECT venue, instrument, id_space, bar_time, 1 AS is_bar, 0 AS is_trades, volume, notional, trade_count, high, low
    FROM {CURRENT_BARS}
    UNION ALL
    SELECT
        venue, instrument, id_space, toStartOfInterval(event_time, INTERVAL 60000000 MICROSECOND) AS bar_time, 0, 1,
        -sum(quantity), -sum(price * quantity), -sum(t.trade_count), -max(price), -min(price)
    FROM {TRADES.table} AS t FINAL WHERE {{event_time}}
    GROUP BY venue, instrument, id_space, bar_time
)
GROUP BY venue, instrument, id_space, bar_time"""

# A venue's market is the first word of an id space: its bars are held against the trades of any series there. Only bars
# that the venue is done with, and that lie between the first and the last minute that we heard: the others we know in
# part alone.
_AGAINST_OURS = f"""
SELECT
    venue, instrument, id_space, bar_time, width_s, ours.trades_id_space AS trades_id_space,
    told.low AS low, ours.low AS our_low, told.high AS high, ours.high AS our_high,
    told.close AS close, ours.close AS our_close, told.volume AS volume, ours.volume AS our_volume,
    (told.open != ours.open) + (told.high != ours.high) + (told.low != ours.low) + (told.close != ours.close)
        AS other_prices,
    told.volume - ours.volume AS volume_beyond_ours
FROM
(
    SELECT *, splitByChar('.', id_space)[1] AS market, toUnixTimestamp(bar_time) AS start
    FROM
    (
        SELECT * FROM {VENUE_BARS.table} FINAL WHERE {{bar_time}}
        ORDER BY venue, instrument, id_space, bar_time, event_time DESC, venue_sequence DESC
        LIMIT 1 BY venue, instrument, id_space, bar_time
    )
    WHERE state = 'final' OR (state = 'unknown' AND event_time >= bar_time + toIntervalSecond(width_s))
) AS told
INNER JOIN
(
    SELECT
        venue, instrument, trades_id_space, market, width_s, start,
        min(first_heard) AS first_heard, max(last_heard) AS last_heard,
        argMin(minutes.open, minutes.bar_time) AS open, max(minutes.high) AS high, min(minutes.low) AS low,
        argMax(minutes.close, minutes.bar_time) AS close, sum(minutes.volume) AS volume
    FROM
    (
        SELECT
            venue, instrument, id_space AS trades_id_space, splitByChar('.', id_space)[1] AS market,
            bar_time, open, high, low, close, volume,
            arrayJoin((SELECT groupUniqArray(width_s) FROM {VENUE_BARS.table} WHERE {{bar_time}})) AS width_s,
            intDiv(toUnixTimestamp(bar_time), width_s) * width_s AS start,
            min(toUnixTimestamp(bar_time)) OVER (PARTITION BY venue, instrument, id_space) AS first_heard,
            max(toUnixTimestamp(bar_time)) OVER (PARTITION BY venue, instrument, id_space) AS last_heard
        FROM {CURRENT_BARS}
    ) AS minutes
    GROUP BY venue, instrument, trades_id_space, market, width_s, start
) AS ours USING (venue, instrument, market, width_s, start)
WHERE start > ours.first_heard AND start + width_s <= ours.last_heard"""


def _against_trades(column: str) -> Claim:
    beyond = f"{column}_beyond_trades"
    says = f"{column} of a bar is what the stored trades of its minute give."
    return Claim(f"{column}_equals_the_trades_of_the_minute", "stop", says, BETWEEN, between(beyond) | NONE)


SUITES = (
    Suite(
        TRADES,
        "order",
        _IN_ORDER,
        TRADES.grain,
        (
            Claim(
                "event_time_does_not_step_back_as_trades_are_numbered",
                "warn",
                "In a series a trade with a higher number was not matched earlier.",
                BETWEEN,
                between("stepped_back_us", most=0),
                ("previous_event_time", "event_time"),
            ),
        ),
    ),
    Suite(
        TRADES,
        "ids",
        _BY_ID,
        (*SERIES_KEY, "trade_id"),
        (
            Claim(
                "a_trade_id_occurs_once_in_its_series",
                "stop",
                "No two trades of a series have one id.",
                BETWEEN,
                between("occurrences", most=1),
                ("first_venue_sequence",),
            ),
        ),
    ),
    Suite(
        BARS,
        "trades",
        _AGAINST_TRADES,
        BAR_KEY,
        (
            Claim(
                "every_minute_with_a_trade_has_a_bar",
                "stop",
                "Where trades of a minute are stored there is a bar of it.",
                BETWEEN,
                between("has_bar", least=1),
            ),
            *(_against_trades(column) for column in ("volume", "notional", "trade_count", "high", "low")),
        ),
    ),
    Suite(
        VENUE_BARS,
        "ours",
        _AGAINST_OURS,
        BAR_KEY,
        (
            Claim(
                "prices_agree_with_our_bar",
                "warn",
                "Open, high, low and close of a bar that the venue closed are those of our trades.",
                BETWEEN,
                between("other_prices") | NONE,
                ("width_s", "trades_id_space", "high", "our_high", "low", "our_low", "close", "our_close"),
            ),
            Claim(
                "volume_agrees_with_our_bar",
                "warn",
                "Volume of a bar that the venue closed is that of our trades.",
                BETWEEN,
                between("volume_beyond_ours") | NONE,
                ("width_s", "trades_id_space", "volume", "our_volume"),
            ),
        ),
    ),
)
