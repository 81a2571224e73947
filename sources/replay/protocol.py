"""What each venue's module must tell of its feeds, so that the replay server can stand in for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from sources.replay.book import Book
    from sources.replay.memory import Memory

BOOK, TRADES = "book", "trades"


class Level(NamedTuple):
    """One level of a book, every digit as the venue sent it; `time` where the venue gives each level one."""

    price: str
    quantity: str
    time: str = ""


class Update(NamedTuple):
    """A book, or changes to one, read from a payload. `last` is the venue's number of it, 0 where it has none.

    `about` is whatever else of the latest payload a snapshot made later must tell.
    """

    snapshot: bool
    bids: list[Level]
    asks: list[Level]
    last: int = 0
    about: Mapping[str, Any] = {}


class Trade(NamedTuple):
    """A trade as the REST side tells it: `entry` is the JSON of it.

    `number` is the venue's id, -1 where it has none; `time` is in nanoseconds.
    """

    number: int
    time: int
    entry: bytes


class Shelf(NamedTuple):
    """Where a payload is remembered: `kind` is BOOK or TRADES, `name` tells the instrument and feed."""

    kind: str
    name: str


@dataclass(frozen=True)
class Answered:
    """What is said to a client's message, and the streams that it subscribed to by it."""

    replies: list[bytes] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answer:
    """An answer of the REST side."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A REST request: path, and what is asked for by name; what is named several times comes in lines.

    `now` is the venue's clock, in microseconds.
    """

    path: str
    query: Mapping[str, str]
    now: int

    def number(self, name: str, default: int) -> int:
        """Return a whole number that was asked for; ValueError when it is none."""
        return int(self.query.get(name) or default)


class Session(Protocol):
    """One client's side of a feed's protocol: what it is subscribed to, and how it is spoken to."""

    combined: bool
    streams: dict[str, None]

    def greeting(self) -> list[bytes]:
        """Return what the venue says first."""

    def answer(self, request: bytes) -> Answered:
        """Act on a message of the client."""

    def fit(self, payload: bytes, stream: str | None) -> bytes:
        """Return the payload as this client gets it: byte for byte, but for what the venue makes for a connection."""

    def beat(self, now: float, quiet_since: float) -> list[bytes]:
        """Return the heartbeats that are due; both times are of the monotonic clock."""


class Feed(Protocol):
    """How one endpoint of a venue is played. Pure but for the sessions that it makes."""

    def session(self, memory: "Memory") -> Session:
        """Begin a conversation."""

    def is_answer(self, payload: bytes) -> bool:
        """Whether a recorded payload without a stream is what the venue said to one client, not to others."""

    def shelf(self, stream: str) -> Shelf | None:
        """Name where the stream's payloads are remembered, None for those that nobody can ask for again."""

    def shelf_of_answer(self, asked: Asked) -> Shelf | None:
        """Name where a recorded REST answer is remembered."""

    def depth(self, name: str) -> int:
        """Return how many levels a side the feed keeps, 0 for all."""

    def update(self, payload: bytes) -> list[Update]:
        """Read a payload of a book's shelf. KeyError, TypeError or ValueError when it is none."""

    def trades(self, payload: bytes) -> list[Trade]:
        """Read a payload of a trades' shelf. KeyError, TypeError or ValueError when it is none."""

    def first(self, stream: str, last: bytes) -> bytes | None:
        """Return what a subscription to a stream of trades begins with, from the last payload played of it."""

    def snapshot(self, stream: str, book: "Book") -> bytes | None:
        """Return what a subscription to a book begins with, None where the venue sends nothing."""

    def is_reference(self, path: str) -> bool:
        """Whether the path asks for instruments: their recorded answers tell nothing of the market's future."""

    def reference(self, asked: Asked, recorded: Mapping[str, bytes]) -> bytes | None:
        """Return the answer about instruments from recorded ones by path."""

    async def rest(self, asked: Asked, memory: "Memory") -> Answer | None:
        """Answer from what was played so far; None when the path is none that can be. ValueError for bad numbers."""

    def refusal(self, status: int, why: str) -> bytes:
        """Return the body with which the venue says no."""
