"""Tell receivers of market alerts: each alert once, no flood, and what was held back counted.

An alert is entered as told when its receiver has taken it, and looked up before it is sent. Between the two a crash
can make one message come twice; it carries the alert's key, so that a receiver can tell. None is lost: an alert whose
receiver is away waits in Kafka.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from contracts.alerts import MARKET_ALERTS, alert_id
from contracts.errors import TerminalError
from serving.latest import EPOCH, connect
from serving.pace import Pace, Series, Verdict
from serving.reader import Progress, Reader
from serving.settings import TellingSettings
from stores import groups
from stores.records import RecordDecoder

# How long an alert is remembered as told: longer than anything that sends it again looks back.
REMEMBERED_S = 7 * 24 * 3600
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0

# Sends a title and a text, and returns why that failed, or nothing.
Send = Callable[[str, str], str]

log = logging.getLogger(__name__)


class Memory:
    """What was told to a receiver, in Redis, for the next process. While Redis is away this one knows by itself."""

    def __init__(self, redis: "Redis", receiver: str) -> None:
        self._redis = redis
        self._prefix = f"alerts:{receiver}"

    def series(self) -> dict[str, Series]:
        """Return the series as the last process left them; nothing while Redis is away."""
        try:
            found: Any = self._redis.hgetall(f"{self._prefix}:series")
        except RedisError:
            return {}
        return {name: Series(**json.loads(told)) for name, told in found.items()}

    def knows(self, alert: str) -> bool:
        """Tell whether an alert was told by a process before this one; sent twice rather than never."""
        try:
            return bool(self._redis.exists(f"{self._prefix}:told:{alert}"))
        except RedisError:
            return False

    def keep(self, series: Mapping[str, Series | None], told: str | None = None) -> None:
        """Take down how series stand (None: forgotten), and an alert as told."""
        try:
            with self._redis.pipeline(transaction=True) as pipeline:
                for name, one in series.items():
                    if one is None:
                        pipeline.hdel(f"{self._prefix}:series", name)
                    else:
                        pipeline.hset(f"{self._prefix}:series", name, json.dumps(asdict(one)))
                if told is not None:
                    pipeline.set(f"{self._prefix}:told:{told}", 1, ex=REMEMBERED_S)
                pipeline.execute()
        except RedisError as error:
            log.warning("Redis did not take down what was told; after a restart it may be told again: %s", error)


def series_of(row: Mapping[str, Any]) -> str:
    """Name the series of an alert: its rule and instrument."""
    return f"{row['rule']}|{row['venue']}|{row['instrument']}"


def title_of(row: Mapping[str, Any]) -> str:
    """Say in a line what happened."""
    return f"{row['rule']}: {row['venue']} {row['instrument']} {_sentence(row)}"


def text_of(row: Mapping[str, Any], held: int) -> str:
    """Tell what a person needs to look it up, and how many like it were held back before."""
    lines = [
        f"{row['kind']} above {row['limit_percent'].normalize():f} %: {_sentence(row)}",
        f"event {row['id_space']} {row['event_id']} at {_utc(row['event_time'])}",
        f"alert {alert_id(row)}",
    ]
    return "\n".join([*lines, *([f"{held} more were held back before"] if held else [])])


def _sentence(row: Mapping[str, Any]) -> str:
    price, other = row["price"], row["other_price"]
    if row["kind"] == "crossed":
        return f"is bid {_plain(price)} and asked {_plain(other)}"
    if row["kind"] == "spread":
        return f"is bid {_plain(price)} and asked {_plain(other)}, {_percent(other - price, (other + price) / 2)} apart"
    beside = "last closed at" if row["kind"] == "price_move" else "elsewhere"
    return f"traded at {_plain(price)}, {beside} {_plain(other)}, {_percent(price - other, other)}"


def _percent(part: Decimal, whole: Decimal) -> str:
    return f"{100 * part / whole:+.2f} %"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _utc(micros: int) -> str:
    return f"{(EPOCH + timedelta(microseconds=micros)).astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


class Teller:
    """Tells one receiver."""

    def __init__(
        self, send: Send, memory: Memory, pace_s: float, stopping: threading.Event, progress: Progress
    ) -> None:
        self._send = send
        self._memory = memory
        self._pace = Pace(pace_s, memory.series())
        self._stopping = stopping
        self._progress = progress

    def hear(self, row: Mapping[str, Any]) -> bool:
        """Do with an alert what is to be done; False when it was told to stop before the receiver took it."""
        name, alert, now = series_of(row), alert_id(row), time.time()
        verdict = Verdict.KNOWN if self._memory.knows(alert) else self._pace.admit(name, alert, now)
        self._count(verdict.value)
        if verdict is Verdict.HOLD:
            self._memory.keep({name: self._pace.series[name]})
        if verdict is not Verdict.TELL:
            return True
        if not self._insist(title_of(row), text_of(row, self._pace.held(name))):
            return False
        self._pace.told(name, time.time(), alert)
        self._memory.keep({name: self._pace.series[name]}, alert)
        return True

    def tell_due(self) -> None:
        """Tell what was held back in pauses that are over."""
        now, before = time.time(), set(self._pace.series)
        due = self._pace.due(now)
        gone = before - set(self._pace.series)
        if gone:
            self._memory.keep(dict.fromkeys(gone))
        for name in due:
            rule, venue, instrument = name.split("|", 2)
            since = datetime.fromtimestamp(self._pace.series[name].told_at, UTC)
            more = f"{self._pace.held(name)} more"
            text = f"{more} were held back since {since:%H:%M:%S} UTC; the table market_alerts has them"
            if not self._insist(f"{rule}: {venue} {instrument}, {more}", text):
                return
            self._count("summaries")
            self._pace.told(name, time.time())
            self._memory.keep({name: self._pace.series[name]})

    def _insist(self, title: str, text: str) -> bool:
        pause = FIRST_PAUSE_S
        while problem := self._send(title, text):
            self._progress.problem = f"the receiver did not take an alert, it will be tried again: {problem}"
            log.warning("%s", self._progress.problem)
            if self._stopping.wait(pause):
                return False
            pause = min(2 * pause, LONGEST_PAUSE_S)
        self._progress.problem = ""
        return True

    def _count(self, what: str) -> None:
        self._progress.counts[what] = self._progress.counts.get(what, 0) + 1


def tell(settings: TellingSettings, receiver: str, send: Send, stopping: threading.Event, progress: Progress) -> None:
    """Tell a receiver of alerts until told to stop; each receiver is a group, so that none waits for another.

    A new receiver hears what happens from now on. RetryableError when Kafka or the registry does not answer.
    """
    assert MARKET_ALERTS.topic is not None
    topic, group = MARKET_ALERTS.topic.name, f"tapehouse-alerts-{receiver}"
    decoder = RecordDecoder(settings.registry, MARKET_ALERTS)
    teller = Teller(send, Memory(connect(settings.cache), receiver), settings.pause_s, stopping, progress)
    starts = {topic: groups.start_offsets(settings.broker, group, topic)}
    for messages in Reader(settings.broker, group, starts, progress).batches(stopping):
        for message in messages:
            try:
                rows = decoder.rows(message.value() or b"")
            except TerminalError:
                progress.unreadable += 1
                continue
            if not all(teller.hear(row) for row in rows):
                return
        teller.tell_due()
