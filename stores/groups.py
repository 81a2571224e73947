"""How far a consumer group has come, kept by Kafka itself: where to go on after a restart."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from contracts.errors import RetryableError
from stores import broker
from stores.settings import BrokerSettings

TIMEOUT_S = 15.0


def make_consumer(settings: BrokerSettings, group: str, **more: Any) -> Consumer:
    """Open a consumer that commits when it is told to, and never chooses an offset by itself."""
    return Consumer(
        {
            **broker.client_config(settings),
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            **more,
        }
    )


def committed(settings: BrokerSettings, group: str, topic: str) -> dict[int, int]:
    """Return the next offset of each partition for which the group has entered one."""
    consumer = make_consumer(settings, group)
    try:
        asked = [TopicPartition(topic, p) for p in broker.end_offsets(settings, topic)]
        found = consumer.committed(asked, timeout=TIMEOUT_S)
    except KafkaException as error:
        raise RetryableError(f"Kafka did not tell how far {group} is in {topic}: {error.args[0].str()}") from error
    finally:
        consumer.close()
    return {one.partition: one.offset for one in found if one.offset >= 0}


def commit(settings: BrokerSettings, group: str, offsets: Mapping[str, Mapping[int, int]]) -> None:
    """Enter the next offset of each partition, by topic."""
    told = [TopicPartition(topic, p, offset) for topic, ends in offsets.items() for p, offset in ends.items()]
    consumer = make_consumer(settings, group)
    try:
        consumer.commit(offsets=told, asynchronous=False)
    except KafkaException as error:
        raise RetryableError(f"Kafka did not take down how far {group} is: {error.args[0].str()}") from error
    finally:
        consumer.close()


def usable(settings: BrokerSettings, group: str, topic: str) -> dict[int, int]:
    """Return the entered offsets that Kafka still has; the others' records expired, or the topic was made again."""
    begins, ends = broker.begin_offsets(settings, topic), broker.end_offsets(settings, topic)
    return {p: o for p, o in committed(settings, group, topic).items() if p in ends and begins[p] <= o <= ends[p]}


def start_offsets(settings: BrokerSettings, group: str, topic: str) -> dict[int, int]:
    """Return where the group goes on, a partition; a group that never was begins at the end, and that is entered.

    A partition without a usable offset, because it came later or its records expired, begins at its first record.
    """
    if not committed(settings, group, topic):
        ends = broker.end_offsets(settings, topic)
        commit(settings, group, {topic: ends})
        return ends
    return broker.begin_offsets(settings, topic) | usable(settings, group, topic)


def offsets_since(settings: BrokerSettings, topic: str, moment_ms: int) -> dict[int, int]:
    """Return the first offset of each partition whose record Kafka took at `moment_ms` or later, else the end."""
    ends = broker.end_offsets(settings, topic)
    consumer = make_consumer(settings, "tapehouse-reader")
    try:
        asked = [TopicPartition(topic, p, moment_ms) for p in ends]
        found = consumer.offsets_for_times(asked, timeout=TIMEOUT_S)
    except KafkaException as error:
        raise RetryableError(f"Kafka did not tell the offsets of {topic}: {error.args[0].str()}") from error
    finally:
        consumer.close()
    return {one.partition: one.offset if one.offset >= 0 else ends[one.partition] for one in found}
