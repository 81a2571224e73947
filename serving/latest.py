"""The latest price and the best bid and ask of every instrument, carried from Kafka to Redis, and read from there.

At least once, and exact all the same: a value carries its place in history, and Redis itself compares it with the one
that it holds, in one step. So an older one never replaces a newer one, whatever comes again or late.
"""

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from redis import Redis
from redis.exceptions import RedisError

from contracts.dataset import Dataset
from contracts.errors import RetryableError, TerminalError
from contracts.judging import broken_rule
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from serving.reader import Progress, Reader
from serving.settings import LatestSettings
from stores import groups
from stores.records import RecordDecoder
from stores.settings import CacheSettings

if TYPE_CHECKING:
    from confluent_kafka import Message

GROUP = "tapehouse-latest"
PREFIX = "latest"
TIMEOUT_S = 5.0
EPOCH = datetime.fromtimestamp(0, UTC)
KEPT = {
    TRADES: ("price", "quantity", "side", "event_time", "received_time"),
    QUOTES: ("bid_price", "bid_quantity", "ask_price", "ask_quantity", "event_time", "received_time"),
}
_KINDS = {TRADES.name: "trade", QUOTES.name: "quote"}

# Redis runs a script as one step. Ranks are digits of one length, so their order as text is their order.
_SET_NEWER = """
local known = redis.call('HGET', KEYS[1], 'rank')
if known and known >= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'rank', ARGV[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""


@dataclass(frozen=True)
class Latest:
    """An instrument's last trade and last quote; what never came, or not for long, is None. Sizes of 0: not told."""

    venue: str
    instrument: str
    price: Decimal | None = None
    quantity: Decimal | None = None
    side: str | None = None
    trade_time: datetime | None = None
    bid_price: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask_price: Decimal | None = None
    ask_quantity: Decimal | None = None
    quote_time: datetime | None = None


def connect(settings: CacheSettings) -> "Redis":
    """Open a connection; nothing is sent before its first command."""
    return Redis.from_url(
        settings.url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, decode_responses=True
    )


def rank(row: Mapping[str, Any]) -> str:
    """Return a row's place in its instrument's history: by event time, the venue's sequence, the tape.

    A text of fixed length whose order is that of history; two rows have one rank only when they are one row.
    """
    # Numbers may be negative: a row's place is counted from the smallest that 64 bits hold.
    places = (row["event_time"], row["venue_sequence"], row["received_time"], row["message_number"])
    numbers = "".join(f"{int(place) + 2**63:020d}" for place in places)
    return f"{numbers}{int(row['message_index']) + 2**31:010d}{_connection(row['connection_id'])}"


@lru_cache(maxsize=1024)
def _connection(name: str) -> str:
    return f"{int(hashlib.sha256(name.encode()).hexdigest()[:8], 16):010d}"


def key(dataset: str, venue: str, instrument: str) -> str:
    """Name the Redis hash that holds an instrument's last trade or quote."""
    return f"{PREFIX}:{_KINDS[dataset]}:{venue}:{instrument}"


class Board:
    """What Redis shows: written in pipelines, newest first of all."""

    def __init__(self, redis: "Redis", ttl_s: int) -> None:
        self._redis = redis
        self._ttl_ms = ttl_s * 1000
        self._script = redis.register_script(_SET_NEWER)

    def show(self, rows: Iterable[tuple[Dataset, Mapping[str, Any]]]) -> int:
        """Set what is newer than what Redis holds and return how many values that changed; one round trip.

        Raises RetryableError when Redis does not answer.
        """
        newest: dict[str, tuple[str, Dataset, Mapping[str, Any]]] = {}
        for dataset, row in rows:
            name, place = key(dataset.name, row["venue"], row["instrument"]), rank(row)
            if name not in newest or newest[name][0] < place:
                newest[name] = (place, dataset, row)
        if not newest:
            return 0
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for name, (place, dataset, row) in newest.items():
                    told = [part for column in KEPT[dataset] for part in (column, str(row[column]))]
                    self._script(keys=[name], args=[place, self._ttl_ms, *told], client=pipeline)
                return sum(pipeline.execute())
        except RedisError as error:
            raise RetryableError(f"Redis did not take the latest values: {error}") from error


def carry(settings: LatestSettings, stopping: threading.Event, progress: Progress) -> None:
    """Carry trades and quotes to Redis until told to stop; RetryableError when something does not answer."""
    board = Board(connect(settings.cache), settings.ttl_s)
    datasets = {d.topic.name: d for d in KEPT if d.topic is not None}
    decoders = {topic: RecordDecoder(settings.registry, dataset) for topic, dataset in datasets.items()}
    # What is older than a value lives is not worth reading.
    since = int((time.time() - settings.ttl_s) * 1000)
    starts = {topic: _starts(settings, topic, since) for topic in datasets}
    for messages in Reader(settings.broker, GROUP, starts, progress).batches(stopping):
        rows = []
        for message in messages:
            topic = cast(str, message.topic())
            for row in _rows(message, datasets[topic], decoders[topic]):
                if row is None:
                    progress.unreadable += 1
                else:
                    rows.append((datasets[topic], row))
        changed = board.show(rows)
        progress.counts["changed"] = progress.counts.get("changed", 0) + changed


def _starts(settings: LatestSettings, topic: str, since_ms: int) -> dict[int, int]:
    recent = groups.offsets_since(settings.broker, topic, since_ms)
    known = groups.usable(settings.broker, GROUP, topic)
    return {p: max(offset, known.get(p, 0)) for p, offset in recent.items()}


def _rows(message: "Message", dataset: Dataset, decoder: RecordDecoder) -> list[dict[str, Any] | None]:
    """Return a record's rows; None for what can't be read or breaks a rule: the streams quarantine it."""
    try:
        rows = decoder.rows(message.value() or b"")
    except TerminalError:
        return [None]
    return [None if broken_rule(dataset, row) else row for row in rows]


def read(settings: CacheSettings, venue: str | None = None, instrument: str | None = None) -> list[Latest]:
    """Return the latest values, of one venue or instrument or of all, sorted by both.

    Raises RetryableError when Redis does not answer.
    """
    redis = connect(settings)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        names = sorted(redis.scan_iter(match=f"{PREFIX}:*", count=1000))
        with redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hgetall(name)
            hashes = pipeline.execute()
    except RedisError as error:
        raise RetryableError(f"Redis did not tell the latest values: {error}") from error
    finally:
        redis.close()
    for name, told in zip(names, hashes, strict=True):
        _, kind, its_venue, its_instrument = name.split(":", 3)
        if told and venue in (None, its_venue) and instrument in (None, its_instrument):
            found.setdefault((its_venue, its_instrument), {}).update(_values(kind, told))
    return [Latest(*names, **values) for names, values in sorted(found.items())]


def _values(kind: str, told: Mapping[str, str]) -> dict[str, Any]:
    moment = EPOCH + timedelta(microseconds=int(told["event_time"]))
    if kind == "trade":
        return {
            "price": Decimal(told["price"]),
            "quantity": Decimal(told["quantity"]),
            "side": told["side"],
            "trade_time": moment,
        }
    sides = ("bid_price", "bid_quantity", "ask_price", "ask_quantity")
    return {name: Decimal(told[name]) for name in sides} | {"quote_time": moment}
