"""Columns that several market datasets share, so that one word means one thing everywhere."""

from contracts.dataset import Clock, Column, Type

CLOCKS = ("venue", "collector")

VENUE = Column("venue", Type.STRING, "Where it was traded.", repeats=True)
INSTRUMENT = Column("instrument", Type.STRING, "What was traded, in the venue's symbols.", repeats=True)
FEED = Column("id_space", Type.STRING, "The feed whose updates are counted together.", repeats=True)
UPDATE_ID = Column(
    "update_id",
    Type.STRING,
    "What makes the update unique in its feed: the venue's id; where it gives none, connection, message and index.",
)
VENUE_SEQUENCE = Column(
    "venue_sequence",
    Type.INT64,
    "The venue's own order of updates; where it gives none, the time of receipt in microseconds.",
)
EVENT_TIME = Column(
    "event_time",
    Type.TIMESTAMP,
    "When it happened, by the clock that event_clock names.",
    unit="microseconds, UTC",
    clock=Clock.EVENT,
)
EVENT_CLOCK = Column(
    "event_clock",
    Type.STRING,
    "Whose clock event_time is: the venue's, or the collector's where the venue tells no time.",
    symbols=CLOCKS,
    repeats=True,
)
