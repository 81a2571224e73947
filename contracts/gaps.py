"""Gaps: what a venue had and we did not hear, since when it is known, and how it was repaired."""

from contracts.columns import EVENT_TIME, INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, NotEmpty, OneOf, Topic, Type
from contracts.provenance import DELIVERY, DISPLACEMENT, TAPE_POSITION

# trade_ids: ids of trades that count without holes have one. update_ids: a book's updates do not connect, or its
# checksum differs. sequence: the numbers of a connection's messages have a hole. silence: nothing was heard beyond
# the heartbeat, or the connection was away.
KINDS = ("trade_ids", "update_ids", "sequence", "silence")
# open: something is missing or not known to be complete. filled: nothing is missing any more. resynced: a new
# snapshot made the book whole again, the updates in between are lost. unfillable: tried in vain; it stays visible.
STATES = ("open", "filled", "resynced", "unfillable")
UNKNOWN = -1

GAPS = Dataset(
    name="system.gaps",
    doc="Every hole and silence in what the venues sent, each change of its state a revision; the view "
    "system_gaps_current shows the last.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column("id_space", Type.STRING, "The series or feed that has the gap.", repeats=True),
        Column("gap_number", Type.INT64, "The gap's own number in its series: when it was noticed, in microseconds."),
        Column("revision", Type.INT64, "Counts what was known of this gap, from 1."),
        Column("kind", Type.STRING, "How it showed.", symbols=KINDS, repeats=True),
        Column("state", Type.STRING, "How it stands.", symbols=STATES, repeats=True),
        Column("from_sequence", Type.INT64, "First id that is missing; -1 where the series has no ids."),
        Column("to_sequence", Type.INT64, "Last id that is missing; -1 where the series has no ids."),
        Column("missing_count", Type.INT64, "How many are missing still; -1 where ids do not tell."),
        Column("recovered_count", Type.INT64, "How many rows came back."),
        Column("from_time", Type.TIMESTAMP, "The last that was heard before it.", unit="microseconds, UTC"),
        Column("to_time", Type.TIMESTAMP, "The first that was heard after it.", unit="microseconds, UTC"),
        Column("attempt_count", Type.INT64, "How often a repair was tried."),
        Column("repair_ms", Type.INT64, "From notice to repair; -1 while it is open.", unit="milliseconds"),
        Column("detail", Type.STRING, "What was noticed, or why it can't be repaired, in words."),
        EVENT_TIME,
        # The place in the collector's own log: gaps are noticed, not received.
        *TAPE_POSITION,
        *DELIVERY,
        *DISPLACEMENT,
    ),
    grain=("venue", "instrument", "id_space", "gap_number", "revision"),
    rules=(
        NotEmpty("venue_missing", "venue", 64),
        NotEmpty("id_space_missing", "id_space", 64),
        OneOf("kind_unknown", "kind", KINDS),
        OneOf("state_unknown", "state", STATES),
    ),
    topic=Topic(name="system.gaps", partitions=1, retention_hours=30 * 24, key=("venue", "instrument")),
)

MARKS = Dataset(
    name="system.marks",
    doc="How far each series was heard, for the collector's next start: state, not history, so the topic is compacted "
    "and no table has it.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column("id_space", Type.STRING, "The series.", repeats=True),
        Column("sequence", Type.INT64, "The highest id heard; -1 where the series has no ids."),
        Column(
            "heard_time",
            Type.TIMESTAMP,
            "The newest event time heard.",
            unit="microseconds, UTC",
            clock=Clock.EVENT,
        ),
        Column("open_gaps", Type.STRING, "The series' gaps that are not repaired, as JSON."),
    ),
    grain=("venue", "instrument", "id_space"),
    topic=Topic(
        name="system.marks",
        partitions=1,
        retention_hours=-1,
        key=("venue", "instrument", "id_space"),
        cleanup_policy="compact",
    ),
)
