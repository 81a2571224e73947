"""Freshness: how long ago each series was last heard, against the silences that are ordinary for it."""

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, NotEmpty, OneOf, Type

# fresh: its silence is an ordinary one. stale: it is longer, by more than is tolerated. unknown: too little is known
# of its history to tell.
STATES = ("fresh", "stale", "unknown")
UNKNOWN = -1

FRESHNESS = Dataset(
    name="system.freshness",
    doc="How fresh each series of each dataset was: a row whenever its state changes, and every few minutes; the view "
    "system_freshness_current shows the last.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column("dataset", Type.STRING, "The dataset that the series belongs to.", repeats=True),
        Column("last_event_time", Type.TIMESTAMP, "The newest event time heard.", unit="microseconds, UTC"),
        Column(
            "last_received_time",
            Type.TIMESTAMP,
            "When the collector received the last of it; ages are counted from here, so that a replayed tape is fresh.",
            unit="microseconds, UTC",
            clock=Clock.RECEIVED,
        ),
        Column(
            "cadence_ms",
            Type.INT64,
            "The longest silence that is ordinary for the series, from its own history; -1 while that is too short.",
            unit="milliseconds",
        ),
        Column(
            "age_ms",
            Type.INT64,
            "From the last receipt to when this was noted; on a replayed tape, to the newest receipt of any series.",
            unit="milliseconds",
        ),
        Column("state", Type.STRING, "How that compares.", symbols=STATES, repeats=True),
        Column("known_time", Type.TIMESTAMP, "When this was noted.", unit="microseconds, UTC", clock=Clock.INGESTED),
    ),
    grain=("venue", "instrument", "dataset", "known_time"),
    rules=(NotEmpty("dataset_missing", "dataset", 64), OneOf("state_unknown", "state", STATES)),
)
