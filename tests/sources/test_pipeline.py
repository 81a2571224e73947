"""The pipeline sends the payload first, its events when Kafka has it, and knows how far that is done."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, Producer
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import BATCH_EVENTS
from contracts.errors import RetryableError, TerminalError
from sources.collector.pipeline import Limits, Pipeline
from sources.collector.presence import Presence
from sources.collector.wire import Derived, Outgoing, Wire
from sources.tape_file import TapeRecord


class Acknowledgement:
    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self.place = (topic, partition, offset)

    def topic(self) -> str:
        return self.place[0]

    def partition(self) -> int:
        return self.place[1]

    def offset(self) -> int:
        return self.place[2]


class StubProducer:
    """Takes records and acknowledges them when the test says so."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.waiting: dict[str, deque[tuple[Callable[..., None], int]]] = {"tape": deque(), "events": deque()}
        self.due: list[Callable[[], None]] = []
        self.full = False
        self.offset = 0

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Callable[..., None]) -> None:
        if self.full:
            raise BufferError
        assert key
        self.sent.append((topic, value))
        self.waiting[topic].append((on_delivery, self.offset))
        self.offset += 1 if topic == "tape" else 0

    def acknowledge(self, topic: str, which: int = 0, error: KafkaError | None = None, partition: int = 0) -> None:
        callback, offset = self.waiting[topic][which]
        del self.waiting[topic][which]
        self.due.append(lambda: callback(error, Acknowledgement(topic, partition, offset)))

    def poll(self, timeout: float) -> int:
        assert timeout == 0
        due, self.due = self.due, []
        for callback in due:
            callback()
        return len(due)


class StubWire:
    """Turns a payload of n bytes into n events."""

    def tape(self, record: TapeRecord) -> Outgoing:
        return Outgoing("tape", b"k", record.payload)

    def events(self, record: TapeRecord) -> list[Derived]:
        return [Derived(n, Outgoing("events", b"k", record.payload)) for n in range(len(record.payload))]

    def batch(self, topic: str, rows: Sequence[Mapping[str, object]]) -> bytes:
        assert topic == "events"
        return b"%d together" % len(rows)


def make(limits: Limits | None = None) -> tuple[Pipeline, StubProducer]:
    producer = StubProducer()
    return Pipeline(cast(Producer, producer), cast(Wire, StubWire()), limits or Limits()), producer


def payload(data: bytes) -> TapeRecord:
    return TapeRecord(1, "binance", "spot", "c", 1, data)


def test_events_are_sent_only_when_kafka_has_the_payload() -> None:
    pipeline, producer = make()
    pipeline.accept(payload(b"a"))
    pipeline.turn()
    assert producer.sent == [("tape", b"a")]
    producer.acknowledge("tape")
    pipeline.turn()
    assert producer.sent == [("tape", b"a"), ("events", b"a")]


def test_position_passes_a_payload_only_when_all_its_events_and_all_before_are_acknowledged() -> None:
    pipeline, producer = make()
    for data in (b"aa", b"b", b""):
        pipeline.accept(payload(data))
        producer.acknowledge("tape")
    pipeline.turn()
    assert pipeline.flow.positions == {}
    producer.acknowledge("events", 2)  # b's
    producer.acknowledge("events", 1)
    pipeline.turn()
    assert pipeline.flow.positions == {}  # one event of the first payload is open
    producer.acknowledge("events", 0)
    pipeline.turn()
    assert pipeline.flow.positions == {0: 3}
    assert pipeline.flow.in_flight == pipeline.flow.in_flight_bytes == 0


class BatchingWire(StubWire):
    """Turns a payload of n bytes into n events of a topic that takes many in one record."""

    def events(self, record: TapeRecord) -> list[Derived]:
        events = super().events(record)
        return [Derived(index, outgoing._replace(row={"index": index})) for index, outgoing in events]


def test_a_payload_is_done_when_the_batches_that_hold_its_events_are() -> None:
    producer = StubProducer()
    pipeline = Pipeline(cast(Producer, producer), cast(Wire, BatchingWire()), Limits())
    for data in (b"a" * (BATCH_EVENTS - 1), b"bb", b"c" * (BATCH_EVENTS - 1)):
        pipeline.accept(payload(data))
        producer.acknowledge("tape")
    pipeline.turn()
    assert [value for topic, value in producer.sent if topic == "events"] == [b"%d together" % BATCH_EVENTS] * 2
    producer.acknowledge("events", 1)  # the end of the second payload, and the third
    pipeline.turn()
    assert pipeline.flow.positions == {}
    producer.acknowledge("events", 0)
    pipeline.turn()
    assert pipeline.flow.positions == {0: 3}
    assert pipeline.flow.in_flight == 0


def test_positions_of_partitions_are_apart() -> None:
    pipeline, producer = make()
    pipeline.accept(payload(b"a"))
    pipeline.accept(payload(b"b"))
    producer.acknowledge("tape", partition=0)
    producer.acknowledge("tape", partition=1)
    pipeline.turn()
    producer.acknowledge("events", 1)
    pipeline.turn()
    assert pipeline.flow.positions == {1: 2}


def test_payloads_are_heard_in_the_order_received_though_partitions_acknowledge_in_another() -> None:
    pipeline, producer = make()
    heard: list[str] = []
    pipeline.accept(payload(b"a"))  # the last words of a connection
    pipeline.afterwards(lambda: heard.append("lost"))
    pipeline.accept(payload(b"b"))  # the first ones of the next, on another partition
    producer.acknowledge("tape", 1, partition=1)
    pipeline.turn()
    assert [sent for sent in producer.sent if sent[0] == "events"] == []
    assert heard == []
    producer.acknowledge("tape", 0, partition=0)
    pipeline.turn()
    assert [data for topic, data in producer.sent if topic == "events"] == [b"a", b"b"]
    assert heard == ["lost"]


def test_full_producer_delays_and_never_reorders() -> None:
    pipeline, producer = make()
    producer.full = True
    pipeline.accept(payload(b"a"))
    producer.full = False
    pipeline.accept(payload(b"b"))
    assert producer.sent == []
    pipeline.turn()
    assert producer.sent == [("tape", b"a"), ("tape", b"b")]


@pytest.mark.parametrize("limits", [Limits(messages=3), Limits(payload_bytes=3 * 513)])
async def test_limits_close_the_room_until_acknowledged(limits: Limits) -> None:
    pipeline, producer = make(limits)
    for _ in range(3):
        assert not pipeline.full
        pipeline.accept(payload(b"a"))
    assert pipeline.full
    for _ in range(3):
        producer.acknowledge("tape")
    pipeline.turn()
    assert pipeline.full  # on the tape, but the events are not acknowledged
    for _ in range(3):
        producer.acknowledge("events")
    pipeline.turn()
    assert not pipeline.full
    await pipeline.room()


@pytest.mark.parametrize(
    ("code", "kind"),
    [(KafkaError._MSG_TIMED_OUT, RetryableError), (KafkaError.UNKNOWN_TOPIC_OR_PART, TerminalError)],
)
@pytest.mark.parametrize("topic", ["tape", "events"])
def test_record_that_kafka_refuses_for_good_ends_the_pipeline(code: int, kind: type[Exception], topic: str) -> None:
    pipeline, producer = make()
    pipeline.accept(payload(b"a"))
    if topic == "events":
        producer.acknowledge("tape")
        pipeline.turn()
    producer.acknowledge(topic, error=KafkaError(code))
    with pytest.raises(kind, match=f"did not take a record for {topic}"):
        pipeline.turn()
    assert pipeline.flow.positions == {}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2**62), st.integers(0, 3)), max_size=60), st.data())
def test_presence_is_a_set_of_positions(added: list[tuple[str, int, int]], data: st.DataObject) -> None:
    presence = Presence()
    for position in added:
        presence.add(*position)
    assert presence.count == len(set(added))
    assert all(presence.holds(*position) for position in added)
    other: Any = data.draw(st.tuples(st.sampled_from("abcd"), st.integers(0, 2**62), st.integers(0, 4)))
    assert presence.holds(*other) == (other in added)
