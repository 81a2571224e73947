"""How far the events of the tape are sent, kept in Kafka as offsets of a consumer group."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import Consumer, KafkaException, TopicPartition

from contracts.errors import RetryableError
from contracts.gaps import MARKS
from contracts.tape import tape_topic
from sources.collector.wire import topic_of, topics_of
from stores.broker import TIMEOUT_S, begin_offsets, client_config, end_offsets, make_admin, read_ranges, topic_id
from stores.records import RecordDecoder
from stores.settings import BrokerSettings, RegistrySettings


@dataclass(frozen=True)
class Position:
    """How far a tape partition is done, and of which incarnations of the topics that holds."""

    offset: int
    topic_ids: dict[str, str]


class Progress:
    """Read and commit the positions of one venue's collector. Calls block: use a thread."""

    def __init__(self, settings: BrokerSettings, venue: str) -> None:
        self._settings = settings
        self._venue = venue
        self._topic = tape_topic(venue)
        self._admin = make_admin(settings)
        self._consumer = Consumer(
            {**client_config(settings), "group.id": f"collector-{venue}", "enable.auto.commit": False}
        )

    def topic_ids(self) -> dict[str, str]:
        """Return Kafka's ids of the venue's topics: a recreated one has another. TerminalError when one is gone."""
        return {t.name: topic_id(self._settings, t.name, admin=self._admin) for t in topics_of(self._venue)}

    def read(self) -> dict[int, Position | None]:
        """Return the committed position of each tape partition, None where there is none."""
        partitions = end_offsets(self._settings, self._topic.name)
        asked = [TopicPartition(self._topic.name, p) for p in partitions]
        try:
            found = self._consumer.committed(asked, timeout=TIMEOUT_S)
        except KafkaException as error:
            raise RetryableError(f"Kafka did not tell the collector's progress: {error.args[0].str()}") from error
        return {entry.partition: _position(entry) for entry in found}

    def commit(self, positions: Mapping[int, int], ids: Mapping[str, str]) -> None:
        """Record that all events of the tape below these offsets are acknowledged by topics of these ids."""
        metadata = orjson.dumps(dict(ids)).decode()
        offsets = [TopicPartition(self._topic.name, p, offset, metadata) for p, offset in positions.items()]
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise RetryableError(f"Kafka did not take the collector's progress: {error.args[0].str()}") from error

    def close(self) -> None:
        """Release the connection."""
        self._consumer.close()


def read_marks(broker: BrokerSettings, registry: RegistrySettings, venue: str) -> list[dict[str, Any]]:
    """Return the newest mark of each of the venue's series, as the last run left them."""
    topic = topic_of(MARKS).name
    begin, end = begin_offsets(broker, topic), end_offsets(broker, topic)
    decoder = RecordDecoder(registry, MARKS)
    newest: dict[bytes, dict[str, Any]] = {}
    for message in read_ranges(broker, topic, {p: (begin[p], last) for p, last in end.items()}, deadline_s=60.0):
        row = decoder.decode(message.value() or b"")
        if row["venue"] == venue:
            newest[bytes(message.key() or b"")] = row
    return list(newest.values())


def _position(entry: TopicPartition) -> Position | None:
    if entry.error is not None or entry.offset < 0:
        return None
    try:
        ids = orjson.loads(entry.metadata or "{}")
    except orjson.JSONDecodeError:
        ids = {}  # written by something else: as if of other incarnations
    return Position(entry.offset, ids if isinstance(ids, dict) else {})
