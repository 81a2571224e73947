"""What the collector must know of any venue: where its feeds are, how one talks to them, how they are parsed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sources.events import Event


@dataclass(frozen=True)
class Endpoint:
    """One feed of a venue and what to ask of it.

    `base_url` is the venue's own in production, the replay server's on one machine; nothing else differs.
    `streams` are names in the venue's words; more than `streams_per_connection` share several connections.
    """

    venue: str
    name: str
    base_url: str
    streams: tuple[str, ...]
    streams_per_connection: int = 200
    # Neither message nor ping for this long: the connection is dead, whatever TCP says.
    heartbeat_s: float = 60.0
    connect_s: float = 10.0
    confirm_s: float = 10.0
    # Waiting before the n-th try in a row is random between 0 and min(first * 2^n, longest).
    backoff_first_s: float = 0.5
    backoff_longest_s: float = 30.0
    # A connection that lived this long was healthy: the next failure counts as the first.
    healthy_s: float = 30.0

    def connections(self) -> tuple[tuple[str, ...], ...]:
        """Share the streams out over connections."""
        size = self.streams_per_connection
        return tuple(self.streams[i : i + size] for i in range(0, len(self.streams), size))


@dataclass(frozen=True)
class Reply:
    """The venue's answer to the request with that number; `error` is empty when it agreed."""

    request: int
    error: str


class Dialect(Protocol):
    """How one speaks to a venue. Pure: text in, text out; the connection does the talking."""

    def url(self, endpoint: Endpoint) -> str:
        """Return the address to connect to."""

    def subscribe(self, streams: tuple[str, ...], request: int) -> str:
        """Return the message that asks for the streams, under that request number."""

    def reply(self, payload: bytes) -> Reply | None:
        """Read a payload as the answer to a request, or return None when it is none."""


@dataclass(frozen=True)
class Venue:
    """A venue: its name on topics and rows, its feeds, its dialect and its parser.

    `parse(endpoint, payload)` is pure, never raises and returns at least one event, the same ones every time:
    collector, rebuild and audit all rely on that.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    dialect: Dialect
    parse: Callable[[str, bytes], list[Event]]
