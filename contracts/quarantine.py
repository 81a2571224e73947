"""Quarantine: what could not be accepted, with its reason and its payload. Nothing is dropped."""

from contracts.dataset import Column, Dataset, NotEmpty, Origin, Role, Topic, Type
from contracts.provenance import DELIVERY, TAPE_POSITION
from contracts.tape import MAX_PAYLOAD_BYTES

QUARANTINE = Dataset(
    name="system.quarantine",
    doc="Payloads and records that were not accepted: what parsers could not read, what broke a rule.",
    columns=(
        Column("dataset", Type.STRING, "The dataset that it was meant for.", repeats=True),
        Column("venue", Type.STRING, "The venue that it came from, or empty.", repeats=True),
        Column("reason", Type.STRING, "Why it was not accepted, one word of a fixed list.", repeats=True),
        Column("detail", Type.STRING, "What was wrong, in words."),
        Column("payload", Type.BYTES, "What was not accepted, byte for byte."),
        *TAPE_POSITION,
        Column(
            "topic",
            Type.STRING,
            "The topic that delivered it.",
            role=Role.PROVENANCE,
            origin=Origin.PLATFORM,
            repeats=True,
        ),
        *DELIVERY,
    ),
    grain=("topic_id", "kafka_partition", "kafka_offset", "kafka_index"),
    rules=(NotEmpty("reason_missing", "reason", 64),),
    topic=Topic(
        name="system.quarantine",
        partitions=1,
        retention_hours=7 * 24,
        key=("connection_id",),
        max_message_bytes=MAX_PAYLOAD_BYTES + 64 * 1024,
    ),
)
