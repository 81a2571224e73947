"""Read topics from known offsets, in small batches, as long as one likes."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaException, Message, TopicPartition

from contracts.errors import RetryableError
from stores import broker, groups
from stores.settings import BrokerSettings

RECORDS_AT_ONCE = 1_000
QUIET_S = 0.2
COMMIT_EVERY_S = 1.0
LOOK_FOR_PARTITIONS_S = 15.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0

Offsets = Mapping[str, Mapping[int, int]]


@dataclass
class Progress:
    """What a loop tells of itself. `problem` is why it waits, empty while it runs."""

    name: str
    problem: str = ""
    read: int = 0
    unreadable: int = 0
    restarts: int = 0
    lag: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def keep_running(run: Callable[[], None], stopping: threading.Event, progress: Progress) -> None:
    """Run again, after growing pauses, whatever ends with RetryableError, until told to stop."""
    pause = FIRST_PAUSE_S
    while not stopping.is_set():
        began = time.monotonic()
        try:
            run()
        except RetryableError as error:
            progress.problem = str(error)
            progress.restarts += 1
            # What ran for a while had been well: its trouble is new.
            pause = FIRST_PAUSE_S if time.monotonic() - began > LONGEST_PAUSE_S else min(2 * pause, LONGEST_PAUSE_S)
            stopping.wait(pause)


class Reader:
    """Reads topics in the name of a group. Every partition is ours: there is one process a group.

    Nobody has to agree who reads what, so that a killed reader's successor goes on at once.
    """

    def __init__(self, settings: BrokerSettings, group: str, starts: Offsets, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._next = {topic: dict(offsets) for topic, offsets in starts.items()}
        self._committed = time.monotonic()
        self._looked = time.monotonic()
        self._consumer = groups.make_consumer(
            settings,
            group,
            **{"fetch.wait.max.ms": 100, "queued.max.messages.kbytes": 16 * 1024, "enable.partition.eof": False},
        )
        self._consumer.assign([TopicPartition(t, p, o) for t, ps in self._next.items() for p, o in ps.items()])

    def batches(self, stopping: threading.Event) -> Iterator[list[Message]]:
        """Yield what has come, at least every QUIET_S even if that is nothing; what was yielded before counts as done.

        Raises RetryableError when Kafka does not answer or lacks the offsets that are to be read.
        """
        try:
            while not stopping.is_set():
                self._look_for_partitions()
                messages = self._poll()
                self._progress.problem = ""
                yield messages
                self._done(messages)
        finally:
            try:
                self._commit(asynchronous=False)
            finally:
                self._consumer.close()

    def _poll(self) -> list[Message]:
        try:
            # The first one is waited for; what else is there comes with it at once.
            first = self._consumer.poll(QUIET_S)
            more = self._consumer.consume(RECORDS_AT_ONCE - 1, 0) if first is not None else []
        except KafkaException as error:
            raise RetryableError(f"Kafka did not answer: {error.args[0].str()}") from error
        messages = [] if first is None else [first, *more]
        for message in messages:
            fault = message.error()
            if fault is not None:
                raise RetryableError(f"reading {message.topic()} failed: {fault.str()}")
        return messages

    def _done(self, messages: list[Message]) -> None:
        for message in messages:
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None and partition is not None and offset is not None
            self._next[topic][partition] = offset + 1
        self._progress.read += len(messages)
        if time.monotonic() - self._committed >= COMMIT_EVERY_S:
            self._commit(asynchronous=True)
            self._progress.lag = self._lag()

    def _commit(self, *, asynchronous: bool) -> None:
        self._committed = time.monotonic()
        told = [TopicPartition(t, p, o) for t, ps in self._next.items() for p, o in ps.items()]
        try:
            if asynchronous:
                self._consumer.commit(offsets=told, asynchronous=True)
            else:
                self._consumer.commit(offsets=told, asynchronous=False)
        except KafkaException:
            # What is not entered is read again, and changes nothing.
            return

    def _lag(self) -> int:
        ends: list[tuple[int, Any]] = [
            (o, self._consumer.get_watermark_offsets(TopicPartition(t, p), cached=True))
            for t, ps in self._next.items()
            for p, o in ps.items()
        ]
        return sum(max(end[1] - offset, 0) for offset, end in ends if end)

    def _look_for_partitions(self) -> None:
        """Read partitions that were added since the start from their first record."""
        if time.monotonic() - self._looked < LOOK_FOR_PARTITIONS_S:
            return
        self._looked = time.monotonic()
        for topic, known in self._next.items():
            added = broker.end_offsets(self._settings, topic).keys() - known.keys()
            if added:
                known.update(dict.fromkeys(added, 0))
                self._consumer.incremental_assign([TopicPartition(topic, p, 0) for p in sorted(added)])
