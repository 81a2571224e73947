"""What the collector must know of any venue: where its feeds are, how one talks to them, how they are parsed."""

import decimal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sources.events import Event

if TYPE_CHECKING:
    from sources.connection import Open


@dataclass(frozen=True)
class Endpoint:
    """One feed of a venue, with the REST side that belongs to it, and what to ask of it.

    `base_url` and `rest_url` are the venue's own in production, the replay server's on one machine; nothing else
    differs. `streams` are names in the venue's words: `btcusdt@trade`, or channel and symbol as in `trade:XBT/USD`.
    More than `streams_per_connection` share several connections.
    """

    venue: str
    name: str
    base_url: str
    rest_url: str
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
    # What REST requests together may cost a minute, in the venue's own weights; half of what it allows is polite.
    rest_weight_a_minute: float = 600.0
    rest_timeout_s: float = 10.0
    # For what the venue gives to its customers alone; without one that is not asked for.
    rest_key: str = field(default="", repr=False)

    def connections(self) -> tuple[tuple[str, ...], ...]:
        """Share the streams out over connections."""
        size = self.streams_per_connection
        return tuple(self.streams[i : i + size] for i in range(0, len(self.streams), size))


@dataclass(frozen=True)
class Reply:
    """What the venue says to a subscription: these streams are sent from now on, or refused with `error`."""

    streams: frozenset[str]
    error: str = ""


class Dialect(Protocol):
    """How one speaks to a feed. Pure: text in, text out; the connection does the talking."""

    def url(self, endpoint: Endpoint) -> str:
        """Return the address to connect to."""

    def subscribe(self, streams: tuple[str, ...], request: int) -> list[str]:
        """Return the messages that ask for the streams; `request` numbers the first, they may count on from it."""

    def unsubscribe(self, streams: tuple[str, ...], request: int) -> list[str]:
        """Return the messages that end the streams."""

    def reply(self, payload: bytes, asked: Mapping[int, tuple[str, ...]]) -> Reply | None:
        """Read a payload as an answer to subscriptions, or return None when it is none.

        `asked` holds by request number the streams of subscribe(); venues whose answers name the streams ignore it.
        """

    def stream_of(self, payload: bytes) -> str | None:
        """Name the stream on which the venue sends the payload; None when the payload does not tell."""

    def stream(self, dataset: str, instrument: str) -> str:
        """Name the stream of an instrument's market.trades, market.quotes or market.books."""


@dataclass(frozen=True)
class Request:
    """A REST request: path with query (what the tape keeps beside the answer), and its weight in the venue's limit."""

    target: str
    weight: float = 1.0


@dataclass(frozen=True)
class Missing:
    """Trades to ask for: ids where the series has them (inclusive), else times in microseconds (inclusive)."""

    instrument: str
    id_space: str
    first_id: int | None
    last_id: int | None
    from_time: int
    to_time: int


class Rest(Protocol):
    """What can be asked of the REST side of a feed. Pure; answers are parsed by the venue's parser like any payload.

    Where a venue does not offer something, the method returns None.
    """

    def trades(self, missing: Missing) -> Request | None:
        """Ask for the first page of what is missing that the venue can give; any order is fine."""

    def book(self, instrument: str) -> Request | None:
        """Ask for a snapshot of the book that the feed's deltas follow on."""

    def bars(self, instrument: str, from_time: int, to_time: int) -> Request | None:
        """Ask for one-minute bars between two times (microseconds, inclusive), the first page of them."""

    def instruments(self, instruments: tuple[str, ...]) -> Request:
        """Ask for reference data, of these instruments where the venue allows to choose, else of all."""

    def time(self) -> Request:
        """Ask for the venue's clock."""

    def server_time(self, payload: bytes) -> int:
        """Read the answer to time(): microseconds since the epoch; ValueError when it is none."""


class Parser(Protocol):
    """Payload to events. Pure: never raises, returns at least one event, the same ones every time.

    Collector, rebuild and audit all rely on that. `request` is what a REST answer answers, empty for a feed's own.
    """

    def __call__(self, endpoint: str, payload: bytes, request: str = "") -> list[Event]: ...


Levels = Sequence[tuple[decimal.Decimal, decimal.Decimal]]
"""Price and quantity, best first, digits as the venue sent them."""

Checksum = Callable[[Levels, Levels], int]
"""Compute a venue's checksum from the best asks and bids, at least ten of each where there are so many."""


@dataclass(frozen=True)
class Venue:
    """A venue: its name on topics and rows, its feeds, and by feed how one speaks to it; one parser for all.

    `counted` holds the id spaces whose trade ids count without holes, so that a missing one shows.
    """

    name: str
    endpoints: tuple[Endpoint, ...]
    dialects: Mapping[str, Dialect]
    rests: Mapping[str, Rest]
    parse: Parser
    counted: frozenset[str]
    checksum: Checksum | None = None
    # Reads the number that the venue gives each message of a connection, where it does.
    message_sequence: Callable[[bytes], int | None] | None = None
    # What can be asked with a key in this header, by feed.
    keyed_rests: Mapping[str, Rest] = field(default_factory=dict)
    key_header: str = ""
    # Makes the feed of a venue that has no WebSocket here.
    open: "Open | None" = None

    def rest(self, endpoint: Endpoint) -> Rest:
        """Return what can be asked of an endpoint's REST side, with its key if it has one."""
        plain = self.rests[endpoint.name]
        return self.keyed_rests.get(endpoint.name, plain) if endpoint.rest_key else plain

    def endpoint(self, name: str) -> Endpoint:
        """Return the endpoint of that name; KeyError when there is none."""
        return {endpoint.name: endpoint for endpoint in self.endpoints}[name]
