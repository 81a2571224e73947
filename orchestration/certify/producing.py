"""Producing: the stretch's payloads and the events parsed from them go to Kafka without a collector, in any order."""

import random

from contracts.catalog import MARKET
from contracts.errors import RetryableError
from orchestration.certify.stretch import Stretch
from orchestration.settings import Settings
from sources.collector.wire import Outgoing, Wire, topic_of
from sources.tape_file import read_tape
from sources.venues import venue
from stores import broker

# Room for a whole book with its envelope.
_LARGEST_MESSAGE = 17_000_000
_FLUSH_S = 120.0
REPEATED = 10


def records_of(settings: Settings, stretch: Stretch, seed: int | None) -> list[Outgoing]:
    """Encode the stretch as the collector does; with a seed in an order drawn by it, every tenth market event twice.

    The tape and quarantine hold what was sent as often as it was sent.
    """
    wire = Wire(settings.registry, venue(stretch.venue))
    found: list[Outgoing] = []
    for record in read_tape(stretch.path):
        found.append(wire.tape(record))
        found.extend(derived.outgoing for derived in wire.events(record))
    if seed is not None:
        markets = {topic_of(dataset).name for dataset in MARKET}
        found += [record for record in found if record.topic in markets][::REPEATED]
        random.Random(seed).shuffle(found)  # noqa: S311 - an order, not a secret
    return found


def produce(settings: Settings, records: list[Outgoing]) -> None:
    """Send the records in their order; RetryableError when Kafka does not take them all."""
    producer = broker.make_producer(settings.broker, max_message_bytes=_LARGEST_MESSAGE)
    for number, record in enumerate(records):
        while True:
            try:
                producer.produce(record.topic, record.value, record.key)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    if left := producer.flush(_FLUSH_S):
        raise RetryableError(f"Kafka did not take {left} of {len(records)} records within {_FLUSH_S:.0f} s")
