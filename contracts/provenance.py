"""Where a row came from: the columns that every delivered dataset shares."""

from contracts.dataset import Clock, Column, Origin, Role, Type


def _wire(name: str, type: Type, doc: str, **more: object) -> Column:
    return Column(name, type, doc, role=Role.PROVENANCE, **more)  # type: ignore[arg-type]


def _stored(name: str, type: Type, doc: str, **more: object) -> Column:
    return Column(name, type, doc, role=Role.PROVENANCE, origin=Origin.PLATFORM, **more)  # type: ignore[arg-type]


RECEIVED_TIME = _wire(
    "received_time",
    Type.TIMESTAMP,
    "When the collector received the payload.",
    unit="microseconds, UTC",
    clock=Clock.RECEIVED,
)
CONNECTION_ID = _wire("connection_id", Type.STRING, "The connection on which the payload arrived.", repeats=True)
MESSAGE_NUMBER = _wire("message_number", Type.INT64, "The payload's number on its connection, from 1, without holes.")
MESSAGE_INDEX = _wire("message_index", Type.INT32, "The event's place in its payload, from 0.")

# The place of a payload on the tape, and of an event in it. Sorting by these gives the order of the tape whatever
# the order in which Kafka delivered it.
TAPE_POSITION = (RECEIVED_TIME, CONNECTION_ID, MESSAGE_NUMBER, MESSAGE_INDEX)

DELIVERED_RECORD = (
    _stored(
        "ingested_time",
        Type.TIMESTAMP,
        "When the streaming core stored the row.",
        unit="microseconds, UTC",
        clock=Clock.INGESTED,
    ),
    _stored("topic_id", Type.STRING, "Kafka's id of the topic that delivered the row.", repeats=True),
    _stored("kafka_partition", Type.INT32, "The partition that delivered the row."),
    _stored("kafka_offset", Type.INT64, "The offset at which the row was delivered."),
)

DELIVERY = (
    *DELIVERED_RECORD,
    _stored("kafka_index", Type.INT32, "The event's place in its record, from 0; 0 where a record is one event."),
)

# A row that comes earlier on the tape than the stored row of the same grain takes its place; what it displaced is
# kept in numbers, so that the ledger's counts and hashes still add up when a write is repeated.
DISPLACEMENT = (
    _stored(
        "displaced_count",
        Type.INT32,
        "How many stored rows of the same grain this one and its forerunners displaced; the highest is read.",
    ),
    _stored("displaced_hash", Type.UINT64, "Content hash of the row whose place it took, else 0."),
)
