"""Events sent at a steady rate, each stamped with the moment of its sending: whoever sees it knows how old it is."""

import bisect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from benchmarks.events import CONNECTION, ID_SPACE, VENUE
from contracts.dataset import Dataset
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from stores import broker
from stores.records import RecordEncoder, record_key
from stores.settings import BrokerSettings, RegistrySettings

INSTRUMENTS = 100
NAMED = "L"  # what their names begin with
# One quote in ten is crossed, and is to be told of.
CROSSED_EVERY = 10


def now_micros() -> int:
    """Read the wall clock in microseconds."""
    return time.time_ns() // 1000


def trade(number: int, now: int) -> dict[str, Any]:
    """Return the trade of that number, happening now."""
    return _row(number, now) | {
        "trade_id": str(now * 1000 + number % 1000),
        "price": Decimal(100) + Decimal(number % 1000) / 100,
        "quantity": Decimal("0.5"),
        "side": "buy",
        "trade_count": 1,
    }


def quote(number: int, now: int) -> dict[str, Any]:
    """Return the quote of that number, happening now; one in CROSSED_EVERY is crossed."""
    bid = Decimal(101) if number % CROSSED_EVERY == 0 else Decimal(99)
    return _row(number, now) | {
        "update_id": str(number),
        "bid_price": bid,
        "bid_quantity": Decimal(1),
        "ask_price": Decimal(100),
        "ask_quantity": Decimal(1),
        "event_clock": "venue",
    }


def _row(number: int, now: int) -> dict[str, Any]:
    return {
        "venue": VENUE,
        # A prime step, so that those that are crossed are of all instruments.
        "instrument": f"{NAMED}{number * 7 // CROSSED_EVERY % INSTRUMENTS:03d}/USD",
        "id_space": ID_SPACE,
        "venue_sequence": now * 1000 + number % 1000,
        "event_time": now,
        "received_time": now,
        "connection_id": CONNECTION,
        "message_number": number + 1,
        "message_index": 0,
    }


MAKERS: dict[str, Callable[[int, int], dict[str, Any]]] = {TRADES.name: trade, QUOTES.name: quote}


@dataclass
class Sent:
    """What has been sent, in how many seconds, by partition: offsets, and the moments of sending in microseconds."""

    count: int = 0
    seconds: float = 0.0
    offsets: dict[int, list[int]] = field(default_factory=dict)
    moments: dict[int, list[int]] = field(default_factory=dict)

    def shortfall(self, rate: float) -> str:
        """Say so when the machine did not get to send at the rate that was wanted."""
        reached = self.count / self.seconds if self.seconds else rate
        return "" if reached > 0.95 * rate else f"; sent at {reached:,.0f} a second alone"

    def up_to(self, partition: int, offset: int, known: int) -> list[int]:
        """Return the moments of what lies behind the first `known` ones, up to an offset."""
        end = bisect.bisect_right(self.offsets.get(partition, []), offset)
        return self.moments.get(partition, [])[known:end]


class Feed:
    """Sends events of a dataset; numbers go on from feed to feed, so that no two are the same."""

    def __init__(self, settings: BrokerSettings, schemas: RegistrySettings, dataset: Dataset) -> None:
        assert dataset.topic is not None
        self._topic = dataset.topic
        self._make = MAKERS[dataset.name]
        self._encoder = RecordEncoder(schemas, dataset, dataset.topic.name)
        self._producer = Producer({**broker.client_config(settings), "acks": "all", "linger.ms": 0})
        self._number = 0

    def send(self, rate: float, seconds: float, sent: Sent) -> None:
        """Send so many a second for so long; `sent` is filled as Kafka acknowledges."""
        began, total = time.monotonic(), int(rate * seconds)

        def acknowledged(moment: int) -> Callable[[KafkaError | None, Message], None]:
            def note(error: KafkaError | None, message: Message) -> None:
                partition, offset = message.partition(), message.offset()
                if error is None and partition is not None and offset is not None:
                    sent.moments.setdefault(partition, []).append(moment)
                    sent.offsets.setdefault(partition, []).append(offset)

            return note

        for count in range(total):
            while (early := began + count / rate - time.monotonic()) > 0:
                self._producer.poll(0)
                time.sleep(min(early, 0.0005))
            moment = now_micros()
            row = self._make(self._number, moment)
            key = record_key(self._topic, row)
            self._producer.produce(self._topic.name, self._encoder.encode(row), key, on_delivery=acknowledged(moment))
            self._number += 1
            sent.count += 1
        sent.seconds = time.monotonic() - began
        self._producer.flush(30)
