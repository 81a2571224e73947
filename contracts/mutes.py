"""Mutes: of which incidents nobody is to be told for a while, and why."""

from contracts.dataset import Clock, Column, Dataset, NotEmpty, Type

MUTES = Dataset(
    name="system.mutes",
    doc="Of which incidents nobody is told, and until when; of one pattern the last word holds.",
    columns=(
        Column("pattern", Type.STRING, "An incident's id, or subjects of incidents with * for anything."),
        Column("until_time", Type.TIMESTAMP, "Until when; a time that is past ends it.", unit="microseconds, UTC"),
        Column("reason", Type.STRING, "Why, in words."),
        Column("known_time", Type.TIMESTAMP, "When it was said.", unit="microseconds, UTC", clock=Clock.INGESTED),
    ),
    grain=("pattern", "known_time"),
    rules=(NotEmpty("pattern_missing", "pattern", 512),),
)
