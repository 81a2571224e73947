"""Quotes: the best bid and ask of an instrument, each time either changed."""

from contracts.columns import CLOCKS, EVENT_CLOCK, EVENT_TIME, FEED, INSTRUMENT, UPDATE_ID, VENUE, VENUE_SEQUENCE
from contracts.dataset import AtMost, Column, Dataset, NotAheadOf, NotBefore, NotEmpty, NotNegative, OneOf, Topic
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION
from contracts.trades import EARLIEST, PRICE, QUANTITY

QUOTES = Dataset(
    name="market.quotes",
    doc="Best bid and ask of every instrument, once for each update that the venue sent.",
    columns=(
        VENUE,
        INSTRUMENT,
        FEED,
        UPDATE_ID,
        VENUE_SEQUENCE,
        Column("bid_price", PRICE, "Highest price bid; 0 where nobody bids.", unit="quote currency"),
        Column(
            "bid_quantity",
            QUANTITY,
            "How much is bid at that price; 0 where nobody bids or the feed does not tell.",
            unit="base currency or contracts",
        ),
        Column("ask_price", PRICE, "Lowest price asked; 0 where nobody asks.", unit="quote currency"),
        Column(
            "ask_quantity",
            QUANTITY,
            "How much is asked at that price; 0 where nobody asks or the feed does not tell.",
            unit="base currency or contracts",
        ),
        EVENT_TIME,
        EVENT_CLOCK,
        *TAPE_POSITION,
        *DELIVERY,
        *DISPLACEMENT,
    ),
    grain=("venue", "instrument", "id_space", "venue_sequence", "update_id"),
    rules=(
        NotEmpty("venue_missing", "venue", 64),
        NotEmpty("instrument_missing", "instrument", 64),
        NotEmpty("id_space_missing", "id_space", 64),
        NotEmpty("update_id_missing", "update_id", 256),
        NotNegative("bid_price_negative", "bid_price"),
        NotNegative("bid_quantity_negative", "bid_quantity"),
        NotNegative("ask_price_negative", "ask_price"),
        NotNegative("ask_quantity_negative", "ask_quantity"),
        AtMost("bid_price_absurd", "bid_price", "100000000000"),
        AtMost("ask_price_absurd", "ask_price", "100000000000"),
        OneOf("event_clock_unknown", "event_clock", CLOCKS),
        NotBefore("event_time_too_old", "event_time", EARLIEST),
        NotAheadOf("event_time_in_future", "event_time", "received_time", 24 * 3600),
    ),
    topic=Topic(name="market.quotes", partitions=4, retention_hours=7 * 24, key=("venue", "instrument")),
)
