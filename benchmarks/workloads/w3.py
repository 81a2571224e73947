"""W3: how long an event takes: to an alert, to its row in the warehouse with its bar, to the latest price in Redis.

Every event is stamped with the moment of its sending, by the clock of this machine, and so knows how old it is.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from benchmarks.environments import OURS, environment_of
from benchmarks.events import VENUE
from benchmarks.feed import CROSSED_EVERY, INSTRUMENTS, NAMED, Feed, Sent, now_micros
from benchmarks.measure import Watch
from benchmarks.peers.rounds import Job, out_topic
from benchmarks.platform import RULES, Platform
from benchmarks.script import Progress, Script, ScriptFailedError
from benchmarks.statistics import Result, Round, latencies
from contracts.alerts import MARKET_ALERTS
from contracts.errors import TapehouseError
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from serving.latest import PREFIX, connect
from stores import broker
from stores.records import RecordDecoder
from stores.warehouse import Warehouse

ALERT, VISIBLE, LATEST = "W3 alert", "W3 row and bar", "W3 latest price"
RATES, QUICK_RATES = (200, 1000, 5000), (1000,)
SECONDS, QUICK_SECONDS = 30.0, 8.0
# Before it is measured, each is fed at the first rate for so long: JVMs warm up, groups settle.
WARM_S = 8.0
START_S = 120.0
# How long is waited for what is still under way when everything has been sent.
REST_S = 30.0


@dataclass(frozen=True)
class Peer:
    """A system that tells of crossed quotes by a script."""

    name: str
    script: str
    environment: str
    note: str


PEERS = (
    Peer("tapehouse micro-batch", "w3_microbatch", OURS, "the same rules in Spark's ordinary mode, for comparison"),
    Peer("PyFlink 2.2", "w3_flink", "flink", "SQL, no buffering"),
    Peer("Quix 3.28", "w3_quix", "quix", "a record at a time"),
)


def run_w3(platform: Platform, quick: bool, progress: Progress) -> list[Result]:
    """Measure all three at several rates."""
    rates, seconds = (QUICK_RATES, QUICK_SECONDS) if quick else (RATES, SECONDS)
    found: list[Result] = []
    for measure in (_alerts_of_ours, _alerts_of_peers, _rows, _latest):
        try:
            found += measure(platform, rates, seconds, progress)
        except TapehouseError as error:
            name = measure.__name__.strip("_").replace("_", " ")
            found.append(Result(f"W3 {name}", "tapehouse", "avro", absent=str(error)))
            progress.done(f"W3 {name}: {error}")
    return found


class Receiver:
    """Reads a topic from its end as fast as it comes and keeps how old each record is, in milliseconds."""

    def __init__(self, platform: Platform, topic: str, moment: Callable[[bytes], int]) -> None:
        settings = platform.settings.broker
        self._consumer = Consumer(
            {**broker.client_config(settings), "group.id": "bench-receiver", "fetch.wait.max.ms": 5}
        )
        parts = broker.end_offsets(settings, topic)
        self._consumer.assign([TopicPartition(topic, part, OFFSET_END) for part in parts])
        self._consumer.poll(1.0)
        self._moment, self._stop = moment, threading.Event()
        self.ages: list[float] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(0.05)
            if message is not None and message.error() is None:
                now = now_micros()
                self.ages.append((now - self._moment(message.value() or b"")) / 1000)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()


def _alerts_of_ours(platform: Platform, rates: Sequence[int], seconds: float, progress: Progress) -> list[Result]:
    decoder = RecordDecoder(platform.settings.registry, MARKET_ALERTS)

    def moment(value: bytes) -> int:
        return int(decoder.decode(value)["event_time"])

    with platform.service("alert-stream"):
        root = platform.process("alert-stream")
        receiver = Receiver(platform, MARKET_ALERTS.name, moment)
        try:
            system, note = (
                "tapehouse real-time",
                "Spark's Real-Time Mode, its own process, exact decimals, rule checked",
            )
            return _alerts(platform, (system, note), root, receiver, rates, seconds, progress)
        finally:
            receiver.close()


def _alerts_of_peers(platform: Platform, rates: Sequence[int], seconds: float, progress: Progress) -> list[Result]:
    found: list[Result] = []
    settings = platform.settings
    for peer in PEERS:
        environment = environment_of(peer.environment)
        if environment.missing:
            found.append(Result(ALERT, peer.name, "avro", absent=environment.missing, note=peer.note))
            continue
        more: dict[str, Any] = {"jars": str(environment.jars)} if environment.jars else {}
        if peer.environment == OURS:
            more |= {"data_dir": str(settings.data_dir), "port_offset": settings.port_offset, "rules": RULES}
        name = peer.script.removeprefix("w3_") + ".alerts"
        ends = broker.end_offsets(settings.broker, QUOTES.name)
        job = Job(
            name, settings.broker.bootstrap, settings.registry.url, QUOTES.name, ends, 1, platform.peer_port, more
        )
        out = out_topic(name, 0)
        platform.drop(out)
        platform.topic(out, 1)
        script = Script(f"benchmarks.peers.{peer.script}", environment, job)
        receiver = Receiver(platform, out, lambda value: int(json.loads(value)["event_time"]))
        try:
            progress.now(f"{ALERT} {peer.name}: starting")
            script.round(0, START_S)
            told = (peer.name, peer.note)
            found += _alerts(platform, told, script.process, receiver, rates, seconds, progress)
        except ScriptFailedError as error:
            found.append(Result(ALERT, peer.name, "avro", absent=str(error), note=peer.note))
            progress.done(f"{ALERT} {peer.name}: {error}")
        finally:
            receiver.close()
            script.close()
    return found


def _alerts(
    platform: Platform,
    told: tuple[str, str],
    root: psutil.Process,
    receiver: Receiver,
    rates: Sequence[int],
    seconds: float,
    progress: Progress,
) -> list[Result]:
    system, note = told
    feed = Feed(platform.settings.broker, platform.settings.registry, QUOTES)
    found = []
    _until_heard(feed, receiver, system)
    for rate in rates:
        progress.now(f"{ALERT} {system}: {rate:,} a second for {seconds:.0f} s")
        receiver.ages.clear()
        sent = Sent()
        began = time.monotonic()
        with Watch([root], [platform.process("kafka")]) as watch:
            feed.send(rate, seconds, sent)
            wanted = -(-sent.count // CROSSED_EVERY)
            _wait(_as_many(receiver.ages, wanted - 1), REST_S)
        # One in ten by number: where the numbers of a feed begin decides on one more or less.
        complete = abs(len(receiver.ages) - wanted) <= 1
        said = f"{len(receiver.ages):,} alerts of {wanted:,}{sent.shortfall(rate)}"
        found.append(
            _result(ALERT, f"{system}, {rate:,}/s", note, sent, began, watch, receiver.ages, complete, said, progress)
        )
    return found


def _until_heard(feed: Feed, receiver: Receiver, system: str) -> None:
    """Feed until alerts come, then for the time of warming up."""
    end = time.monotonic() + START_S
    while not receiver.ages:
        feed.send(100, 1.0, Sent())
        if time.monotonic() > end:
            raise ScriptFailedError(f"{system}: no alert within {START_S:.0f} s")
    feed.send(1000, WARM_S, Sent())
    _wait(lambda: False, 2.0)


def _rows(platform: Platform, rates: Sequence[int], seconds: float, progress: Progress) -> list[Result]:
    warehouse = Warehouse(platform.settings.warehouse)
    warehouse.run(f"TRUNCATE TABLE {TRADES.table}")
    platform.make_trades_anew(4)
    topic_id = broker.topic_id(platform.settings.broker, TRADES.name)
    feed = Feed(platform.settings.broker, platform.settings.registry, TRADES)
    query = (
        "SELECT kafka_partition, max(last_offset) FROM delivery_ledger "
        f"WHERE sink = 'warehouse.{TRADES.table}' AND topic_id = '{topic_id}' GROUP BY kafka_partition"
    )
    found = []
    with platform.service("streams"):
        root = [platform.process("streams"), platform.process("warehouse")]
        warm = Sent()
        feed.send(rates[0], WARM_S, warm)
        # The ledger is written last: what it names has its row and its bar.
        _wait(lambda: sum(end + 1 for _, end in warehouse.rows(query)) == warm.count, START_S)
        for rate in rates:
            progress.now(f"{VISIBLE} tapehouse: {rate:,} a second for {seconds:.0f} s")
            sent, ages = Sent(), list[float]()
            known: dict[int, int] = {}
            began = time.monotonic()

            def look(sent: Sent = sent, ages: list[float] = ages, known: dict[int, int] = known) -> None:
                ends = warehouse.rows(query)
                now = now_micros()
                for partition, end in ends:
                    seen = sent.up_to(int(partition), int(end), known.get(int(partition), 0))
                    known[int(partition)] = known.get(int(partition), 0) + len(seen)
                    ages += [(now - moment) / 1000 for moment in seen]

            with Watch(root, [platform.process("kafka")]) as watch, _often(look, 0.02):
                feed.send(rate, seconds, sent)
                _wait(_as_many(ages, sent.count), REST_S)
            complete = len(ages) == sent.count
            said = f"{len(ages):,} rows of {sent.count:,}{sent.shortfall(rate)}"
            note = "whole exact path, a batch a second; seen in the ledger, which is written after row and bar"
            system = f"tapehouse, {rate:,}/s"
            found.append(_result(VISIBLE, system, note, sent, began, watch, ages, complete, said, progress))
    return found


def _latest(platform: Platform, rates: Sequence[int], seconds: float, progress: Progress) -> list[Result]:
    feed = Feed(platform.settings.broker, platform.settings.registry, TRADES)
    found = []
    with platform.service("redis"), platform.service("latest"):
        root = platform.process("latest")
        redis = connect(platform.settings.cache)
        warm = Sent()
        feed.send(rates[0], WARM_S, warm)
        names = [str(name) for name in redis.scan_iter(match=f"{PREFIX}:trade:{VENUE}:{NAMED}*", count=1000)]
        for rate in rates:
            progress.now(f"{LATEST} tapehouse: {rate:,} a second for {seconds:.0f} s")
            shown: dict[str, int] = {}
            sent, ages = Sent(), list[float]()

            def look(ages: list[float] = ages, shown: dict[str, int] = shown) -> None:
                with redis.pipeline(transaction=False) as pipeline:
                    for name in names:
                        pipeline.hget(name, "event_time")
                    values = pipeline.execute()
                now = now_micros()
                for name, value in zip(names, values, strict=True):
                    moment = int(value or 0)
                    if shown.get(name, moment) != moment:
                        ages.append((now - moment) / 1000)
                    shown[name] = moment

            began = time.monotonic()
            with Watch([root], [platform.process("kafka")]) as watch, _often(look, 0.002):
                feed.send(rate, seconds, sent)
            complete = len(names) == INSTRUMENTS and bool(ages)
            said = f"{len(ages):,} changes seen of {len(names)} instruments{sent.shortfall(rate)}"
            note = "at least once, never an older over a newer; looked at every 2 ms, changes in between unseen"
            system = f"tapehouse, {rate:,}/s"
            found.append(_result(LATEST, system, note, sent, began, watch, ages, complete, said, progress))
        redis.close()
    return found


def _result(
    workload: str,
    system: str,
    note: str,
    sent: Sent,
    began: float,
    watch: Watch,
    ages: list[float],
    complete: bool,
    said: str,
    progress: Progress,
) -> Result:
    details = {"latency_ms": latencies(ages)} if ages else {}
    seconds = time.monotonic() - began
    one = Round(sent.count, seconds, watch.cpu_s, watch.apart_cpu_s, watch.peak_mb, complete, said, details)
    progress.done(f"{workload} {system}: {details.get('latency_ms')}, {said}")
    return Result(workload, system, "avro", rounds=(one,), note=note, details=details)


def _as_many(ages: list[float], count: int) -> Callable[[], bool]:
    return lambda: len(ages) >= count


def _wait(claim: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not claim() and time.monotonic() < end:
        time.sleep(0.02)


@contextmanager
def _often(look: Callable[[], None], pause_s: float) -> Iterator[None]:
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(pause_s):
            look()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
