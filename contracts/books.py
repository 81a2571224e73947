"""Order books: snapshots and deltas as the venues send them, enough to make the book of any moment again."""

from contracts.columns import CLOCKS, EVENT_CLOCK, EVENT_TIME, FEED, INSTRUMENT, UPDATE_ID, VENUE, VENUE_SEQUENCE
from contracts.dataset import (
    Column,
    Dataset,
    EachNotNegative,
    EachPositive,
    ListOf,
    NotAheadOf,
    NotBefore,
    NotEmpty,
    OneOf,
    SameLength,
    Topic,
    Type,
)
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION
from contracts.tape import MAX_PAYLOAD_BYTES
from contracts.trades import BITCOIN_GENESIS, PRICE, QUANTITY

KINDS = ("snapshot", "delta")
NO_CHECKSUM = -1

BOOKS = Dataset(
    name="market.books",
    doc="Order books of every instrument: one row a snapshot, one row an update message.",
    columns=(
        VENUE,
        INSTRUMENT,
        FEED,
        UPDATE_ID,
        VENUE_SEQUENCE,
        Column(
            "kind",
            Type.STRING,
            "snapshot: the whole book, it replaces what was known; delta: new quantities of some prices.",
            symbols=KINDS,
            repeats=True,
        ),
        Column(
            "chain",
            Type.STRING,
            "What a snapshot and the deltas that follow it share: empty where update ids span connections, else the "
            "connection.",
            repeats=True,
        ),
        Column(
            "first_sequence",
            Type.INT64,
            "First of the venue's updates that the row stands for, venue_sequence is the last; equal where the venue "
            "does not number them.",
        ),
        Column(
            "previous_sequence",
            Type.INT64,
            "Last update before this one in its feed, by the venue's word or its numbering; -1 where it can't be told.",
        ),
        Column(
            "bid_prices",
            ListOf(PRICE),
            "Prices bid whose quantity the row tells, in the venue's order.",
            unit="quote currency",
        ),
        Column(
            "bid_quantities",
            ListOf(QUANTITY),
            "Quantity now bid at each of bid_prices; 0: nothing any more.",
            unit="base currency or contracts",
        ),
        Column(
            "ask_prices",
            ListOf(PRICE),
            "Prices asked whose quantity the row tells, in the venue's order.",
            unit="quote currency",
        ),
        Column(
            "ask_quantities",
            ListOf(QUANTITY),
            "Quantity now asked at each of ask_prices; 0: nothing any more.",
            unit="base currency or contracts",
        ),
        Column("depth", Type.INT64, "Levels a side that the feed keeps; 0: all.", unit="levels"),
        Column("checksum", Type.INT64, "The venue's checksum of the book after this update; -1 where it sends none."),
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
        OneOf("kind_unknown", "kind", KINDS),
        SameLength("bid_levels_uneven", "bid_prices", "bid_quantities"),
        SameLength("ask_levels_uneven", "ask_prices", "ask_quantities"),
        EachPositive("bid_price_not_positive", "bid_prices"),
        EachPositive("ask_price_not_positive", "ask_prices"),
        EachNotNegative("bid_quantity_negative", "bid_quantities"),
        EachNotNegative("ask_quantity_negative", "ask_quantities"),
        OneOf("event_clock_unknown", "event_clock", CLOCKS),
        NotBefore("event_time_too_old", "event_time", BITCOIN_GENESIS),
        NotAheadOf("event_time_in_future", "event_time", "received_time", 24 * 3600),
    ),
    topic=Topic(
        name="market.books",
        partitions=4,
        retention_hours=7 * 24,
        key=("venue", "instrument"),
        # A whole book in one message.
        max_message_bytes=MAX_PAYLOAD_BYTES + 64 * 1024,
    ),
)
