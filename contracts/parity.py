"""Parity: is a day, rebuilt from the tape, what was streamed; by instrument and dataset, with the first difference."""

from dataclasses import replace

from contracts.columns import INSTRUMENT, VENUE
from contracts.dataset import Clock, Column, Dataset, NotEmpty, NotNegative, Positive, Role, Type
from contracts.provenance import TAPE_POSITION

# Where nothing differs, or what differs is on no tape: the epoch, no connection, and this number.
NO_NUMBER = -1

PARITY = Dataset(
    name="system.parity",
    doc="What every rebuild of a day came to, by venue, instrument and dataset; the view system_parity_current shows "
    "the last of each.",
    columns=(
        VENUE,
        INSTRUMENT,
        Column("dataset", Type.STRING, "The dataset whose rows were compared.", repeats=True),
        Column(
            "day_time", Type.TIMESTAMP, "Midnight at which the day begins.", unit="microseconds, UTC", clock=Clock.EVENT
        ),
        Column("revision", Type.INT64, "Counts the day's rebuilds, from 1.", role=Role.PROVENANCE),
        Column("streamed_count", Type.INT64, "How many rows the table has."),
        Column("rebuilt_count", Type.INT64, "How many rows the tape gives."),
        Column("streamed_hash", Type.UINT64, "Sum of the content hashes of the table's rows, modulo 2^64."),
        Column("rebuilt_hash", Type.UINT64, "Sum of the content hashes of the tape's rows, modulo 2^64."),
        Column("equal", Type.INT32, "1 when counts and hashes are the same, else 0."),
        Column(
            "first_difference",
            Type.STRING,
            "What differs first: the row's key, and the columns that differ with both values, or on which side it is "
            "missing; empty where nothing differs.",
        ),
        *(replace(column, doc=f"Of the row that differs first: {column.doc}") for column in TAPE_POSITION),
        Column(
            "run_id", Type.STRING, "The run that rebuilt: Dagster's id, or one of its own for a command.", repeats=True
        ),
        Column(
            "known_time",
            Type.TIMESTAMP,
            "When the outcome became known.",
            unit="microseconds, UTC",
            role=Role.PROVENANCE,
            clock=Clock.INGESTED,
        ),
    ),
    grain=("venue", "instrument", "dataset", "day_time", "revision"),
    rules=(
        NotEmpty("dataset_missing", "dataset", 128),
        Positive("revision_not_positive", "revision"),
        NotNegative("streamed_count_negative", "streamed_count"),
        NotNegative("rebuilt_count_negative", "rebuilt_count"),
    ),
)
