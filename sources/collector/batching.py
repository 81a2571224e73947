"""Events of one key put together into records of many, for topics whose contract says so."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message

from contracts.dataset import BATCH_EVENTS
from contracts.errors import TerminalError
from sources.collector.wire import Outgoing

# How long an event waits for company: well below the second between two writes.
LONGEST_WAIT_S = 0.1
# An Arrow stream says what its columns are, in two kilobytes: fewer events are smaller one by one.
FEWEST = 8

Acknowledge = Callable[[KafkaError | None, Message], None]
Send = Callable[[Outgoing, Acknowledge], None]
Encode = Callable[[str, Sequence[Mapping[str, object]]], bytes]


@dataclass(slots=True)
class _Open:
    """A batch that is still being filled."""

    since: float
    events: list[Outgoing] = field(default_factory=list)
    acknowledge: list[Acknowledge] = field(default_factory=list)
    size: int = 0


class Batches:
    """Holds events back until there are BATCH_EVENTS of their key, or the first has waited LONGEST_WAIT_S.

    A batch has its events' key, so that Kafka gives it their partition, and they keep their order. What waits is
    bounded by who hands it in: nothing here is acknowledged. `limit` is the most bytes of a record.
    """

    def __init__(self, send: Send, encode: Encode, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._encode = encode
        self._limit = limit
        self._clock = clock
        self._open: dict[tuple[str, bytes], _Open] = {}

    def add(self, event: Outgoing, acknowledge: Acknowledge) -> None:
        """Take an event; `acknowledge` is called as if it were sent by itself."""
        key = (event.topic, event.key)
        batch = self._open.get(key)
        if batch is not None and batch.size + len(event.value) > self._limit // 2:
            self._cut(key)
            batch = None
        if batch is None:
            batch = self._open[key] = _Open(self._clock())
        batch.events.append(event)
        batch.acknowledge.append(acknowledge)
        batch.size += len(event.value)
        if len(batch.events) >= BATCH_EVENTS:
            self._cut(key)

    def cut_due(self) -> None:
        """Send what has waited long enough; batches lie in the order in which they were begun."""
        before = self._clock() - LONGEST_WAIT_S
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if oldest.since > before:
                return
            self._cut(key)

    def _cut(self, key: tuple[str, bytes]) -> None:
        batch = self._open.pop(key)
        value = self._together(key[0], batch.events)
        if value is None:
            for event, acknowledge in zip(batch.events, batch.acknowledge, strict=True):
                self._send(event, acknowledge)
            return

        def acknowledge_all(fault: KafkaError | None, message: Message) -> None:
            for acknowledge in batch.acknowledge:
                acknowledge(fault, message)

        self._send(Outgoing(*key, value), acknowledge_all)

    def _together(self, topic: str, events: Sequence[Outgoing]) -> bytes | None:
        """Return the record of all events; None where they are better sent one by one."""
        if len(events) < FEWEST:
            return None
        try:
            value = self._encode(topic, [event.row for event in events if event.row is not None])
        except TerminalError:
            return None  # what fits in Avro and not here is no reason to stop
        return value if len(value) <= self._limit else None
