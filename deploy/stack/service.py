"""The description of one process of the local platform."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Check = Callable[[float], Mapping[str, Any]]
"""A health check: is given its timeout in seconds, returns what the service says of itself, raises Unhealthy."""

PREPARED = "prepared"
"""Stands in `Service.after` for: topics, schemas and tables are there."""


class UnhealthyError(Exception):
    """The service does not answer as it should; the message says how."""


def nothing() -> None:
    """Stand in where a service needs no files written before its start."""


@dataclass(frozen=True)
class Service:
    """One process: how it is started, when, what healthy means, and how it is stopped.

    `after` names what must be healthy before it starts (other services, or PREPARED). `write` writes its
    configuration and must be safe to repeat. `ports` are bound on loopback, the first is the one shown.
    `start_seconds` is long enough for a machine that is busy with something else; who dies is noticed before.
    """

    name: str
    command: tuple[str, ...]
    check: Check
    directory: Path
    ports: tuple[int, ...] = ()
    after: frozenset[str] = frozenset()
    write: Callable[[], None] = nothing
    start_seconds: float = 120.0
    stop_seconds: int = 15
    stop_group: bool = False
    needs: tuple[Path, ...] = ()
