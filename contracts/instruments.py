"""Instruments: what can be traded where and in which steps, as it was told at each moment."""

from contracts.columns import EVENT_CLOCK, EVENT_TIME, FEED, INSTRUMENT, UPDATE_ID, VENUE, VENUE_SEQUENCE
from contracts.dataset import Column, Dataset, NotBefore, NotEmpty, NotNegative, OneOf, Topic, Type
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION
from contracts.tape import MAX_PAYLOAD_BYTES
from contracts.trades import BITCOIN_GENESIS, PRICE, QUANTITY

KINDS = ("spot", "perpetual", "future")
STATES = ("trading", "halted")

INSTRUMENTS = Dataset(
    name="reference.instruments",
    doc="Instruments with their price and size steps, one row each time a venue told them; the view "
    "reference_instruments_history shows since when and until when each was so.",
    columns=(
        VENUE,
        INSTRUMENT,
        FEED,
        UPDATE_ID,
        VENUE_SEQUENCE,
        Column("symbol", Type.STRING, "What the venue calls it in requests.", repeats=True),
        Column("kind", Type.STRING, "What sort of instrument it is.", symbols=KINDS, repeats=True),
        Column("base", Type.STRING, "What is bought and sold.", repeats=True),
        Column("quote", Type.STRING, "What it is paid in.", repeats=True),
        Column("price_step", PRICE, "Smallest difference of two prices; 0 where not told.", unit="quote currency"),
        Column(
            "quantity_step",
            QUANTITY,
            "Smallest difference of two quantities; 0 where not told.",
            unit="base currency or contracts",
        ),
        Column(
            "quantity_least",
            QUANTITY,
            "Smallest quantity of an order; 0 where not told.",
            unit="base currency or contracts",
        ),
        Column("state", Type.STRING, "Whether it can be traded now.", symbols=STATES, repeats=True),
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
        NotEmpty("symbol_missing", "symbol", 64),
        NotEmpty("update_id_missing", "update_id", 256),
        NotNegative("price_step_negative", "price_step"),
        NotNegative("quantity_step_negative", "quantity_step"),
        NotNegative("quantity_least_negative", "quantity_least"),
        OneOf("kind_unknown", "kind", KINDS),
        OneOf("state_unknown", "state", STATES),
        NotBefore("event_time_too_old", "event_time", BITCOIN_GENESIS),
    ),
    topic=Topic(
        name="reference.instruments",
        partitions=1,
        retention_hours=7 * 24,
        key=("venue", "instrument"),
        max_message_bytes=MAX_PAYLOAD_BYTES,
    ),
)
