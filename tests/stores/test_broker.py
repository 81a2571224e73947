"""Topics come from contracts; what exists already is compared, never changed."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.dataset import Topic
from contracts.errors import RetryableError, TerminalError
from contracts.gaps import MARKS
from stores import broker
from stores.settings import BrokerSettings

TOPIC = Topic("test.topic", partitions=2, retention_hours=168, key=("venue",))


def produce(platform: Any, topic: str, count: int) -> None:
    producer = broker.make_producer(platform.broker)
    for number in range(count):
        producer.produce(topic, str(number).encode(), partition=number % 2)
    assert producer.flush(30) == 0


def test_topics_are_made_once_and_differences_are_reported(platform: Any) -> None:
    assert broker.ensure_topics(platform.broker, [TOPIC]) == []
    before = broker.topic_id(platform.broker, TOPIC.name)
    assert broker.ensure_topics(platform.broker, [TOPIC]) == []
    wider = replace(TOPIC, partitions=3, retention_hours=1)
    found = {(d.setting, d.wanted, d.found) for d in broker.ensure_topics(platform.broker, [wider])}
    assert found == {("partitions", "3", "2"), ("retention.ms", "3600000", str(TOPIC.retention_hours * 3_600_000))}
    assert broker.topic_id(platform.broker, TOPIC.name) == before


def test_a_compacted_topic_is_made_and_compared_like_any_other(platform: Any) -> None:
    assert MARKS.topic is not None
    kept = replace(MARKS.topic, name="test.compacted")
    assert broker.ensure_topics(platform.broker, [kept]) == []
    assert broker.ensure_topics(platform.broker, [kept]) == []
    plain = replace(kept, retention_hours=1, cleanup_policy="delete")
    found = {(d.setting, d.wanted, d.found) for d in broker.ensure_topics(platform.broker, [plain])}
    assert found == {("cleanup.policy", "delete", "compact"), ("retention.ms", "3600000", "-1")}


def test_a_topic_that_was_made_again_has_another_id(platform: Any, wait_until: Any) -> None:
    topic = replace(TOPIC, name="test.again")
    broker.ensure_topics(platform.broker, [topic])
    before = broker.topic_id(platform.broker, topic.name)
    broker.delete_topic(platform.broker, topic.name)
    wait_until(lambda: topic.name not in broker.topic_names(platform.broker), "deleted")
    with pytest.raises(TerminalError, match=r"test\.again does not exist"):
        broker.topic_id(platform.broker, topic.name)
    broker.ensure_topics(platform.broker, [topic])
    assert broker.topic_id(platform.broker, topic.name) != before


def test_a_bounded_read_yields_just_the_ranges_and_ends(platform: Any) -> None:
    topic = replace(TOPIC, name="test.ranges")
    broker.ensure_topics(platform.broker, [topic])
    produce(platform, topic.name, 100)
    assert broker.end_offsets(platform.broker, topic.name) == {0: 50, 1: 50}
    assert broker.record_counts(platform.broker, [topic.name]) == {topic.name: 100}
    messages = list(broker.read_ranges(platform.broker, topic.name, {0: (10, 20), 1: (49, 50)}, deadline_s=20))
    assert sorted((m.partition(), m.offset()) for m in messages) == [*((0, n) for n in range(10, 20)), (1, 49)]
    assert list(broker.read_ranges(platform.broker, topic.name, {0: (5, 5)})) == []


def test_the_ends_of_several_topics_are_those_of_each(platform: Any) -> None:
    topics = [replace(TOPIC, name=f"test.ends.{name}", partitions=n) for name, n in (("one", 1), ("three", 3))]
    broker.ensure_topics(platform.broker, topics)
    produce(platform, topics[1].name, 30)
    names = [topic.name for topic in topics]
    ends = broker.ends_of(platform.broker, names)
    assert ends == {name: broker.end_offsets(platform.broker, name) for name in names}
    assert (ends[names[0]], sum(ends[names[1]].values())) == ({0: 0}, 30)
    with pytest.raises(TerminalError, match=r"test\.ends\.none"):
        broker.ends_of(platform.broker, [*names, "test.ends.none"])


def test_a_broker_that_is_away_is_retryable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "TIMEOUT_S", 1.0)
    away = BrokerSettings("127.0.0.1:9")
    for ask in (broker.topic_names, lambda s: broker.topic_id(s, "x")):
        with pytest.raises(RetryableError):
            ask(away)
