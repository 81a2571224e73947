"""Write tape files: from foreign recordings, or from a venue's live feeds."""

import asyncio
import heapq
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import aiohttp

from contracts.errors import TerminalError
from sources.connection import Connection
from sources.endpoints import Endpoint, Venue
from sources.events import Accepted
from sources.foreign import read_foreign
from sources.logs import say
from sources.tape_file import TapeRecord, TapeWriter

_log = logging.getLogger(__name__)
Filter = Callable[[TapeRecord], bool]


@dataclass(frozen=True)
class Recording:
    """A foreign recording. `endpoint` overrides what the file tells of itself."""

    path: Path
    endpoint: str = ""


def of_kinds(venue: Venue, kinds: Sequence[str]) -> Filter:
    """Keep the payloads that hold an event of one of the datasets: market.trades, market.books, ..."""
    wanted = frozenset(kinds)

    def keep(record: TapeRecord) -> bool:
        events = venue.parse(record.endpoint, record.payload, record.request)
        return any(isinstance(event, Accepted) and event.dataset in wanted for event in events)

    return keep


def record(
    venue: Venue, recordings: Sequence[Recording], target: Path, *, keep: Filter, source: str, licence: str
) -> Counter[str]:
    """Write a tape from foreign recordings, merged by time of receipt; return kept and left-out counts by endpoint.

    Each recording becomes a connection of its own, numbered anew from 1 over what is kept. `source` and `licence`
    go into the tape's header.
    """
    counts: Counter[str] = Counter()
    merged = heapq.merge(*(_records(venue, r, keep, counts) for r in recordings), key=attrgetter("received_time"))
    with TapeWriter(target, source=source, licence=licence, level=19) as writer:
        for entry in merged:
            _write(writer, venue, entry)
    say(_log, "recorded", target=target, records=writer.records)
    return counts


def _records(venue: Venue, recording: Recording, keep: Filter, counts: Counter[str]) -> Iterator[TapeRecord]:
    valid = {endpoint.name for endpoint in venue.endpoints}
    numbers: dict[str, int] = {}
    for line in read_foreign(recording.path, recording.endpoint):
        endpoint = line.endpoint
        if not line.control and endpoint not in valid:
            raise TerminalError(
                f"{recording.path} does not tell its endpoint ({endpoint!r}); name one of {', '.join(sorted(valid))}"
            )
        connection = "-".join(filter(None, (venue.name, endpoint, recording.path.name, line.connection)))
        number = numbers.get(connection, 0) + 1
        entry = TapeRecord(line.received_time, venue.name, endpoint, connection, number, line.payload, line.request)
        if line.control or not keep(entry):
            counts[f"{endpoint} left out"] += 1
            continue
        numbers[connection] = number
        counts[f"{endpoint} kept"] += 1
        yield entry


def _write(writer: TapeWriter, venue: Venue, entry: TapeRecord) -> None:
    writer.write(entry)
    if entry.request:
        return
    if (stream := venue.dialects[entry.endpoint].stream_of(entry.payload)) is not None:
        streams = writer.streams.setdefault(entry.endpoint, [])
        if stream not in streams:
            streams.append(stream)


class _TapeSink:
    """Writes what connections hear; file writes are quick, so it is never full."""

    full = False

    def __init__(self, writer: TapeWriter, venue: Venue, keep: Filter) -> None:
        self._writer = writer
        self._venue = venue
        self._keep = keep

    async def room(self) -> None:
        """There always is."""

    def accept(self, record: TapeRecord) -> None:
        """Write the payload if the filter keeps it."""
        if self._keep(record):
            _write(self._writer, self._venue, record)


async def record_live(
    venue: Venue,
    endpoints: Sequence[Endpoint],
    target: Path,
    *,
    keep: Filter,
    licence: str,
    seconds: float,
    most: int = 10_000_000,
) -> int:
    """Record a venue's feeds for so many seconds or payloads; return how many were written.

    Connections are the collector's own: they reconnect, and each has its connection id. Message numbers have holes
    where the filter left payloads out.
    """
    source = ", ".join(endpoint.base_url for endpoint in endpoints)
    end = time.monotonic() + seconds
    with TapeWriter(target, source=source, licence=licence) as writer:
        sink = _TapeSink(writer, venue, keep)
        async with aiohttp.ClientSession() as session:
            tasks = [
                asyncio.create_task(Connection(endpoint, streams, venue.dialects[endpoint.name], sink, session).run())
                for endpoint in endpoints
                for streams in endpoint.connections()
            ]
            try:
                while time.monotonic() < end and writer.records < most:
                    done, _ = await asyncio.wait(tasks, timeout=0.2, return_when=asyncio.FIRST_EXCEPTION)
                    for task in done:
                        task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    return writer.records
