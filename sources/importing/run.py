"""Sends parts of an import as a collector sends what it hears: tape first, then events; goes on where it was."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from confluent_kafka import Producer
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from contracts.errors import RetryableError, TapehouseError
from contracts.imports import CONNECTION_PREFIX, IMPORT
from contracts.tape import tape_topic
from sources.collector.pipeline import Limits, Pipeline
from sources.collector.progress import Progress
from sources.collector.recovery import Recovery
from sources.collector.wire import Wire, topics_of
from sources.events import Accepted, Event, Rejected
from sources.importing.layout import read_request
from sources.importing.parse import FILE
from sources.importing.records import Record, Records
from sources.tape_file import TapeRecord
from sources.venues import venue
from stores.broker import ensure_topics, make_producer
from stores.settings import BrokerSettings, RegistrySettings

T = TypeVar("T")
# Payloads have hundreds of rows each: so many may be on their way to Kafka.
_LIMITS = Limits(messages=60)
_PAYLOADS_A_COMMIT = 40
_COMMIT_S = 2.0
_DRAIN_S = 120.0
# How long Kafka and the registry may stay away at the start.
_PATIENCE_S = 60.0
# Room for the record around the largest payload that its contract allows.
_ENVELOPE = 16 * 1024


@dataclass(frozen=True)
class ImportSettings:
    """What an import needs. `folder` is where its records lie."""

    broker: BrokerSettings
    registry: RegistrySettings
    folder: Path


@dataclass(frozen=True)
class Sendable:
    """A payload to write down: how many units of progress it is, and where to go on when it is done."""

    endpoint: str
    payload: bytes
    request: str
    units: int
    cursor: int


Payloads = Callable[[Record], AsyncIterator[Sendable]]
"""Gives what a part still lacks, from its record's cursor on."""

Progressed = Callable[[Record, int], None]
"""Is told how a part stands, and how many units were done since the last time."""


@dataclass(frozen=True)
class _Heard:
    """What was parsed of one payload; `cursor` is where to go on after it, 0 where the payload doesn't tell."""

    rows: int
    refused: int
    cursor: int


class _Ear:
    """Remembers by connection and number what was parsed, until a record has it."""

    def __init__(self) -> None:
        self.heard: dict[str, dict[int, _Heard]] = {}
        self.newest = 0

    def hear(self, record: TapeRecord, events: list[Event]) -> None:
        """Note what was parsed of a payload, now or by recovery."""
        rows = sum(isinstance(event, Accepted) for event in events)
        refused = sum(isinstance(event, Rejected) for event in events)
        cursor = 0
        if record.endpoint == FILE:
            with suppress(ValueError):
                cursor = read_request(record.request)[1] + record.payload.count(b"\n") + 1
        self.newest = max(self.newest, record.received_time)
        numbers = self.heard.setdefault(record.connection_id, {})
        numbers[record.message_number] = _Heard(rows, refused, cursor)

    def into(self, record: Record) -> Record:
        """Return the record with what was heard beyond it; that is forgotten."""
        new = {n: one for n, one in self.heard.pop(record.connection_id, {}).items() if n > record.done}
        return replace(
            record,
            done=max(new, default=record.done),
            rows=record.rows + sum(one.rows for one in new.values()),
            refused=record.refused + sum(one.refused for one in new.values()),
            cursor=max(record.cursor, *(one.cursor for one in new.values())) if new else record.cursor,
        )


@dataclass
class Sender:
    """Sends the payloads of parts, one part after the other. Made by `sender`."""

    records: Records
    _progress: Progress
    _ids: Mapping[str, str]
    _pipeline: Pipeline
    _ear: _Ear

    def close(self) -> None:
        """Release the connection that keeps how far the tape is done."""
        self._progress.close()

    async def send(self, record: Record, payloads: Payloads, progressed: Progressed) -> Record:
        """Send what a part still lacks and return its record, finished.

        RetryableError when Kafka is away for long: what was sent is in the record, and the next import goes on.
        """
        # What an interrupted import had on the tape beyond its last commit was found again, and is done as well.
        record = self._ear.into(record)
        self.records.write(record)
        moving = asyncio.create_task(self._pipeline.run())
        try:
            record = await self._all(record, payloads, progressed, moving)
        finally:
            moving.cancel()
            with suppress(asyncio.CancelledError, TapehouseError):
                await moving
        self.records.write(record.over())
        return record.over()

    async def _all(
        self, record: Record, payloads: Payloads, progressed: Progressed, moving: asyncio.Task[None]
    ) -> Record:
        number, cursor = record.done, record.cursor
        pending, units, committed = 0, 0, time.monotonic()
        async for one in payloads(record):
            number, cursor, pending, units = number + 1, one.cursor, pending + 1, units + one.units
            await _unless(moving, self._pipeline.room())
            self._pipeline.accept(self._taped(record.connection_id, number, one))
            if pending >= _PAYLOADS_A_COMMIT or time.monotonic() - committed > _COMMIT_S:
                record = await self._commit(record, cursor, moving)
                progressed(record, units)
                pending, units, committed = 0, 0, time.monotonic()
        record = await self._commit(record, cursor, moving)
        progressed(record, units)
        return record

    def _taped(self, of: str, number: int, one: Sendable) -> TapeRecord:
        received = max(self._ear.newest, time.time_ns() // 1000)
        return TapeRecord(received, IMPORT, one.endpoint, of, number, one.payload, one.request)

    async def _commit(self, record: Record, cursor: int, moving: asyncio.Task[None]) -> Record:
        """Wait until Kafka has all, then keep the record, then commit: whatever is committed is in a record."""
        if not await _unless(moving, self._pipeline.drained(_DRAIN_S)):
            raise RetryableError(f"Kafka did not take the events within {_DRAIN_S:.0f} s; import again, it goes on")
        record = replace(self._ear.into(record), cursor=cursor)
        self.records.write(record)
        await asyncio.to_thread(self._progress.commit, dict(self._pipeline.flow.positions), self._ids)
        return record


@contextmanager
def sender(settings: ImportSettings) -> Iterator[Sender]:
    """Make topics and schemas, bring events up to what an interrupted import left on the tape, and give the sender.

    TerminalError while another import runs with the same folder: both would say how far the tape is done.
    """
    records, ear = Records(settings.folder), _Ear()
    with records.alone():
        producer, sending = Retrying(
            retry=retry_if_exception_type(RetryableError),
            wait=wait_random_exponential(multiplier=0.5, max=5),
            stop=stop_after_delay(_PATIENCE_S),
            reraise=True,
        )(_prepared, settings, records, ear)
        try:
            yield sending
        finally:
            producer.purge()
            sending.close()


def _prepared(settings: ImportSettings, records: Records, ear: _Ear) -> tuple[Producer, Sender]:
    ensure_topics(settings.broker, topics_of(IMPORT))
    wire = Wire(settings.registry, venue(IMPORT), ear.hear)
    producer = make_producer(settings.broker, max_message_bytes=tape_topic(IMPORT).max_message_bytes + _ENVELOPE)
    progress = Progress(settings.broker, IMPORT)
    recovery = Recovery(settings.broker, settings.registry, IMPORT, producer, wire, threading.Event(), _is_imported)
    try:
        ids = progress.topic_ids()
        recovered = recovery.run(progress.read(), ids)
        # The records of what recovery found first; else a commit would be ahead of them.
        for of in list(ear.heard):
            if (known := records.read(of)) is not None:
                records.write(ear.into(known))
        progress.commit(recovered.positions, ids)
    except BaseException:
        # What this try had not sent yet must not arrive amid the next one, which would take it for missing.
        producer.purge()
        progress.close()
        raise
    pipeline = Pipeline(producer, wire, _LIMITS)
    pipeline.flow.positions.update(recovered.positions)
    return producer, Sender(records, progress, ids, pipeline, ear)


def _is_imported(row: Mapping[str, object]) -> bool:
    return str(row["connection_id"]).startswith(CONNECTION_PREFIX)


async def _unless(moving: asyncio.Task[None], wanted: Awaitable[T]) -> T:
    """Await something, unless the pipeline fails before."""
    task = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({task, moving}, return_when=asyncio.FIRST_COMPLETED)
        if moving.done() and not task.done():
            moving.result()
        return await task
    finally:
        task.cancel()
