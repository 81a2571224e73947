"""From the socket to Kafka: the payload first; when Kafka has it, what was parsed from it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from contracts.errors import RetryableError, TerminalError
from sources.collector.batching import Acknowledge, Batches
from sources.collector.wire import Outgoing, Wire
from sources.tape_file import TapeRecord

_log = logging.getLogger(__name__)
_TURN = 256  # payloads parsed before connections get their turn
_IDLE_S = 0.002
# What a payload costs beside its own bytes: it lies in our queue, in the producer's, and once more as event.
_OVERHEAD = 512

Step = Callable[[], None]


@dataclass(frozen=True)
class Limits:
    """How much may be on its way, from the socket until Kafka has acknowledged every event of it."""

    messages: int = 20_000
    payload_bytes: int = 64 * 1024 * 1024
    record_bytes: int = 900_000  # what every topic takes, with room for Kafka's own


@dataclass(eq=False, slots=True)
class _Entry:
    """A payload on its way.

    `open_events` counts events not acknowledged, -1 before it was parsed; `parsed` is told how many there are.
    """

    record: TapeRecord
    cost: int
    partition: int = -1
    offset: int = -1
    open_events: int = -1
    parsed: asyncio.Future[int] | None = None


@dataclass
class Flow:
    """What can be told of the pipeline from outside."""

    received: int = 0
    taped: int = 0
    done: int = 0
    in_flight: int = 0
    in_flight_bytes: int = 0
    pauses: int = 0
    positions: dict[int, int] = field(default_factory=dict)


class Pipeline:
    """Take payloads, write them to the tape, send their events once the tape has them, and know how far that is done.

    Payloads are parsed in the order in which they were taken, though partitions of the tape acknowledge as they like:
    what a new connection says must not be heard before the last words of the old one.
    `flow.positions` holds, by tape partition, the offset up to which every event is acknowledged: what may be
    committed. Bounded by `limits`: beyond them `full` is true, and connections stop reading their sockets.
    """

    def __init__(self, producer: Producer, wire: Wire, limits: Limits) -> None:
        self._producer = producer
        self._wire = wire
        self._limits = limits
        self._batches = Batches(self._send, wire.batch, limits.record_bytes)
        self._outbox: deque[tuple[Outgoing, Acknowledge]] = deque()
        self._order: deque[_Entry | Step] = deque()
        self._unfinished: dict[int, deque[_Entry]] = {}
        self._room = asyncio.Event()
        self._room.set()
        self._failure: Exception | None = None
        self.flow = Flow()

    @property
    def full(self) -> bool:
        """Whether connections should stop reading."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Wait until another payload can be taken."""
        await self._room.wait()

    def accept(self, record: TapeRecord) -> None:
        """Take a payload; it is sent to the tape before anything else."""
        self._accept(_Entry(record, len(record.payload) + _OVERHEAD))

    def afterwards(self, step: Step) -> None:
        """Do a step once everything taken before was parsed."""
        self._order.append(step)

    async def through(self, record: TapeRecord) -> int:
        """Take a payload and wait until it is on the tape and parsed; return how many events it gave."""
        entry = _Entry(record, len(record.payload) + _OVERHEAD)
        entry.parsed = asyncio.get_running_loop().create_future()
        self._accept(entry)
        return await entry.parsed

    def report(self, outgoing: Iterable[Outgoing]) -> None:
        """Send what is not derived from the tape; acknowledged or the pipeline fails."""
        for one in outgoing:
            self._send(one, self._reported)

    def _reported(self, fault: KafkaError | None, message: Message) -> None:
        if fault is not None:
            self._fail(str(message.topic()), fault)

    def _accept(self, entry: _Entry) -> None:
        self.flow.received += 1
        self.flow.in_flight += 1
        self.flow.in_flight_bytes += entry.cost
        if self._over_limits() and self._room.is_set():
            self._room.clear()
            self.flow.pauses += 1
        self._order.append(entry)
        self._send(self._wire.tape(entry.record), partial(self._tape_has, entry))

    async def run(self) -> None:
        """Keep things moving until cancelled; raises when Kafka has finally refused a record."""
        while True:
            moved = self.turn()
            await asyncio.sleep(0 if moved else _IDLE_S)

    def turn(self) -> bool:
        """Do what can be done without waiting; return whether anything was."""
        served = self._producer.poll(0)
        parsed = self._parse_due()
        self._batches.cut_due()
        while self._outbox and self._produce(*self._outbox[0]):
            self._outbox.popleft()
        if self._failure is not None:
            raise self._failure
        return bool(served) or parsed

    def _parse_due(self) -> bool:
        """Parse, in order, what the tape has; return whether there was any."""
        for turn in range(_TURN):
            if not self._order:
                return turn > 0
            first = self._order[0]
            if not isinstance(first, _Entry):
                first()
            elif first.offset >= 0:
                self._derive(first)
            else:
                return turn > 0
            self._order.popleft()
        return True

    async def drained(self, deadline_s: float) -> bool:
        """Wait until nothing is on its way any more; False when the deadline passed first. `run` must be running."""
        end = time.monotonic() + deadline_s
        while self.flow.in_flight:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(_IDLE_S)
        return True

    def _send(self, outgoing: Outgoing, acknowledge: Acknowledge) -> None:
        # Nothing overtakes what waits already.
        if self._outbox or not self._produce(outgoing, acknowledge):
            self._outbox.append((outgoing, acknowledge))

    def _produce(self, outgoing: Outgoing, acknowledge: Acknowledge) -> bool:
        try:
            self._producer.produce(outgoing.topic, outgoing.value, outgoing.key, on_delivery=acknowledge)
        except BufferError:
            return False
        except KafkaException as error:
            self._fail(outgoing.topic, error.args[0])
        return True

    def _tape_has(self, entry: _Entry, fault: KafkaError | None, message: Message) -> None:
        if fault is not None:
            self._fail(str(message.topic()), fault)
            return
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        entry.partition, entry.offset = partition, offset
        self.flow.taped += 1
        # Acknowledgements of a partition come in the order of its offsets: the producer is idempotent.
        self._unfinished.setdefault(partition, deque()).append(entry)

    def _derive(self, entry: _Entry) -> None:
        derived = self._wire.events(entry.record)
        entry.open_events = len(derived)
        for _, outgoing in derived:
            take = self._send if outgoing.row is None else self._batches.add
            take(outgoing, partial(self._event_sent, entry))
        if entry.parsed is not None and not entry.parsed.done():
            entry.parsed.set_result(len(derived))
        if not derived:
            self._advance(entry)

    def _event_sent(self, entry: _Entry, fault: KafkaError | None, message: Message) -> None:
        if fault is not None:
            self._fail(str(message.topic()), fault)
            return
        entry.open_events -= 1
        if not entry.open_events:
            self._advance(entry)

    def _advance(self, entry: _Entry) -> None:
        self.flow.done += 1
        self.flow.in_flight -= 1
        self.flow.in_flight_bytes -= entry.cost
        waiting = self._unfinished[entry.partition]
        while waiting and waiting[0].open_events == 0:
            self.flow.positions[entry.partition] = waiting.popleft().offset + 1
        if not self._room.is_set() and not self._over_limits(0.8):
            self._room.set()

    def _over_limits(self, share: float = 1.0) -> bool:
        return (
            self.flow.in_flight >= self._limits.messages * share
            or self.flow.in_flight_bytes >= self._limits.payload_bytes * share
        )

    def _fail(self, topic: str, fault: KafkaError) -> None:
        if self._failure is None:
            self._failure = delivery_failure(topic, fault)


def delivery_failure(topic: str, fault: KafkaError) -> Exception:
    """Return the error for a record that Kafka did not take, after all of the producer's own tries."""
    text = f"Kafka did not take a record for {topic}: {fault.str()}"
    if fault.code() in (KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
        return RetryableError(
            f"{text}; is the broker up? What is missing is found again from the tape at the next start"
        )
    return TerminalError(f"{text}; the next start makes missing topics and finds what was not sent from the tape")
