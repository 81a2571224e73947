"""A scratch platform for one run of the benchmarks: its own data directory and ports, gone afterwards."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
from confluent_kafka import Producer

from benchmarks.arrow_batches import encode_batches
from benchmarks.avro_columns import encode_trades
from benchmarks.events import CONNECTION, ENDPOINT, TRADES_A_MESSAGE, VENUE, Events
from benchmarks.messages import payloads
from contracts.tape import TAPE, tape_topic
from contracts.trades import TRADES
from deploy import stack
from deploy.kafka_sizes import topic_bytes
from orchestration.prepare import prepare
from orchestration.settings import Settings
from orchestration.values import stack_settings
from stores import broker, registry
from stores.records import RecordEncoder
from stores.warehouse import Warehouse

# The one rule that W3 needs: it looks at a quote alone.
RULES = ({"name": "crossed", "kind": "crossed"},)
SERVICES = {"kafka", "registry", "warehouse"}
# Ports behind those of the platform, for systems whose processes talk to one another.
PEER_PORTS = 60
Report = Callable[[str], None]


@dataclass(frozen=True)
class Platform:
    """The broker, the registry and the warehouse that all systems of a run share."""

    settings: Settings

    @property
    def peer_port(self) -> int:
        """Return the first of ten free ports."""
        return self.settings.port("registry") + PEER_PORTS

    def process(self, service: str) -> psutil.Process:
        """Return a service's process."""
        report = stack.status(stack_settings(self.settings))
        return psutil.Process(next(one.pid for one in report.services if one.name == service))

    @contextmanager
    def service(self, name: str) -> Iterator[None]:
        """Run one more of the platform's services for a while."""
        told = stack_settings(self.settings)
        stack.start_one(told, name)
        try:
            yield
        finally:
            stack.stop_one(told, name)

    def topic(self, name: str, partitions: int) -> None:
        """Make a topic of that name as the trades' own is."""
        assert TRADES.topic is not None
        broker.ensure_topics(self.settings.broker, [replace(TRADES.topic, name=name, partitions=partitions)])

    def drop(self, name: str) -> None:
        """Delete a topic if it is there, and wait until it is gone."""
        if name not in broker.topic_names(self.settings.broker):
            return
        broker.delete_topic(self.settings.broker, name)
        end = time.monotonic() + 30
        while name in broker.topic_names(self.settings.broker):
            if time.monotonic() > end:
                raise SystemExit(f"Kafka did not delete {name} within 30 s")
            time.sleep(0.1)

    def bytes_an_event(self) -> dict[str, float]:
        """Return what a trade takes on disk: in its topic, one copy, and in its table, merged as far as it is now."""
        records = broker.record_counts(self.settings.broker, [TRADES.name])[TRADES.name]
        sizes = topic_bytes(self.settings.jars_dir, self.settings.broker.bootstrap)
        table, rows = Warehouse(self.settings.warehouse).rows(
            f"SELECT sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active AND table = '{TRADES.table}'"
        )[0]
        found = {"topic": sizes[TRADES.name] / max(records, 1), "table": int(table) / max(int(rows), 1)}
        return {name: round(size, 1) for name, size in found.items()}

    def make_trades_anew(self, partitions: int) -> None:
        """Delete the trades' own topic and make it again, with so many partitions."""
        self.drop(TRADES.name)
        self.topic(TRADES.name, partitions)

    def make_tape_anew(self) -> None:
        """Delete the venue's tape and make it again, empty."""
        topic = tape_topic(VENUE)
        self.drop(topic.name)
        broker.ensure_topics(self.settings.broker, [topic])

    def load_trades(self, events: Events, report: Report) -> None:
        """Put the events into the trades' own topic, in their order."""
        name = TRADES.name
        schema_id = registry.register(self.settings.registry, TRADES, name)
        producer = self._producer()
        keys = [f"{VENUE}|{instrument}".encode() for instrument in events.names]
        places = zip(events.partition.tolist(), events.instrument.tolist(), strict=True)
        sent = 0
        for values in encode_trades(events, schema_id):
            for value in values:
                partition, instrument = next(places)
                while True:
                    try:
                        producer.produce(name, value, keys[instrument], partition)
                        break
                    except BufferError:
                        producer.poll(0.05)
            sent += len(values)
            producer.poll(0)
            report(f"{sent:,} of {len(events):,} trades in Kafka")
        self._flushed(producer, name, len(events))

    def load_batches(self, events: Events, report: Report) -> int:
        """Put the events into the trades' own topic, many to a record; return how many records that makes."""
        producer = self._producer()
        sent = 0
        for partition, value in encode_batches(events, registry.register(self.settings.registry, TRADES, TRADES.name)):
            producer.produce(TRADES.name, value, partition=partition)
            sent += 1
            if sent % 1000 == 0:
                producer.flush(60)
                report(f"{sent:,} records of many trades in Kafka")
        self._flushed(producer, TRADES.name, sent)
        return sent

    def load_tape(self, events: Events, report: Report) -> None:
        """Put the messages that the events came in on the venue's tape."""
        topic = tape_topic(VENUE)
        encoder = RecordEncoder(self.settings.registry, TAPE, topic.name)
        producer = self._producer()
        received = events.received_time[::TRADES_A_MESSAGE].tolist()
        sent = 0
        for some in payloads(events):
            for payload in some:
                row = {
                    "venue": VENUE,
                    "endpoint": ENDPOINT,
                    "payload": payload,
                    "received_time": received[sent],
                    "connection_id": CONNECTION,
                    "message_number": sent + 1,
                    "request": "",
                }
                producer.produce(topic.name, encoder.encode(row), CONNECTION.encode(), sent // 1000 % topic.partitions)
                sent += 1
                if sent % 10_000 == 0:
                    producer.flush(60)
            report(f"{sent:,} of {len(received):,} messages on the tape")
        self._flushed(producer, topic.name, len(received))

    def _producer(self) -> Producer:
        return Producer(
            {
                **broker.client_config(self.settings.broker),
                "compression.type": "lz4",
                "linger.ms": 20,
                "batch.size": 1_000_000,
                "queue.buffering.max.messages": 500_000,
            }
        )

    def _flushed(self, producer: Producer, topic: str, count: int) -> None:
        producer.flush(120)
        held = broker.record_counts(self.settings.broker, [topic])[topic]
        if held != count:
            raise SystemExit(f"{topic} holds {held:,} records, sent were {count:,}")


@contextmanager
def scratch_platform(port_offset: int) -> Iterator[Platform]:
    """Start the stores, with topics and tables; stop them and remove their data."""
    folder = Path(tempfile.mkdtemp(prefix="tapehouse-bench-"))
    settings = Settings(data_dir=folder, port_offset=port_offset, venues=(VENUE,), alert_stream=True, alert_rules=RULES)
    told = stack_settings(settings)
    try:
        stack.up(told, only=SERVICES, prepare=lambda: prepare(settings))
        yield Platform(settings)
    finally:
        stack.down(told)
        shutil.rmtree(folder, ignore_errors=True)
