"""What was played so far, as a venue remembers it: trades, books, and answers of REST that were recorded.

Payloads are kept as they are and read when somebody asks: playing costs next to nothing.
"""

import asyncio
import contextlib
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from sources.replay.book import Book
from sources.replay.protocol import BOOK, TRADES, Asked, Feed, Shelf, Trade

_MOST_TRADES = 200_000
# So many payloads of a book wait unread; then they are read beside the play.
_MOST_WAITING = 20_000
# Less than this is read at once, more in a thread, so that the loop goes on.
_AT_ONCE_BYTES = 64 * 1024
_AT_ONCE_TRADES = 500
T = TypeVar("T")
_UNREADABLE = (KeyError, TypeError, ValueError, ArithmeticError)


class Series:
    """Trades by number, the least first: number, time in nanoseconds and REST's JSON of each at the same place.

    Three lists instead of one of tuples: what holds no other objects costs Python's garbage collection nothing.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.times: list[int] = []
        self.entries: list[bytes] = []
        self._unnumbered = 0

    def put(self, trade: Trade) -> None:
        """Take a trade; one without a number gets the next."""
        number, time, entry = trade
        if number < 0:
            self._unnumbered += 1
            number = self._unnumbered
        if not self.numbers or number > self.numbers[-1]:
            self.numbers.append(number)
            self.times.append(time)
            self.entries.append(entry)
            return
        place = bisect_left(self.numbers, number)
        if self.numbers[place] == number:
            # Another tape may use the numbers again; the later one is played now.
            self.times[place], self.entries[place] = time, entry
            return
        self.numbers.insert(place, number)
        self.times.insert(place, time)
        self.entries.insert(place, entry)

    def forget_before(self, most: int) -> None:
        """Keep the last so many."""
        if len(self.numbers) > most:
            for column in (self.numbers, self.times, self.entries):
                del column[:-most]


class TradeMemory:
    """The trades of one series."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._waiting: deque[bytes] = deque(maxlen=_MOST_TRADES)
        self._series = Series()
        self._lock = asyncio.Lock()
        self.last: bytes | None = None

    def keep(self, payload: bytes) -> None:
        """Remember a payload of the feed."""
        self.last = payload
        self._waiting.append(payload)

    def keep_page(self, payload: bytes) -> None:
        """Remember an answer of REST."""
        self._waiting.append(payload)

    async def known(self) -> Series:
        """Return the trades played until now."""
        async with self._lock:
            left = len(self._waiting)
            while left > 0:
                turn = min(left, _AT_ONCE_TRADES, len(self._waiting))
                for _ in range(turn):
                    for trade in self._read(self._waiting.popleft()):
                        self._series.put(trade)
                self._series.forget_before(_MOST_TRADES)
                left -= max(turn, 1)
                await asyncio.sleep(0)
            return self._series

    def _read(self, payload: bytes) -> list[Trade]:
        try:
            return self._feed.trades(payload)
        except _UNREADABLE:
            return []  # what can't be read was no trade; the venue has nothing to tell of it


class BookMemory:
    """The book of one feed and instrument."""

    def __init__(self, feed: Feed, name: str) -> None:
        self._feed = feed
        self._book = Book(feed.depth(name))
        self._waiting: list[bytes] = []
        self._lock = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    def keep(self, payload: bytes) -> None:
        """Remember a payload of the feed."""
        self.keep_page(payload)

    def keep_page(self, payload: bytes) -> None:
        """Remember an answer of REST."""
        self._waiting.append(payload)
        if len(self._waiting) >= _MOST_WAITING and self._reading is None:
            self._reading = asyncio.create_task(self._read_beside())

    async def _read_beside(self) -> None:
        try:
            async with self.now():
                pass
        finally:
            self._reading = None

    @contextlib.asynccontextmanager
    async def now(self, at_cut: Callable[[], None] = lambda: None) -> AsyncIterator[Book]:
        """Lend the book as of now. `at_cut` is called at the moment after which payloads are no longer in it."""
        async with self._lock:
            taken, self._waiting = self._waiting, []
            at_cut()
            if sum(map(len, taken)) < _AT_ONCE_BYTES:
                self._apply(taken)
            else:
                await to_the_end(lambda: self._apply(taken))
            yield self._book

    def _apply(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            try:
                updates = self._feed.update(payload)
                for update in updates:
                    self._book.apply(update)
            except _UNREADABLE:
                continue  # no update of a book


class Memory:
    """What a venue's REST side can tell, and what a subscription begins with. `references` are set by the server."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._shelves: dict[str, BookMemory | TradeMemory | None] = {}  # by stream
        self._named: dict[Shelf, BookMemory | TradeMemory] = {}
        self.answers: dict[str, bytes] = {}
        self.references: dict[str, bytes] = {}

    def forget(self) -> None:
        """Go back to the beginning: nothing was played yet."""
        self._shelves.clear()
        self._named.clear()
        self.answers.clear()

    def keep(self, stream: str, payload: bytes) -> None:
        """Remember a payload of a stream."""
        try:
            shelf = self._shelves[stream]
        except KeyError:
            place = self._feed.shelf(stream)
            shelf = self._shelves[stream] = None if place is None else self._made(place)
        if shelf is not None:
            shelf.keep(payload)

    def keep_answer(self, target: str, asked: Asked, payload: bytes) -> None:
        """Remember a recorded answer of REST, and what it tells of trades and books."""
        self.answers[target] = payload
        if self._feed.is_reference(asked.path):
            self.references[asked.path] = payload
        place = self._feed.shelf_of_answer(asked)
        if place is not None:
            self._made(place).keep_page(payload)

    def _made(self, place: Shelf) -> BookMemory | TradeMemory:
        if place not in self._named:
            self._named[place] = BookMemory(self._feed, place.name) if place.kind == BOOK else TradeMemory(self._feed)
        return self._named[place]

    def last(self, name: str) -> bytes | None:
        """Return the last payload that told of trades of a series."""
        shelf = self._named.get(Shelf(TRADES, name))
        return shelf.last if isinstance(shelf, TradeMemory) else None

    async def trades(self, name: str) -> Series | None:
        """Return the trades of a series; None when none was played."""
        shelf = self._named.get(Shelf(TRADES, name))
        return await shelf.known() if isinstance(shelf, TradeMemory) else None

    @contextlib.asynccontextmanager
    async def book(self, name: str, at_cut: Callable[[], None] = lambda: None) -> AsyncIterator[Book | None]:
        """Lend a book as of now; None when no snapshot of it was played."""
        shelf = self._named.get(Shelf(BOOK, name))
        if not isinstance(shelf, BookMemory):
            at_cut()
            yield None
            return
        async with shelf.now(at_cut) as book:
            yield book if book.known else None

    async def opening(self, stream: str, at_cut: Callable[[], None]) -> bytes | None:
        """Return what a subscription to the stream begins with: a snapshot of its book, its last trade, or nothing."""
        place = self._feed.shelf(stream)
        if place is None:
            return None
        if place.kind != BOOK:
            last = self.last(place.name)
            return None if last is None else self._feed.first(stream, last)
        async with self.book(place.name, at_cut) as book:
            return None if book is None else await to_the_end(lambda: self._feed.snapshot(stream, book))


async def to_the_end(work: Callable[[], T]) -> T:
    """Run in a thread. Whoever is cancelled meanwhile waits for the end: nobody else may touch what it works on."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await asyncio.wait([running])
        raise
