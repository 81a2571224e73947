"""Imports files: what is finished is passed over, what was interrupted goes on."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

from contracts.errors import TerminalError
from sources.importing import content
from sources.importing.parse import FILE
from sources.importing.part import Part
from sources.importing.records import Record, overlapping
from sources.importing.run import Progressed, Sendable, Sender

Began = Callable[[Part, Record], Progressed]
"""Is told that a part begins, and says who is told how it goes on."""


@dataclass(frozen=True)
class Imported:
    """What became of a part: its record, and whether it had been imported before."""

    part: Part
    record: Record
    skipped: bool


def record_of(part: Part) -> Record:
    """Return the record of a part of which nothing is done yet."""
    layout = part.layout
    return Record(
        connection_id=part.connection_id,
        file=part.file,
        sha256=part.sha256,
        member=part.member,
        venue=layout.venue,
        space=layout.space,
        kind=layout.kind,
        placed=part.placed,
        instruments=part.instruments,
        first_time=part.first_time,
        last_time=part.last_time,
        cursor=part.skip + 1,
    )


async def import_part(sender: Sender, part: Part, began: Began, *, overlap: bool = False) -> Imported:
    """Import a part. TerminalError where another content told the same time of the same series; `overlap` allows it."""
    record = sender.records.read(part.connection_id) or record_of(part)
    if record.finished:
        return Imported(part, record, skipped=True)
    other = None if overlap else overlapping(record, sender.records.all())
    if other is not None:
        raise TerminalError(
            f"{part.file} tells {record.kind} of {', '.join(record.instruments) or 'several instruments'} for a time "
            f"of which {other.file} told some; without ids nobody can tell which are the same: cut the file, or import "
            "it with --overlap and have both"
        )
    progressed = began(part, record)
    return Imported(part, await sender.send(record, partial(_payloads, part), progressed), skipped=False)


async def _payloads(part: Part, record: Record) -> AsyncIterator[Sendable]:
    for first, payload, count in content.pieces(part.open(), max(part.skip, record.cursor - 1)):
        yield Sendable(FILE, payload, part.piece(first).request, count, first + count)
