"""The delivery ledger: one row a sink and offset range, written last; what it lacks was not delivered."""

from contracts.dataset import Clock, Column, Dataset, Type

LEDGER = Dataset(
    name="delivery.ledger",
    doc="What was delivered where: counts and hash of every closed range of offsets.",
    columns=(
        Column(
            "sink",
            Type.STRING,
            "Where the rows went: the table's name, behind warehouse. or lake.",
            repeats=True,
        ),
        Column("topic", Type.STRING, "The topic that delivered them.", repeats=True),
        Column("topic_id", Type.STRING, "Kafka's id of that topic: a recreated topic has another.", repeats=True),
        Column("kafka_partition", Type.INT32, "The partition."),
        Column("first_offset", Type.INT64, "First offset of the range."),
        Column("last_offset", Type.INT64, "Last offset of the range, inclusive."),
        Column(
            "read_count", Type.INT64, "Events read: stored, duplicate and quarantined together; a record may hold many."
        ),
        Column("stored_count", Type.INT64, "Rows whose grain was new to the table."),
        Column("duplicate_count", Type.INT64, "Rows whose grain the table held already."),
        Column(
            "quarantined_count",
            Type.INT64,
            "Events, and records that could not be read, that went to quarantine instead.",
        ),
        Column("content_hash", Type.UINT64, "Sum of the stored rows' content hashes, modulo 2^64."),
        Column(
            "closed_time",
            Type.TIMESTAMP,
            "When the range was closed.",
            unit="microseconds, UTC",
            clock=Clock.INGESTED,
        ),
    ),
    grain=("sink", "topic_id", "kafka_partition", "first_offset", "last_offset"),
)
