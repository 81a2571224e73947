"""Kafka: topics made from contracts, the one way to produce, bounded reads."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from contracts.dataset import Topic
from contracts.errors import RetryableError, TerminalError
from stores.settings import BrokerSettings

TIMEOUT_S = 15.0

# What passes by itself although librdkafka does not call it so: leaders move, brokers start and stop.
_PASSING = {
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_CONTROLLER,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
}
T = TypeVar("T")


def client_config(settings: BrokerSettings) -> dict[str, Any]:
    """Return the librdkafka settings that every client shares."""
    return {
        "bootstrap.servers": settings.bootstrap,
        "socket.timeout.ms": 10_000,
        "log_level": 2,
        **settings.security,
    }


def make_admin(settings: BrokerSettings) -> AdminClient:
    """Open an admin client; nothing is sent before its first call."""
    return AdminClient(client_config(settings))


def make_producer(settings: BrokerSettings, *, max_message_bytes: int = 1_000_000) -> Producer:
    """Open an idempotent producer: acknowledged by all replicas, in order, each record once."""
    return Producer(
        {
            **client_config(settings),
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": 5,
            "message.max.bytes": max_message_bytes,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 256 * 1024,
            # An outage shorter than this is waited out; a longer one is an error that somebody hears of.
            "delivery.timeout.ms": 180_000,
        }
    )


def _wait(future: Any, what: str) -> Any:
    """Return the future's value, or raise what failed as retryable or terminal."""
    try:
        return future.result(timeout=TIMEOUT_S)
    except TimeoutError as error:
        raise RetryableError(f"Kafka did not answer within {TIMEOUT_S:.0f} s: {what}. Is the broker up?") from error
    except KafkaException as error:
        fault: KafkaError = error.args[0]
        passing = fault.retriable() or fault.code() < 0 or fault.code() in _PASSING
        kind = RetryableError if passing else TerminalError
        raise kind(f"Kafka refused: {what}: {fault.str()}") from error


def topic_id(settings: BrokerSettings, topic: str, *, admin: AdminClient | None = None) -> str:
    """Return Kafka's id of a topic; a topic that was deleted and made again has another one.

    Raises TerminalError when there is no such topic.
    """
    admin = admin or make_admin(settings)  # held: with it go the answers that are still on their way
    futures = admin.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT_S)
    try:
        return str(_wait(futures[topic], f"describe topic {topic}").topic_id)
    except TerminalError as error:
        raise TerminalError(
            f"topic {topic} does not exist on {settings.bootstrap}; `tapehouse topics --apply` creates it"
        ) from error


def _offsets(settings: BrokerSettings, topics: Sequence[str], spec: Any) -> dict[str, dict[int, int]]:
    admin = make_admin(settings)
    described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=TIMEOUT_S)
    asked = {
        TopicPartition(topic, p.id): spec
        for topic, future in described.items()
        for p in _wait(future, f"describe topic {topic}").partitions
    }
    found: dict[str, dict[int, int]] = {topic: {} for topic in topics}
    for tp, future in admin.list_offsets(asked, request_timeout=TIMEOUT_S).items():
        found[tp.topic][tp.partition] = _wait(future, f"offsets of {tp.topic}").offset
    return found


def end_offsets(settings: BrokerSettings, topic: str) -> dict[int, int]:
    """Return the offset after the last record, by partition."""
    return _offsets(settings, [topic], OffsetSpec.latest())[topic]


def ends_of(settings: BrokerSettings, topics: Sequence[str]) -> dict[str, dict[int, int]]:
    """Return by topic and partition the offset after the last record: one connection and two requests for all."""
    return _offsets(settings, topics, OffsetSpec.latest()) if topics else {}


def begin_offsets(settings: BrokerSettings, topic: str) -> dict[int, int]:
    """Return the offset of the first record that Kafka still holds, by partition."""
    return _offsets(settings, [topic], OffsetSpec.earliest())[topic]


def topic_names(settings: BrokerSettings) -> list[str]:
    """List the topics, internal ones left out."""
    try:
        topics = make_admin(settings).list_topics(timeout=TIMEOUT_S).topics
    except KafkaException as error:
        raise RetryableError(f"Kafka at {settings.bootstrap} did not answer: {error.args[0].str()}") from error
    return sorted(name for name in topics if not name.startswith("_"))


def _wanted_config(topic: Topic) -> dict[str, str]:
    return {
        "cleanup.policy": topic.cleanup_policy,
        # -1 is unlimited in Kafka too, and there it counts milliseconds.
        "retention.ms": str(topic.retention_hours * 3_600_000) if topic.retention_hours >= 0 else "-1",
        "max.message.bytes": str(topic.max_message_bytes),
        "message.timestamp.type": "LogAppendTime",
    }


@dataclass(frozen=True)
class Difference:
    """A way in which an existing topic is not as its contract says; nothing is changed silently."""

    topic: str
    setting: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.setting} is {self.found}, its contract says {self.wanted}"


def ensure_topics(settings: BrokerSettings, topics: Sequence[Topic]) -> list[Difference]:
    """Create the topics that are missing and report how existing ones differ from their contracts."""
    admin = make_admin(settings)
    existing = set(topic_names(settings))
    missing = [
        NewTopic(t.name, t.partitions, settings.replication, config=_wanted_config(t))
        for t in topics
        if t.name not in existing
    ]
    if missing:
        for name, future in admin.create_topics(missing, request_timeout=TIMEOUT_S).items():
            try:
                _wait(future, f"create topic {name}")
            except TerminalError as error:
                cause = error.__cause__
                made = isinstance(cause, KafkaException) and cause.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
                if not made:  # another process was quicker; its topic comes from the same contract
                    raise
    return topic_differences(settings, [t for t in topics if t.name in existing], admin)


def topic_differences(
    settings: BrokerSettings, topics: Sequence[Topic], admin: AdminClient | None = None
) -> list[Difference]:
    """Compare existing topics with their contracts."""
    if not topics:
        return []
    admin = admin or make_admin(settings)
    found_configs = admin.describe_configs(
        [ConfigResource(ConfigResource.Type.TOPIC, t.name) for t in topics], request_timeout=TIMEOUT_S
    )
    configs = {r.name: _wait(f, f"describe {r.name}") for r, f in found_configs.items()}
    described = admin.describe_topics(TopicCollection([t.name for t in topics]), request_timeout=TIMEOUT_S)
    differences = []
    for topic in topics:
        partitions = str(len(_wait(described[topic.name], f"describe {topic.name}").partitions))
        found = {"partitions": partitions, **{k: e.value for k, e in configs[topic.name].items()}}
        wanted = {"partitions": str(topic.partitions), **_wanted_config(topic)}
        differences += [
            Difference(topic.name, name, value, found[name]) for name, value in wanted.items() if found[name] != value
        ]
    return differences


def delete_topic(settings: BrokerSettings, topic: str) -> None:
    """Delete a topic and everything in it."""
    admin = make_admin(settings)
    futures = admin.delete_topics([topic], request_timeout=TIMEOUT_S)
    _wait(futures[topic], f"delete topic {topic}")


def record_counts(settings: BrokerSettings, names: Sequence[str]) -> dict[str, int]:
    """Return how many records each topic holds, all partitions together."""
    held = {}
    for name in names:
        begin, end = begin_offsets(settings, name), end_offsets(settings, name)
        held[name] = sum(end[p] - begin[p] for p in end)
    return held


def read_ranges(
    settings: BrokerSettings, topic: str, ranges: Mapping[int, tuple[int, int]], *, deadline_s: float = 120.0
) -> Iterator[Message]:
    """Yield the records of half-open offset ranges by partition, then end.

    Raises RetryableError when `deadline_s` passes without a record, TerminalError when Kafka no longer holds the
    first offset asked for.
    """
    wanted = {p: r for p, r in ranges.items() if r[1] > r[0]}
    if not wanted:
        return
    consumer = Consumer(
        {
            **client_config(settings),
            "group.id": "tapehouse-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.message.max.bytes": 17 * 1024 * 1024,
        }
    )
    try:
        consumer.assign([TopicPartition(topic, p, first) for p, (first, _) in wanted.items()])
        heard = time.monotonic()
        while wanted:
            messages = consumer.consume(10_000, timeout=0.5)
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > deadline_s:
                raise RetryableError(f"no record of {topic} within {deadline_s:.0f} s; still wanted: {wanted}")
            for message in messages:
                fault = message.error()
                if fault is not None:
                    kind = RetryableError if fault.retriable() else TerminalError
                    raise kind(f"reading {topic} {wanted} failed: {fault.str()}")
                partition, offset = message.partition(), message.offset()
                if partition not in wanted or offset is None:
                    continue
                if offset < wanted[partition][1]:
                    yield message
                if offset + 1 >= wanted[partition][1]:
                    del wanted[partition]
                    if wanted:
                        consumer.incremental_unassign([TopicPartition(topic, partition)])
    finally:
        consumer.close()
