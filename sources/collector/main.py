"""The collector of one venue: recover, connect, write the tape, send the events, commit how far that is done."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

import aiohttp
from confluent_kafka import Producer
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from contracts.errors import RetryableError, TerminalError
from contracts.gaps import GAPS, MARKS
from contracts.tape import tape_topic
from sources.collector.health import Health, serve_health
from sources.collector.pipeline import Limits, Pipeline
from sources.collector.progress import Progress, read_marks
from sources.collector.recovery import Recovery, Stopped
from sources.collector.repair import Repairer
from sources.collector.rest import RestClient
from sources.collector.watching import Watcher, now_micros
from sources.collector.wire import Wire, report_topics, topics_of
from sources.connection import Connection, Feed
from sources.endpoints import Endpoint
from sources.logs import say, until_told_to_stop
from sources.venues import venue
from stores.broker import ensure_topics, make_producer
from stores.settings import BrokerSettings, RegistrySettings

_log = logging.getLogger(__name__)
T = TypeVar("T")
# Room for the record around the largest payload that its contract allows.
_ENVELOPE = 16 * 1024


@dataclass(frozen=True)
class CollectorSettings:
    """What one venue's collector needs. `port` answers GET /health on loopback."""

    broker: BrokerSettings
    registry: RegistrySettings
    venue: str
    endpoints: tuple[Endpoint, ...]
    port: int
    limits: Limits = field(default_factory=Limits)
    commit_s: float = 1.0
    # How long Kafka and the registry may stay away at the start before the process gives up.
    patience_s: float = 120.0
    # With Kafka away the process ends half a minute after it was told to, at most.
    drain_s: float = 15.0


def serve(settings: CollectorSettings) -> int:
    """Run the collector until SIGTERM or SIGINT and return the exit code: 1, with one line, when it can't go on.

    Whoever supervises it starts it again: the next start makes missing topics and sends what is missing.
    """
    return until_told_to_stop(lambda stop: run(settings, stop), _log)


async def run(settings: CollectorSettings, stop: asyncio.Event) -> None:
    """Run the collector until `stop` is set; then stop reading, wait for what is on its way, commit."""
    health = Health(settings.venue)
    runner = await serve_health(health, settings.port)
    halt = threading.Event()  # what threads look at
    work = asyncio.create_task(_collect(settings, health, stop, halt))
    try:
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        health.status = "stopping"
        halt.set()
        await work
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class _Prepared:
    """What stands before the first connection opens."""

    producer: Producer
    wire: Wire
    ids: dict[str, str]
    progress: Progress
    watcher: Watcher


async def _collect(settings: CollectorSettings, health: Health, stop: asyncio.Event, halt: threading.Event) -> None:
    try:
        prepared = await _patiently(settings, lambda: _prepare(settings, health, halt), halt)
    except Stopped:
        return
    progress, ids = prepared.progress, prepared.ids
    pipeline = Pipeline(prepared.producer, prepared.wire, settings.limits)
    assert health.recovered is not None
    pipeline.flow.positions.update(health.recovered.positions)
    health.flow, health.watcher = pipeline.flow, prepared.watcher
    moving = asyncio.create_task(pipeline.run())
    committing = asyncio.create_task(_commit_forever(settings, pipeline, prepared, health))
    background = {moving, committing}
    drained = False
    try:
        async with aiohttp.ClientSession() as session:
            await _listen(settings, pipeline, prepared.watcher, session, health, background, stop)
        drained = await _drain(pipeline, moving, settings.drain_s)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        if drained:
            _report(pipeline, prepared)
            await asyncio.to_thread(prepared.producer.flush, settings.drain_s)
            await asyncio.to_thread(_commit, progress, pipeline.flow.positions, ids, health)
            await asyncio.to_thread(progress.close)
        else:
            # Kafka is away, and a commit would wait for it longer than a supervisor waits for us.
            say(_log, "not everything is acknowledged; the next start sends it", left=pipeline.flow.in_flight)
    say(_log, "stopped", messages=pipeline.flow.received, done=pipeline.flow.done)


async def _prepare(settings: CollectorSettings, health: Health, halt: threading.Event) -> _Prepared:
    """Make topics, register schemas, and bring the events up to the tape."""
    chosen = venue(settings.venue)
    tape = tape_topic(settings.venue)
    wanted = (*topics_of(settings.venue), *report_topics())
    for difference in await asyncio.to_thread(ensure_topics, settings.broker, wanted):
        say(_log, "topic differs from its contract", difference=difference)
    run_id = f"{settings.venue}-collector-{now_micros()}"
    marks = await asyncio.to_thread(read_marks, settings.broker, settings.registry, settings.venue)
    watcher = Watcher(chosen, run_id, marks)
    wire = await asyncio.to_thread(Wire, settings.registry, chosen, watcher.hear)
    producer = make_producer(settings.broker, max_message_bytes=tape.max_message_bytes + _ENVELOPE)
    progress = Progress(settings.broker, settings.venue)
    recovery = Recovery(settings.broker, settings.registry, settings.venue, producer, wire, halt)
    health.wire, health.recovered, health.status = wire, recovery.recovered, "recovering"
    try:
        ids = await asyncio.to_thread(progress.topic_ids)
        committed = await asyncio.to_thread(progress.read)
        await asyncio.to_thread(recovery.run, committed, ids)
        await asyncio.to_thread(_commit, progress, recovery.recovered.positions, ids, health)
    except BaseException:
        # What this try had not sent yet must not arrive amid the next one, which would take it for missing.
        producer.purge()
        progress.close()
        raise
    return _Prepared(producer, wire, ids, progress, watcher)


async def _patiently(settings: CollectorSettings, step: Callable[[], Awaitable[T]], halt: threading.Event) -> T:
    """Try again while Kafka or the registry is away, up to the settings' patience."""

    async def attempt() -> T:
        if halt.is_set():
            raise Stopped
        try:
            return await step()
        except RetryableError as error:
            say(_log, "not ready", why=error)
            raise

    return await AsyncRetrying(
        retry=retry_if_exception_type(RetryableError),
        wait=wait_random_exponential(multiplier=0.5, max=5),
        stop=stop_after_delay(settings.patience_s),
        reraise=True,
    )(attempt)


@dataclass(frozen=True)
class _InOrder:
    """Tells the watcher that a connection came or went once it has heard everything that came before."""

    watcher: Watcher
    pipeline: Pipeline

    def live(self, connection: Connection) -> None:
        self.pipeline.afterwards(partial(self.watcher.live, connection))

    def lost(self, connection: Connection) -> None:
        self.pipeline.afterwards(partial(self.watcher.lost, connection, connection.heard.connection_id))


async def _listen(
    settings: CollectorSettings,
    pipeline: Pipeline,
    watcher: Watcher,
    session: aiohttp.ClientSession,
    health: Health,
    background: set[asyncio.Task[None]],
    stop: asyncio.Event,
) -> None:
    """Hold the connections open until told to stop; raises what ended a background task or a connection."""
    chosen = venue(settings.venue)
    # A feed of its own kind asks for itself.
    asked = settings.endpoints if chosen.open is None else ()
    clients = {endpoint.name: RestClient(endpoint, session, chosen.key_header) for endpoint in asked}
    chosen = replace(chosen, rests={endpoint.name: chosen.rest(endpoint) for endpoint in asked})
    repairer = Repairer(chosen, clients, watcher, pipeline)
    shares = [(endpoint, streams) for endpoint in settings.endpoints for streams in endpoint.connections()]
    feeds: list[Feed] = []
    if chosen.open is not None:
        feeds = [chosen.open(endpoint, streams, pipeline, session) for endpoint, streams in shares]
    else:
        attendant = _InOrder(watcher, pipeline)
        repairer.connections = [
            Connection(endpoint, streams, chosen.dialects[endpoint.name], pipeline, session, attendant)
            for endpoint, streams in shares
        ]
        feeds = [*repairer.connections]
    health.connections = [feed.heard for feed in feeds]
    health.rest = {name: client.asked for name, client in clients.items()}
    health.status = "running"
    tasks = [asyncio.create_task(feed.run()) for feed in feeds]
    tasks.append(asyncio.create_task(repairer.run()))
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, *background, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            task.result()
    finally:
        for task in (*tasks, stopped):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drain(pipeline: Pipeline, moving: asyncio.Task[None], deadline_s: float) -> bool:
    drained = asyncio.create_task(pipeline.drained(deadline_s))
    await asyncio.wait({drained, moving}, return_when=asyncio.FIRST_COMPLETED)
    if moving.done():
        drained.cancel()
        moving.result()
    return await drained


async def _commit_forever(settings: CollectorSettings, pipeline: Pipeline, prepared: _Prepared, health: Health) -> None:
    progress, ids = prepared.progress, prepared.ids
    while True:
        await asyncio.sleep(settings.commit_s)
        try:
            found = await asyncio.to_thread(progress.topic_ids)
            _check_incarnations(ids, found)
            # What was heard is marked before it is committed: after a crash between the two it is heard again.
            positions = dict(pipeline.flow.positions)
            _report(pipeline, prepared)
            await asyncio.to_thread(_commit, progress, positions, ids, health)
        except RetryableError as error:  # Kafka is away; the pipeline decides for how long that is bearable
            if not health.commit_error:
                say(_log, "Kafka is away", why=error)
            health.commit_error = str(error)


def _report(pipeline: Pipeline, prepared: _Prepared) -> None:
    """Send the gaps' changes, then how far each series was heard."""
    gaps = prepared.watcher.gaps
    pipeline.report(prepared.wire.reports(GAPS, gaps.drain()))
    pipeline.report(prepared.wire.reports(MARKS, gaps.marks()))


def _check_incarnations(ids: Mapping[str, str], found: Mapping[str, str]) -> None:
    changed = [name for name, known in ids.items() if found[name] != known]
    if changed:
        raise TerminalError(
            f"recreated while the collector ran: {', '.join(changed)}; the next start sends again what they lack"
        )


def _commit(progress: Progress, positions: Mapping[int, int], ids: Mapping[str, str], health: Health) -> None:
    if positions != health.committed:
        progress.commit(positions, ids)
        health.committed = dict(positions)
    if health.commit_error:
        say(_log, "Kafka is back")
        health.commit_error = ""
