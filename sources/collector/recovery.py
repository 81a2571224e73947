"""What a crash left unsent is found again from the tape, before any connection opens."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from contracts.errors import RetryableError
from contracts.tape import TAPE, tape_topic
from sources.collector.pipeline import delivery_failure
from sources.collector.presence import Presence
from sources.collector.progress import Position
from sources.collector.wire import EVENT_DATASETS, Outgoing, Wire, topic_of
from sources.logs import say
from sources.tape_file import TapeRecord
from stores.broker import TIMEOUT_S, begin_offsets, client_config, end_offsets, read_ranges
from stores.records import RecordDecoder
from stores.settings import BrokerSettings, RegistrySettings

_log = logging.getLogger(__name__)
# Events follow their payload, and brokers' clocks differ by less than this.
_MARGIN_MS = 60_000
_REPORT_S = 5.0
_FLUSH_S = 180.0


@dataclass
class Recovered:
    """How far recovery is, and what it found."""

    tape_records: int = 0  # to be looked through
    read: int = 0
    present: int = 0  # events that were sent before
    sent: int = 0
    unreadable: int = 0  # records of no schema that is known, which nobody of ours wrote
    lost: int = 0  # tape records that Kafka deleted before their events were known to be sent
    seconds: float = 0.0
    positions: dict[int, int] = field(default_factory=dict)


class Stopped(Exception):  # noqa: N818 - no fault, the process was told to stop
    """Recovery was told to stop; the next start begins it anew."""


class Recovery:
    """Bring the events topics up to the tape's present end. Calls block: use a thread.

    A position counts only for the topics' present incarnations: when the tape or an events topic was recreated, the
    whole of the tape that Kafka still holds is looked through. Events present already are not sent again; presence is
    learned by reading the events topics from just before the first tape record concerned. Which of their rows came from
    this tape their venue tells, or `ours`.
    """

    def __init__(
        self,
        broker: BrokerSettings,
        registry: RegistrySettings,
        venue: str,
        producer: Producer,
        wire: Wire,
        stop: threading.Event,
        ours: Callable[[Mapping[str, object]], bool] | None = None,
    ) -> None:
        self._broker = broker
        self._registry = registry
        self._ours = ours or (lambda row: row["venue"] == venue)
        self._topic = tape_topic(venue).name
        self._tape = RecordDecoder(registry, TAPE)
        self._producer = producer
        self._wire = wire
        self._stop = stop
        self._failure: Exception | None = None
        self._reported = time.monotonic()
        self.recovered = Recovered()

    def run(self, committed: Mapping[int, Position | None], ids: Mapping[str, str]) -> Recovered:
        """Send what is missing; return counts and the positions from which the collector goes on."""
        began = time.monotonic()
        ranges = self._ranges(committed, ids)
        found = self.recovered
        found.tape_records = sum(end - first for first, end in ranges.values())
        if found.tape_records:
            say(_log, "recovery begins", tape_records=found.tape_records, ranges=ranges)
            present = self._presence(ranges)
            for message in self._messages(self._topic, ranges):
                self._send_missing(message, present)
            self._flush()
        found.positions = {p: end for p, (_, end) in ranges.items()}
        found.seconds = time.monotonic() - began
        say(
            _log,
            "recovery done",
            read=found.read,
            present=found.present,
            sent=found.sent,
            unreadable=found.unreadable,
            lost=found.lost,
            seconds=found.seconds,
        )
        return found

    def _ranges(self, committed: Mapping[int, Position | None], ids: Mapping[str, str]) -> dict[int, tuple[int, int]]:
        begin, end = begin_offsets(self._broker, self._topic), end_offsets(self._broker, self._topic)
        ranges = {}
        for partition, last in end.items():
            position = committed.get(partition)
            first = begin[partition]
            if position is not None and position.topic_ids == dict(ids):
                self.recovered.lost += max(0, first - position.offset)
                first = min(max(first, position.offset), last)
            ranges[partition] = (first, last)
        return ranges

    def _presence(self, ranges: Mapping[int, tuple[int, int]]) -> Presence:
        present = Presence()
        since = self._first_time(ranges) - _MARGIN_MS
        for dataset in EVENT_DATASETS:
            topic = topic_of(dataset).name
            decoder = RecordDecoder(self._registry, dataset)
            end = end_offsets(self._broker, topic)
            start = self._offsets_at(topic, since, end)
            for message in self._messages(topic, {p: (start[p], last) for p, last in end.items()}):
                for row in self._decoded(decoder, message):
                    if self._ours(row):
                        present.add(row["connection_id"], row["message_number"], row["message_index"])
        say(_log, "recovery knows what is present", events=present.count)
        return present

    def _first_time(self, ranges: Mapping[int, tuple[int, int]]) -> int:
        heads = {p: (first, first + 1) for p, (first, end) in ranges.items() if end > first}
        return min(message.timestamp()[1] for message in self._messages(self._topic, heads))

    def _offsets_at(self, topic: str, time_ms: int, end: Mapping[int, int]) -> dict[int, int]:
        consumer = Consumer({**client_config(self._broker), "group.id": "tapehouse-reader"})
        try:
            asked = [TopicPartition(topic, p, max(time_ms, 0)) for p in end]
            found = consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
        except KafkaException as error:
            raise RetryableError(f"Kafka did not tell offsets of {topic}: {error.args[0].str()}") from error
        finally:
            consumer.close()
        return {entry.partition: entry.offset if entry.offset >= 0 else end[entry.partition] for entry in found}

    def _messages(self, topic: str, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Message]:
        for message in read_ranges(self._broker, topic, ranges, deadline_s=60.0):
            if self._stop.is_set():
                raise Stopped
            if time.monotonic() - self._reported > _REPORT_S:
                self._reported = time.monotonic()
                found = self.recovered
                say(_log, "recovering", topic=topic, read=found.read, of=found.tape_records, sent=found.sent)
            yield message

    def _decoded(self, decoder: RecordDecoder, message: Message) -> list[dict[str, Any]]:
        try:
            return decoder.rows(message.value() or b"")
        except RetryableError:
            raise
        except Exception as error:
            # Anyone can write anything into a topic, and no such record may keep the collector from starting.
            self.recovered.unreadable += 1
            say(
                _log,
                "unreadable record passed over",
                topic=message.topic(),
                partition=message.partition(),
                offset=message.offset(),
                why=str(error)[:200],
            )
            return []

    def _send_missing(self, message: Message, present: Presence) -> None:
        self.recovered.read += 1
        for row in self._decoded(self._tape, message):
            record = TapeRecord(**row)
            for index, outgoing in self._wire.events(record):
                if present.holds(record.connection_id, record.message_number, index):
                    self.recovered.present += 1
                else:
                    self._send(outgoing)

    def _send(self, outgoing: Outgoing) -> None:
        while True:
            if self._failure is not None:
                raise self._failure
            if self._stop.is_set():
                raise Stopped
            try:
                self._producer.produce(outgoing.topic, outgoing.value, outgoing.key, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise delivery_failure(outgoing.topic, error.args[0]) from error
            else:
                self._producer.poll(0)
                return

    def _delivered(self, fault: KafkaError | None, message: Message) -> None:
        if fault is None:
            self.recovered.sent += 1
        elif self._failure is None:
            self._failure = delivery_failure(str(message.topic()), fault)

    def _flush(self) -> None:
        left = self._producer.flush(_FLUSH_S)
        if self._failure is not None:
            raise self._failure
        if left:
            raise RetryableError(f"{left} recovered events were not acknowledged within {_FLUSH_S:.0f} s")
