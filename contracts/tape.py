"""The tape: every payload of a venue exactly as it came. One topic a venue, one lake table."""

from dataclasses import replace

from contracts.dataset import Column, Dataset, NotEmpty, Role, Topic, Type
from contracts.provenance import CONNECTION_ID, DELIVERED_RECORD, MESSAGE_NUMBER, RECEIVED_TIME

# Large enough for a full order book in one message.
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024

TAPE = Dataset(
    name="tape",
    doc="Raw payloads of the venues, written down before anything is derived from them.",
    columns=(
        Column("venue", Type.STRING, "The venue that sent the payload.", repeats=True),
        Column("endpoint", Type.STRING, "Which of the venue's feeds: spot, usdm, v1.", repeats=True),
        Column("payload", Type.BYTES, "The payload, byte for byte."),
        replace(RECEIVED_TIME, role=Role.CONTENT),
        replace(CONNECTION_ID, role=Role.CONTENT),
        replace(MESSAGE_NUMBER, role=Role.CONTENT),
        Column(
            "request",
            Type.STRING,
            "What the payload answers: path and query of a REST request; empty for what the venue sent by itself.",
            repeats=True,
            default="",
        ),
        *DELIVERED_RECORD,
    ),
    grain=("venue", "connection_id", "message_number"),
    rules=(NotEmpty("venue_missing", "venue", 64), NotEmpty("connection_missing", "connection_id", 128)),
    topic=Topic(
        name="tape.{venue}",
        partitions=2,
        retention_hours=7 * 24,
        key=("connection_id",),
        max_message_bytes=MAX_PAYLOAD_BYTES + 64 * 1024,
    ),
)


def tape_topic(venue: str) -> Topic:
    """Name the topic that holds a venue's tape."""
    assert TAPE.topic is not None
    return replace(TAPE.topic, name=TAPE.topic.name.format(venue=venue))
