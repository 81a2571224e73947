"""The platform that a drill is held on: what the faults and the waiting ask of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2

from contracts.errors import RetryableError, TapehouseError, TerminalError
from contracts.ledger import LEDGER
from deploy import stack
from deploy.stack.progress import Progress
from orchestration.drill.plan import TRADES
from orchestration.drill.player import Player
from orchestration.launch import Server
from orchestration.settings import Settings
from orchestration.values import stack_settings
from quality.audit import sinks
from stores import broker
from stores.warehouse import Warehouse

# Asking often would itself be a load; a recovery is measured no finer.
POLL_S = 0.5
COLLECTOR = "collector-binance"
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { required healthy lastHeartbeatTime } } } }"


class CannotInjectError(TapehouseError):
    """The fault can't be brought about on this machine; the message says why."""


@dataclass(frozen=True)
class End:
    """How far Kafka holds what a sink is to store: by partition the offset after the last record."""

    sink: str
    topic_id: str
    offsets: Mapping[int, int]


@dataclass
class Site:
    """A running platform. `processes` are those that must be healthy; `player` plays its venue."""

    settings: Settings
    processes: set[str]
    player: Player
    progress: Progress = field(default_factory=Progress)

    @property
    def stack(self) -> stack.StackSettings:
        """Return the platform's own settings."""
        return stack_settings(self.settings)

    def get(self, service: str, path: str = "/health") -> dict[str, Any]:
        """Ask a service over HTTP."""
        return ask("GET", f"http://127.0.0.1:{self.settings.port(service)}{path}")

    def warehouse(self) -> Warehouse:
        """Open a connection to the warehouse."""
        return Warehouse(self.settings.warehouse)

    def pid(self, name: str) -> int | None:
        """Return a process's id, None when it does not run."""
        return next((one.pid for one in stack.status(self.stack).services if one.name == name), None)

    def healthy(self) -> bool:
        """Tell whether all processes are well, the streams deliver and the collector hears its venue."""
        report = {one.name: one for one in stack.status(self.stack).services}
        return (
            all(report[name].state == "healthy" for name in self.processes)
            and self.get("streams")["status"] == "ok"
            and self.get(COLLECTOR)["status"] == "running"
            and self.heard()
        )

    def heard(self) -> bool:
        """Tell whether somebody listens to the venue's trades."""
        return any(TRADES in connection["streams"] for connection in self.get("replay", "/status")["connections"])

    def ends(self) -> list["End"]:
        """Return how far Kafka holds each topic that is delivered somewhere."""
        settings = self.settings.broker
        delivered = sinks(self.settings.venues)
        admin, ends = broker.make_admin(settings), broker.ends_of(settings, list(delivered))
        return [
            End(sink, broker.topic_id(settings, topic, admin=admin), ends[topic]) for topic, sink in delivered.items()
        ]

    def stored(self, ends: Sequence["End"]) -> bool:
        """Tell whether the ledger has closed everything up to these ends."""
        found = self.warehouse().rows(
            f"SELECT sink, topic_id, kafka_partition, max(last_offset) + 1 FROM {LEDGER.table} GROUP BY ALL"
        )
        closed = {(sink, topic_id, partition): offset for sink, topic_id, partition, offset in found}
        return all(
            closed.get((end.sink, end.topic_id, partition), 0) >= offset
            for end in ends
            for partition, offset in end.offsets.items()
        )

    def gaps(self) -> int:
        """Count the gaps that the collector still tries to repair."""
        return int(self.get(COLLECTOR)["gaps"]["open"])

    def daemons_beat(self, since: float) -> bool:
        """Tell whether each of Dagster's daemons has given a sign of life since that time (seconds since 1970)."""
        with httpx2.Client(timeout=10, trust_env=False) as client:
            server = Server(client, f"http://127.0.0.1:{self.settings.port('dagster')}")
            states = server.ask(_DAEMONS, {})["instance"]["daemonHealth"]["allDaemonStatuses"]
        needed = [state for state in states if state["required"]]
        return bool(needed) and all(state["healthy"] and state["lastHeartbeatTime"] > since for state in needed)

    def wait(self, claim: Callable[[], bool], what: str, seconds: float) -> None:
        """Wait until a claim holds; what it asks may be away meanwhile. TerminalError when it never does."""
        end = time.monotonic() + seconds
        while not holds(claim):
            if time.monotonic() > end:
                raise TerminalError(f"not within {seconds:.0f} s: {what}")
            self.player.check()
            self.progress.waiting([what])
            time.sleep(POLL_S)

    def open_gaps(self) -> list[dict[str, str | int]]:
        """List the gaps that nothing has repaired."""
        found = self.warehouse().rows(
            "SELECT venue, instrument, id_space, kind, state, missing_count, detail FROM system_gaps_current "
            "WHERE state IN ('open', 'unfillable') ORDER BY gap_number"
        )
        names = ("venue", "instrument", "id_space", "kind", "state", "missing_count", "detail")
        return [dict(zip(names, row, strict=True)) for row in found]


def holds(claim: Callable[[], bool]) -> bool:
    """Tell whether a claim holds; it does not while what it asks is away."""
    with suppress(TapehouseError, OSError, KeyError):
        return claim()
    return False


def now() -> float:
    """Return the seconds since 1970."""
    return datetime.now(UTC).timestamp()


def ask(method: str, url: str, body: dict[str, object] | None = None) -> dict[str, Any]:
    """Ask a service of this machine; RetryableError when it does not answer well."""
    try:
        answer = httpx2.request(method, url, json=body, timeout=30.0, trust_env=False)
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        raise RetryableError(f"{url} does not answer: {error}") from error
    told: dict[str, Any] = answer.json()
    return told
