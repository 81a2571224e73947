"""Polls a venue, stream by stream, and hands what is new to the tape."""

import asyncio
import importlib
import json
import logging
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from contracts.errors import RetryableError, TapehouseError, TerminalError
from contracts.tape import MAX_PAYLOAD_BYTES
from sources.connection import Heard, Sink
from sources.endpoints import Endpoint
from sources.generic.client import CCXT, Client, LimitedError, QuestionError
from sources.generic.config import INSTRUMENTS, Manners
from sources.generic.cursor import Cursor
from sources.generic.parse import UNREAD
from sources.generic.question import Question, of_stream
from sources.logs import say
from sources.tape_file import TapeRecord

_log = logging.getLogger(__name__)
# Markets with all that the venue says of them have some 3 kB each.
_MARKETS_A_RECORD = 500
# How a page is asked for, tried in this order until the venue takes one: whether from a time on, and how long.
_WAYS: tuple[tuple[bool, int | None], ...] = ((True, 1000), (True, 500), (True, 100), (True, None), (False, None))


@dataclass
class _Track:
    """A stream: where it stands, when its turn comes, and how the venue lets itself be asked."""

    stream: str
    question: Question
    cursor: Cursor
    due: float = 0.0
    errors: int = 0
    way: int = 0
    # The venue took this way once, so that an error is no refusal of it.
    proven: bool = False

    def ask(self, now: int) -> Question:
        if self.question.kind == INSTRUMENTS:
            return self.question
        by_time, limit = _WAYS[self.way]
        return replace(self.question, since=self.cursor.since(now) if by_time else None, limit=limit)


class RestingError(RetryableError):
    """The venue failed too often and is left alone for `pause_s`."""

    def __init__(self, message: str, pause_s: float) -> None:
        super().__init__(message)
        self.pause_s = pause_s


@dataclass
class Polled:
    """What can be told of the polling besides what is heard."""

    answers: int = 0
    repeated: int = 0  # entries that were on the tape already
    apart: int = 0  # pages that did not reach back to the one before: something may be missing
    stuck: int = 0  # more at one time than the venue gives: something is missing
    unread: int = 0  # answers that ccxt could not read
    errors: dict[str, int] = field(default_factory=dict)


class Poller:
    """Poll an endpoint's streams until cancelled, one request at a time, whichever is due longest first.

    Tape first: what ccxt made of an answer is written down as it is, in JSON, before anything is made of it here: a
    list of its unified structures, each with `info`, what the venue sent. So it is the venue's answer as ccxt reads
    it: ccxt's field names, times in milliseconds, now and then a value of its own in `info`; but the numbers' digits
    are the venue's. What an earlier answer of
    this run brought word for word is left out and counted (`repeated`), or venues that know no `since` would fill the
    tape. An answer that ccxt can't read goes on the tape as it came, and to quarantine from there.

    Delivered at least once: a restart asks for the newest page again. What was traded while nobody polled, beyond
    that page, is missing. So is what a venue without `since` pushed out of its page between two polls: then two
    pages have nothing in common, and `apart` says so, on the tape too.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        streams: tuple[str, ...],
        sink: Sink,
        session: aiohttp.ClientSession,
        manners: Manners | None = None,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.endpoint = endpoint
        self.streams = streams
        self.heard = Heard(endpoint.name, len(streams))
        self.polled = Polled()
        self._sink = sink
        self._session = session
        self._manners = manners or Manners()
        self._now = now
        self._number = self._received = 0
        self._tracks = [
            _Track(stream, question, Cursor(question.kind))
            for stream, question in zip(streams, map(of_stream, streams), strict=True)
        ]
        self._breaker = AsyncCircuitBreakerFactory(
            default_threshold=self._manners.failures,
            default_ttl=self._manners.rest_s,
            exclude=[TerminalError, QuestionError, LimitedError],
        )

    async def run(self) -> None:
        """Poll until cancelled. TerminalError when the venue gives none of the streams."""
        self._number = self._received = 0
        self.heard.refused.clear()
        self.heard.state = "connecting"
        self.heard.connection_id = _connection_id(self.endpoint)
        # It takes a second, in which the other connections of the process go on.
        await asyncio.to_thread(importlib.import_module, CCXT)
        client = Client(self.endpoint, self._session, self._manners.ccxt)
        try:
            while True:
                if self._sink.full:
                    await self._sink.room()
                await self._poll(client, await self._next())
        finally:
            self.heard.state = "ended"
            await client.close()

    async def _next(self) -> _Track:
        tracks = [track for track in self._tracks if track.stream not in self.heard.refused]
        if not tracks:
            reasons = "; ".join(f"{stream}: {why}" for stream, why in list(self.heard.refused.items())[:5])
            raise TerminalError(f"{self.endpoint.venue} gives none of the streams asked for ({reasons})")
        track = min(tracks, key=lambda one: one.due)
        await asyncio.sleep(max(0.0, track.due - time.monotonic()))
        return track

    async def _poll(self, client: Client, track: _Track) -> None:
        question = track.ask(self._milliseconds())
        try:
            entries = await self._patiently(client, question)
        except TerminalError as error:
            self.heard.refused[track.stream] = str(error)[:200]
            say(_log, "stream refused", venue=self.endpoint.venue, stream=track.stream, why=error)
        except QuestionError as error:
            self._unanswered(track, question, error)
        else:
            track.errors = 0
            track.proven = track.proven or question.since is not None or not _WAYS[track.way][0]
            self.polled.answers += 1
            more = self._take(client, track, question, entries)
            track.due = time.monotonic() + (0.0 if more else self._manners.periods_s[track.question.kind])

    def _unanswered(self, track: _Track, question: Question, error: QuestionError) -> None:
        """Ask otherwise next time where there is another way, else wait longer each time."""
        self.heard.last_error = str(error)[:300]
        self._count(error)
        say(_log, "not answered", venue=self.endpoint.venue, stream=track.stream, why=error)
        if 0 < len(error.body) <= MAX_PAYLOAD_BYTES:
            self.polled.unread += 1
            self._accept(UNREAD + question.target, error.body)
        elif not track.proven and question.kind != INSTRUMENTS:
            track.way = (track.way + 1) % len(_WAYS)
            if track.way:
                track.due = time.monotonic()
                return
        longest = min(self.endpoint.backoff_first_s * 2 ** min(track.errors, 20), self._manners.longest_s)
        track.errors += 1
        period = min(self._manners.periods_s[question.kind], self._manners.longest_s)
        track.due = time.monotonic() + max(period, random.uniform(longest / 2, longest))  # noqa: S311

    async def _patiently(self, client: Client, question: Question) -> list[Any]:
        """Ask until the venue is well, with pauses that grow; raises what asking again would not help."""

        async def attempt() -> list[Any]:
            try:
                async with await self._breaker.get_breaker(self.endpoint.venue):
                    return await client.ask(question)
            except OpenedState as error:
                text = f"{self.endpoint.venue} failed {self._manners.failures} times in a row and is left alone"
                raise RestingError(text, self._manners.rest_s) from error

        entries: list[Any] = await AsyncRetrying(
            retry=retry_if_exception(lambda e: isinstance(e, RetryableError) and not isinstance(e, QuestionError)),
            wait=self._pause_s,
            before_sleep=self._note_wait,
            reraise=True,
        )(attempt)
        self.heard.state = "live"
        return entries

    def _pause_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        jittered = wait_random_exponential(self.endpoint.backoff_first_s, self.endpoint.backoff_longest_s)(state)
        # Whoever was told how long to wait comes a little later still, so that not all come back at once.
        asked_for = error.pause_s if isinstance(error, LimitedError | RestingError) else 0.0
        return asked_for * random.uniform(1.0, 1.1) if asked_for else jittered  # noqa: S311

    def _note_wait(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        self.heard.state = "waiting"
        self.heard.reconnects += 1
        self.heard.last_error = f"{error}"[:300]
        if isinstance(error, TapehouseError):
            self._count(error)
        say(_log, "waits to ask again", venue=self.endpoint.venue, seconds=pause, why=error)

    def _count(self, error: TapehouseError) -> None:
        name = type(error).__name__
        self.polled.errors[name] = self.polled.errors.get(name, 0) + 1

    def _take(self, client: Client, track: _Track, question: Question, page: list[Any]) -> bool:
        """Write down what is new; return whether another page waits."""
        if question.kind == INSTRUMENTS:
            parts = range(0, len(page), _MARKETS_A_RECORD) or range(1)
            for part, begin in enumerate(parts, 1):
                about = {"ccxt": client.version, "precision_mode": client.precision_mode}
                entries = page[begin : begin + _MARKETS_A_RECORD]
                self._accept(f"{INSTRUMENTS}?part={part}&parts={len(parts)}", _json({**about, "entries": entries}))
            return False
        taken = track.cursor.take(page, question.since, self._milliseconds())
        self.polled.repeated += taken.repeated
        self.polled.apart += taken.apart
        self.polled.stuck += taken.stuck
        if taken.apart or taken.stuck:
            what = "pages have nothing in common" if taken.apart else "more at one time than a page holds"
            say(_log, "something may be missing", venue=self.endpoint.venue, stream=track.stream, why=what)
        about = {"ccxt": client.version, "repeated": taken.repeated, "apart": taken.apart}
        self._accept(question.target, _json({**about, "entries": taken.entries}))
        return taken.more

    def _accept(self, request: str, payload: bytes) -> None:
        self._number += 1
        self._received = max(self._received, self._now() // 1000)
        self.heard.messages += 1
        self.heard.last_message = time.monotonic()
        place = (self._received, self.endpoint.venue, self.endpoint.name, self.heard.connection_id, self._number)
        self._sink.accept(TapeRecord(*place, payload, request))

    def _milliseconds(self) -> int:
        return self._now() // 1_000_000


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str)
    except TypeError:  # whole numbers beyond 64 bits, or half a pair of surrogates
        return json.dumps(value, default=str).encode()


def _connection_id(endpoint: Endpoint) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{endpoint.venue}-{endpoint.name}-{moment}-{secrets.token_hex(4)}"
