"""Silences: how long each series is silent at each hour, from which its habit by hour of the week is learnt."""

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, NotEmpty, Positive, Role, Type

SILENCES = Dataset(
    name="system.silences",
    doc="The silences between receipts of each series, by hour: each counts in every hour that it touches.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column("dataset", Type.STRING, "The dataset that the series belongs to.", repeats=True),
        Column("hour_time", Type.TIMESTAMP, "Start of the hour.", unit="microseconds, UTC", clock=Clock.RECEIVED),
        Column("silence_count", Type.INT64, "How many silences touched the hour."),
        Column("ordinary_ms", Type.INT64, "The silence that 95 of 100 did not exceed.", unit="milliseconds"),
        Column("longest_ms", Type.INT64, "The longest of them.", unit="milliseconds"),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When this became known: a silence that ends later adds to the hours before.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    ),
    grain=("venue", "instrument", "dataset", "hour_time"),
    rules=(NotEmpty("dataset_missing", "dataset", 64), Positive("silence_count_not_positive", "silence_count")),
)
