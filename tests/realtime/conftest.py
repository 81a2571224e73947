"""The two real-time processes run by hand, hand-made events through the real topics, and a local webhook."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from contracts.alerts import MARKET_ALERTS
from contracts.dataset import Dataset
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from orchestration.values import environment_of
from stores import broker
from stores.records import RecordDecoder, RecordEncoder, record_key

NUMBERS = itertools.count(1)
PROGRAM = Path(sys.executable).with_name("tapehouse")


@dataclass
class Webhook:
    """A receiver on loopback; `taken` are the messages it took, `refuse` makes it answer 503."""

    port: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refuse: bool = False

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}"

    def ids(self) -> list[str]:
        """Return the keys of the alerts told, in the order in which they came."""
        lines = [line for told in self.taken for line in told["message"].splitlines()]
        return [line.removeprefix("alert ") for line in lines if line.startswith("alert ")]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    told = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if not told.refuse:
                told.times.append(time.time())
                told.taken.append(json.loads(body))
            self.send_response(503 if told.refuse else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


class Events:
    """Makes valid trades and quotes, each with a number of its own, and sends them to the real topics."""

    def __init__(self, platform: Any) -> None:
        self._platform = platform
        self._producer = broker.make_producer(platform.broker)
        self._encoders = {d: RecordEncoder(platform.registry, d, d.name) for d in (TRADES, QUOTES)}

    def trade(self, instrument: str, price: str, venue: str = "v1", **more: Any) -> dict[str, Any]:
        number = next(NUMBERS)
        return self._event(number, venue, instrument) | {
            "trade_id": str(number), "price": Decimal(price), "quantity": Decimal(1), "side": "buy", "trade_count": 1,
        } | more  # fmt: skip

    def quote(self, instrument: str, bid: str, ask: str, venue: str = "v1", **more: Any) -> dict[str, Any]:
        number = next(NUMBERS)
        sides = {"bid_price": bid, "bid_quantity": "1", "ask_price": ask, "ask_quantity": "1"}
        exact = {name: Decimal(value) for name, value in sides.items()}
        return (
            self._event(number, venue, instrument) | {"update_id": str(number), "event_clock": "venue"} | exact | more
        )

    def _event(self, number: int, venue: str, instrument: str) -> dict[str, Any]:
        now = time.time_ns() // 1000
        return {
            "venue": venue, "instrument": instrument, "id_space": "made", "venue_sequence": number, "event_time": now,
            "received_time": now, "connection_id": "c", "message_number": number, "message_index": 0,
        }  # fmt: skip

    def encoded(self, row: Mapping[str, Any]) -> bytes:
        """Return the record of a row."""
        return self._encoders[dataset_of(row)].encode(row)

    def together(self, *rows: Mapping[str, Any]) -> bytes:
        """Return the record of many rows of one dataset."""
        return self._encoders[dataset_of(rows[0])].encode_batch(rows)

    def send(self, *rows: Mapping[str, Any], value: bytes | None = None) -> None:
        """Send events and return when Kafka has them."""
        for row in rows:
            dataset = dataset_of(row)
            assert dataset.topic is not None
            self._producer.produce(dataset.name, value or self.encoded(row), key=record_key(dataset.topic, row))
        assert self._producer.flush(30) == 0


def dataset_of(row: Mapping[str, Any]) -> Dataset:
    return TRADES if "trade_id" in row else QUOTES


@pytest.fixture(scope="session")
def events(platform: Any) -> Events:
    return Events(platform)


@dataclass
class Process:
    """A service run by hand; the port that its health is on is the platform's own."""

    name: str
    start: Callable[[], None]
    kill: Callable[[], None]
    health: Callable[[], dict[str, Any]]


@contextmanager
def running(platform: Any, wait_until: Any, name: str, log: Path, **changes: Any) -> Iterator[Process]:
    """Run `tapehouse serve NAME` with changed settings; killed with all its children at the end."""
    settings = platform.settings.model_copy(update=changes)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TAPEHOUSE_")} | environment_of(settings)
    held: list[subprocess.Popen[bytes]] = []

    def kill(number: signal.Signals = signal.SIGKILL) -> None:
        if held:
            os.killpg(held[-1].pid, number)
            held.pop().wait(60)

    def start() -> None:
        with log.open("ab") as out:
            command = [str(PROGRAM), "serve", name]
            held.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out, start_new_session=True))

        def healthy() -> bool:
            assert held[-1].poll() is None, log.read_text()[-3000:]
            return platform.get(name)["status"] in ("starting", "ok")

        wait_until(healthy, f"{name} is healthy", 240)

    try:
        yield Process(name, start, kill, lambda: platform.get(name))
    finally:
        kill()


def alerts_in_topic(platform: Any, pattern: str = "") -> list[dict[str, Any]]:
    """Return the alerts that stand in the topic, of instruments that begin with `pattern`, in order."""
    decoder = RecordDecoder(platform.registry, MARKET_ALERTS)
    ends = broker.end_offsets(platform.broker, MARKET_ALERTS.name)
    records = broker.read_ranges(platform.broker, MARKET_ALERTS.name, {p: (0, end) for p, end in ends.items()})
    rows = [decoder.decode(record.value() or b"") for record in records]
    return [row for row in rows if row["instrument"].startswith(pattern)]


@pytest.fixture(scope="session")
def said(platform: Any) -> Callable[..., list[dict[str, Any]]]:
    """Tell which alerts stand in the topic."""
    return partial(alerts_in_topic, platform)


@pytest.fixture(scope="module")
def run(platform: Any, wait_until: Any, tmp_path_factory: Any) -> Callable[..., AbstractContextManager[Process]]:
    """Run a process by hand."""
    return lambda name, **changes: running(platform, wait_until, name, tmp_path_factory.mktemp(name) / "log", **changes)
