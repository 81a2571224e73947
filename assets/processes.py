"""The supervised processes as assets see them: what they tell of themselves, and how to restart one."""

import json
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from contracts.errors import RetryableError, TerminalError

if TYPE_CHECKING:
    from deploy.stack import StackSettings

HEALTH_TIMEOUT_S = 3.0
LARGEST_ANSWER = 1_000_000


@dataclass(frozen=True)
class ProcessView:
    """One process at one moment; `health` is what it answers at /health, empty when it does not."""

    name: str
    state: str
    reason: str = ""
    uptime_s: int | None = None
    restarts: int = 0
    memory_bytes: int = 0
    health: Mapping[str, Any] = field(default_factory=dict)


class Processes(Protocol):
    """The processes that carry collector and streams."""

    def view(self, names: Collection[str]) -> dict[str, ProcessView]:
        """Look at processes; one that does not run is part of the answer, not an error."""

    def restart(self, name: str) -> None:
        """Restart a process and return when it is healthy again."""


@dataclass(frozen=True)
class LocalProcesses:
    """The processes of the platform on this machine, under its supervisor."""

    settings: "StackSettings"

    def view(self, names: Collection[str]) -> dict[str, ProcessView]:
        """Ask the supervisor and each process itself."""
        from deploy import stack

        reports = {one.name: one for one in stack.status(self.settings).services if one.name in names}
        return {
            name: ProcessView(
                name=name,
                state=one.state,
                reason=one.reason,
                uptime_s=one.uptime_seconds,
                restarts=one.restarts,
                memory_bytes=one.memory_bytes,
                health=_health(one.port) if one.pid and one.port else {},
            )
            for name, one in reports.items()
        }

    def restart(self, name: str) -> None:
        """Stop the process in good order, start it, wait until it is healthy."""
        from deploy import stack

        try:
            stack.stop_one(self.settings, name)
        except RetryableError as error:
            raise TerminalError(
                f"{name} cannot be restarted from here, since no supervisor of a local platform answers ({error}); "
                "where the platform runs elsewhere, restart it with what runs it there"
            ) from error
        stack.start_one(self.settings, name)


def _health(port: int) -> Mapping[str, Any]:
    """Return what the process says of itself, also when it says so with an error status."""
    # No proxy of the environment may stand between us and loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/health", timeout=HEALTH_TIMEOUT_S) as answer:
            body = answer.read(LARGEST_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            body = error.read(LARGEST_ANSWER)
    except (OSError, ValueError):
        return {}
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
