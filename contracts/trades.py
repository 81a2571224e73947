"""Trades: what was bought and sold, at which price, when, by the venue's own numbering."""

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import (
    AtMost,
    Clock,
    Column,
    Dataset,
    Decimal,
    NotAheadOf,
    NotBefore,
    NotEmpty,
    OneOf,
    Positive,
    ProductAtMost,
    Topic,
    Type,
)
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION

# Recorded feeds show 9 digits after the point (Kraken), tokens trade below 1e-8, single trades exceed 1e9 units:
# 12 digits on either side hold them all, and a product of two still fits 38 digits.
PRICE = Decimal(24, 12)
QUANTITY = Decimal(24, 12)

BITCOIN_GENESIS = 1_231_006_505_000_000  # no trade of a crypto venue is older
# Imported securities traded before that. A count of seconds or milliseconds taken for one of microseconds, and a zero,
# are times of January 1970.
EARLIEST = 31_536_000_000_000
SIDES = ("buy", "sell")
# Recorded files of securities do not tell who was the aggressor.
TOLD_SIDES = (*SIDES, "unknown")

TRADES = Dataset(
    name="market.trades",
    doc="Every trade of every venue, once.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column("id_space", Type.STRING, "The series that the trade id counts in.", repeats=True),
        Column("trade_id", Type.STRING, "The venue's id of the trade, unique in its id space."),
        Column("venue_sequence", Type.INT64, "The venue's own order of trades; breaks ties of time."),
        Column("price", PRICE, "Price of one unit.", unit="quote currency"),
        Column("quantity", QUANTITY, "How much was traded.", unit="base currency or contracts"),
        Column(
            "side",
            Type.STRING,
            "The aggressor's side; unknown where nobody tells it.",
            symbols=TOLD_SIDES,
            repeats=True,
        ),
        Column("trade_count", Type.INT64, "How many of the venue's single trades the record stands for."),
        Column(
            "event_time",
            Type.TIMESTAMP,
            "When the venue matched the trade.",
            unit="microseconds, UTC",
            clock=Clock.EVENT,
        ),
        *TAPE_POSITION,
        *DELIVERY,
        *DISPLACEMENT,
    ),
    grain=("venue", "instrument", "id_space", "venue_sequence", "trade_id"),
    rules=(
        NotEmpty("venue_missing", "venue", 64),
        NotEmpty("instrument_missing", "instrument", 64),
        NotEmpty("id_space_missing", "id_space", 64),
        NotEmpty("trade_id_missing", "trade_id", 128),
        Positive("price_not_positive", "price"),
        Positive("quantity_not_positive", "quantity"),
        AtMost("price_absurd", "price", "100000000000"),
        AtMost("quantity_absurd", "quantity", "100000000000"),
        # A minute's notional keeps 24 digits after the point, so 14 before it: a hundred trades of this size fit.
        ProductAtMost("notional_absurd", "price", "quantity", "1000000000000"),
        OneOf("side_unknown", "side", TOLD_SIDES),
        Positive("trade_count_not_positive", "trade_count"),
        NotBefore("event_time_too_old", "event_time", EARLIEST),
        NotAheadOf("event_time_in_future", "event_time", "received_time", 24 * 3600),
    ),
    topic=Topic(name="market.trades", partitions=4, retention_hours=7 * 24, key=("venue", "instrument")),
)

DISPLACED_TRADES = Dataset(
    name="market.trades_displaced",
    doc="Trades that a row from earlier on the tape took the place of, as they were stored: what was known before.",
    columns=TRADES.columns,
    grain=(*TRADES.grain, "displaced_count"),
)
