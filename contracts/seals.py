"""Seals: what a retired day held, in counts and hashes. Written before its rows are dropped; audits count them in."""

from contracts.columns import VENUE
from contracts.dataset import Clock, Column, Dataset, NotEmpty, NotNegative, OneOf, Positive, Role, Type

# sealed: nothing more is accepted for the day; its rows are still there. dropped: they are gone.
STATES = ("sealed", "dropped")
# Of datasets that no topic delivers.
NO_PARTITION = -1

SEALS = Dataset(
    name="system.seals",
    doc="What every retired day held, by dataset, venue and partition of its topic, by which rule it was retired, and "
    "when: each step a revision; the view system_seals_current shows the last.",
    columns=(
        Column("dataset", Type.STRING, "The dataset that the day is of.", repeats=True),
        Column(
            "day_time",
            Type.TIMESTAMP,
            "Midnight at which the day begins; the tape's days are those of receipt.",
            unit="microseconds, UTC",
            clock=Clock.EVENT,
        ),
        VENUE,
        Column("topic_id", Type.STRING, "Kafka's id of the topic that delivered the rows, or empty.", repeats=True),
        Column("kafka_partition", Type.INT32, "The partition that delivered them; -1 where none did."),
        Column("revision", Type.INT64, "Counts the steps of this seal, from 1.", role=Role.PROVENANCE),
        Column("row_count", Type.INT64, "How many rows there were."),
        Column("content_hash", Type.UINT64, "Sum of the rows' content hashes, modulo 2^64."),
        Column("state", Type.STRING, "How it stands.", symbols=STATES, repeats=True),
        Column("rule", Type.STRING, "The rule by which the day was retired.", repeats=True),
        Column("backup", Type.STRING, "Where the day's export lies; empty where none was required."),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When this step was done.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    ),
    grain=("dataset", "day_time", "venue", "topic_id", "kafka_partition", "revision"),
    rules=(
        NotEmpty("dataset_missing", "dataset", 128),
        Positive("revision_not_positive", "revision"),
        NotNegative("row_count_negative", "row_count"),
        OneOf("state_unknown", "state", STATES),
    ),
)
