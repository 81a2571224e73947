"""Features: what is kept of them for training, every revision with the time it became known."""

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, ListOf, NotAheadOf, NotEmpty, Role, Type
from contracts.indicators import VALUE

FEATURES = Dataset(
    name="market.features",
    doc="Features of every instrument and minute, one row a source and revision; a revision is appended where a value "
    "changed. The view market_feature_values has a row a value.",
    columns=(
        Column("source", Type.STRING, "What they are made from, as docs/features.md lists.", repeats=True),
        VENUE,
        INSTRUMENT,
        Column(
            "event_time",
            Type.TIMESTAMP,
            "End of the minute that they tell of.",
            unit="microseconds, UTC",
            clock=Clock.EVENT,
        ),
        Column(
            "features",
            Type.STRING,
            "Names of those that have a value, with commas between; one that is not named has none.",
            repeats=True,
        ),
        Column("numbers", ListOf(VALUE), "Their values, in the same order.", unit="as docs/features.md says"),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When the newest row that they depend on became known; revisions of a moment differ in it.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    ),
    grain=("source", "venue", "instrument", "event_time", "known_time"),
    rules=(
        NotEmpty("source_missing", "source", 64),
        NotEmpty("instrument_missing", "instrument", 64),
        NotAheadOf("event_time_after_known", "event_time", "known_time", 0),
    ),
)
