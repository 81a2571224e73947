"""From payloads to records for Kafka: the tape's own, those of the events parsed from it, and what watching found."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from contracts.catalog import MARKET, dataset
from contracts.dataset import Dataset, Framing, Topic
from contracts.errors import TerminalError
from contracts.gaps import GAPS, MARKS
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE, tape_topic
from sources.endpoints import Venue
from sources.events import Accepted, Event, Ignored, Rejected
from sources.placing import placed
from sources.tape_file import TapeRecord
from stores.records import RecordEncoder, record_key
from stores.settings import RegistrySettings

# The datasets that parsers fill. Quarantine comes with them: it takes what they refuse.
EVENT_DATASETS: tuple[Dataset, ...] = (*MARKET, QUARANTINE)
# What the collector says of itself; not derived from the tape.
REPORT_DATASETS: tuple[Dataset, ...] = (GAPS, MARKS)

Listener = Callable[[TapeRecord, list[Event]], None]
"""Is told a payload's events in the order of the tape, accepted ones with their whole row."""


def nobody(_: TapeRecord, __: list[Event]) -> None:
    """Stand in where nobody listens."""


class Outgoing(NamedTuple):
    """A record to be sent. `row` is what it says, where the topic takes many events in one record."""

    topic: str
    key: bytes
    value: bytes
    row: Mapping[str, object] | None = None


class Derived(NamedTuple):
    """An event's record, and the event's place in its payload."""

    message_index: int
    outgoing: Outgoing


def topic_of(wanted: Dataset) -> Topic:
    """Return the topic of a dataset that has one."""
    assert wanted.topic is not None
    return wanted.topic


def topics_of(venue: str) -> tuple[Topic, ...]:
    """Return every topic that is derived from the venue's tape, after the tape itself."""
    return (tape_topic(venue), *map(topic_of, EVENT_DATASETS))


def report_topics() -> tuple[Topic, ...]:
    """Return the topics of what the collector says of itself."""
    return tuple(map(topic_of, REPORT_DATASETS))


class Wire:
    """Encode what one venue's collector sends. Making one registers the schemas; a refused one is a TerminalError."""

    def __init__(self, registry: RegistrySettings, venue: Venue, listener: Listener = nobody) -> None:
        self._venue = venue
        self._listener = listener
        self._tape_topic = tape_topic(venue.name)
        self._tape = RecordEncoder(registry, TAPE, self._tape_topic.name)
        self._events = {
            d.name: RecordEncoder(registry, d, topic_of(d).name) for d in (*EVENT_DATASETS, *REPORT_DATASETS)
        }
        self._by_topic = {topic_of(d).name: self._events[d.name] for d in EVENT_DATASETS}
        self.accepted: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()

    def tape(self, record: TapeRecord) -> Outgoing:
        """Return the record of a payload on the tape."""
        # Named fields rather than _asdict: this runs once a payload.
        row = {
            "venue": record.venue,
            "endpoint": record.endpoint,
            "payload": record.payload,
            "received_time": record.received_time,
            "connection_id": record.connection_id,
            "message_number": record.message_number,
            "request": record.request,
        }
        return Outgoing(self._tape_topic.name, record_key(self._tape_topic, row), self._tape.encode(row))

    def events(self, record: TapeRecord) -> list[Derived]:
        """Parse a payload and return the records of its events; what is ignored is counted alone."""
        derived = []
        events = self._venue.parse(record.endpoint, record.payload, record.request)
        for index, event in enumerate(events):
            if isinstance(event, Ignored):
                self.ignored[event.reason] += 1
            elif isinstance(event, Rejected):
                derived.append(Derived(index, self._rejected(record, index, event)))
            else:
                derived.append(Derived(index, self._accepted(record, index, event)))
        self._listener(record, events)
        return derived

    def batch(self, topic: str, rows: Sequence[Mapping[str, object]]) -> bytes:
        """Return the record of many rows of a topic; TerminalError when one does not fit its contract."""
        return self._by_topic[topic].encode_batch(rows)

    def reports(self, wanted: Dataset, rows: Iterable[Mapping[str, object]]) -> list[Outgoing]:
        """Return the records of what the collector says of itself."""
        topic, encoder = topic_of(wanted), self._events[wanted.name]
        return [Outgoing(topic.name, record_key(topic, row), encoder.encode(row)) for row in rows]

    def _accepted(self, record: TapeRecord, index: int, event: Accepted) -> Outgoing:
        row = placed(event, record, index)
        topic = topic_of(dataset(event.dataset))
        batched = row if topic.framing is Framing.BATCH else None
        try:
            outgoing = Outgoing(topic.name, record_key(topic, row), self._events[event.dataset].encode(row), batched)
        except TerminalError as error:
            # A fault of the parser: dying would only meet the same payload again after the restart.
            return self._rejected(record, index, Rejected(event.dataset, "contract_misfit", str(error)[:300]))
        self.accepted[event.dataset] += 1
        return outgoing

    def _rejected(self, record: TapeRecord, index: int, event: Rejected) -> Outgoing:
        row: dict[str, object] = {
            "dataset": event.dataset,
            "venue": record.venue,
            "reason": event.reason,
            "detail": event.detail,
            "payload": event.part or record.payload,
            "received_time": record.received_time,
            "connection_id": record.connection_id,
            "message_number": record.message_number,
            "message_index": index,
        }
        self.rejected[event.reason] += 1
        topic = topic_of(QUARANTINE)
        return Outgoing(topic.name, record_key(topic, row), self._events[QUARANTINE.name].encode(row))
