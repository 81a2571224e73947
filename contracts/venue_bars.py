"""Venue bars: candles as the venues themselves tell them; ours (contracts/bars.py) are made from trades."""

from contracts.bars import VOLUME
from contracts.columns import CLOCKS, EVENT_CLOCK, EVENT_TIME, FEED, INSTRUMENT, UPDATE_ID, VENUE, VENUE_SEQUENCE
from contracts.dataset import (
    Column,
    Dataset,
    NotAheadOf,
    NotBefore,
    NotEmpty,
    NotNegative,
    OneOf,
    Positive,
    Topic,
    Type,
)
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION
from contracts.trades import EARLIEST, PRICE

STATES = ("provisional", "final", "unknown")
NOT_TOLD = -1

VENUE_BARS = Dataset(
    name="market.venue_bars",
    doc="Bars as the venues tell them, every update of them: what our own bars can be held against.",
    columns=(
        VENUE,
        INSTRUMENT,
        FEED,
        UPDATE_ID,
        VENUE_SEQUENCE,
        Column("bar_time", Type.TIMESTAMP, "Start of the bar, inclusive.", unit="microseconds, UTC"),
        Column("width_s", Type.INT64, "How long the bar is.", unit="seconds"),
        Column("open", PRICE, "First price.", unit="quote currency"),
        Column("high", PRICE, "Highest price.", unit="quote currency"),
        Column("low", PRICE, "Lowest price.", unit="quote currency"),
        Column("close", PRICE, "Last price.", unit="quote currency"),
        Column("volume", VOLUME, "Sum of quantities.", unit="base currency or contracts"),
        Column("trade_count", Type.INT64, "Number of trades; -1 where the venue does not tell it."),
        Column(
            "state",
            Type.STRING,
            "Whether the venue calls the bar closed; unknown where it does not tell.",
            symbols=STATES,
            repeats=True,
        ),
        EVENT_TIME,
        EVENT_CLOCK,
        *TAPE_POSITION,
        *DELIVERY,
        *DISPLACEMENT,
    ),
    # venue_sequence is the bar's start in microseconds: a bar's updates lie together.
    grain=("venue", "instrument", "id_space", "venue_sequence", "update_id"),
    rules=(
        NotEmpty("venue_missing", "venue", 64),
        NotEmpty("instrument_missing", "instrument", 64),
        NotEmpty("id_space_missing", "id_space", 64),
        NotEmpty("update_id_missing", "update_id", 256),
        Positive("width_not_positive", "width_s"),
        Positive("low_not_positive", "low"),
        Positive("high_not_positive", "high"),
        NotNegative("volume_negative", "volume"),
        OneOf("state_unknown", "state", STATES),
        OneOf("event_clock_unknown", "event_clock", CLOCKS),
        NotBefore("bar_time_too_old", "bar_time", EARLIEST),
        NotAheadOf("event_time_in_future", "event_time", "received_time", 24 * 3600),
    ),
    topic=Topic(name="market.venue_bars", partitions=2, retention_hours=7 * 24, key=("venue", "instrument")),
)
