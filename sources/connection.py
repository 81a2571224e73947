"""One connection to a venue's WebSocket: connect, subscribe, hear, and begin again when it breaks.

The collector and the recorder both stand on this; what becomes of a payload is the sink's business.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType
from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from contracts.errors import RetryableError
from contracts.tape import MAX_PAYLOAD_BYTES
from sources.endpoints import Dialect, Endpoint
from sources.logs import say
from sources.tape_file import TapeRecord

_log = logging.getLogger(__name__)
_CLOSE_S = 2.0
# Venues close a connection on which too much is asked; Binance allows 5 messages a second.
_MESSAGES_A_SECOND = 4
_PAYLOADS = (WSMsgType.TEXT, WSMsgType.BINARY)


class Sink(Protocol):
    """Takes what a connection hears."""

    @property
    def full(self) -> bool:
        """Whether the connection should stop reading for now."""

    async def room(self) -> None:
        """Wait until another payload can be taken. Until then the socket is not read: the venue feels it."""

    def accept(self, record: TapeRecord) -> None:
        """Take a payload. From here on it is the sink's to keep."""


class Attendant(Protocol):
    """Is told when a connection begins and ceases to deliver."""

    def live(self, connection: "Connection") -> None:
        """The venue has answered: from now on everything of the connection's streams is heard."""

    def lost(self, connection: "Connection") -> None:
        """The connection was live and has ended: what the venue sends now is missed."""


@dataclass
class Heard:
    """What can be told of a connection from outside."""

    endpoint: str
    streams: int
    refused: dict[str, str] = field(default_factory=dict)  # streams that the venue does not give, and why
    state: str = "starting"  # connecting, subscribing, live, waiting
    connection_id: str = ""
    messages: int = 0
    reconnects: int = 0
    last_error: str = ""
    last_message: float = field(default=0.0)  # time.monotonic(); 0: none yet


class Feed(Protocol):
    """Brings payloads of an endpoint's streams to a sink until cancelled."""

    endpoint: Endpoint
    streams: tuple[str, ...]
    heard: Heard

    async def run(self) -> None:
        """Bring payloads; whatever breaks is tried again, with pauses that grow."""


Open = Callable[[Endpoint, tuple[str, ...], Sink, aiohttp.ClientSession], Feed]
"""Makes the feed of a venue that is no WebSocket."""


class Connection:
    """Keep one connection to an endpoint alive until cancelled.

    Every attempt has a connection id of its own, under which payloads are numbered from 1 without holes; times of
    receipt never step back within it. They are read when the payload is taken from the socket: under back-pressure
    that is later than it arrived.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        streams: tuple[str, ...],
        dialect: Dialect,
        sink: Sink,
        session: aiohttp.ClientSession,
        attendant: Attendant | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.streams = streams
        self._attendant = attendant
        self._socket: ClientWebSocketResponse[bool] | None = None
        self._asked: dict[int, tuple[str, ...]] = {}
        self._unanswered: set[str] = set()
        self._pace = AsyncLimiter(_MESSAGES_A_SECOND, 1.0)
        self._dialect = dialect
        self._sink = sink
        self._session = session
        self._requests = 0
        self._number = 0
        self._received = 0
        self.heard = Heard(endpoint.name, len(streams))

    async def run(self) -> None:
        """Connect and reconnect, with exponential backoff and full jitter, until cancelled."""
        retryable = (aiohttp.ClientError, OSError, TimeoutError, RetryableError)
        while True:
            await AsyncRetrying(
                retry=retry_if_exception_type(retryable),
                wait=wait_random_exponential(
                    multiplier=self.endpoint.backoff_first_s, max=self.endpoint.backoff_longest_s
                ),
                before_sleep=self._note_wait,
                reraise=True,
            )(self._attempt)
            # It was healthy; a little jitter keeps the connections that one fault ended from returning as one.
            await asyncio.sleep(random.uniform(0, self.endpoint.backoff_first_s))  # noqa: S311

    def _note_wait(self, state: RetryCallState) -> None:
        self.heard.state = "waiting"
        pause = state.next_action.sleep if state.next_action else 0.0
        say(_log, "waits to reconnect", endpoint=self.endpoint.name, attempt=state.attempt_number, seconds=pause)

    async def _attempt(self) -> None:
        began = time.monotonic()
        self._number = self._received = 0
        if self.heard.connection_id:
            self.heard.reconnects += 1
        self.heard.connection_id = _connection_id(self.endpoint)
        self.heard.state = "connecting"
        try:
            socket = await self._connect()
            try:
                await self._converse(socket)
            except asyncio.CancelledError:
                self.heard.state = "ended"  # we leave, the venue did not: nobody is told of a loss
                raise
            finally:
                self._socket = None
                if self.heard.state == "live" and self._attendant is not None:
                    self._attendant.lost(self)
                self.heard.state = "ended"
                await socket.close()
        except (aiohttp.ClientError, OSError, TimeoutError, RetryableError) as error:
            self.heard.last_error = f"{type(error).__name__}: {error}"[:300]
            say(
                _log,
                "connection ended",
                connection=self.heard.connection_id,
                messages=self._number,
                why=self.heard.last_error,
            )
            if time.monotonic() - began < self.endpoint.healthy_s:
                raise

    async def renew(self, streams: tuple[str, ...]) -> bool:
        """End streams and ask for them again, for what the venue sends first: a new snapshot. False when not live."""
        socket = self._socket
        if socket is None or self.heard.state != "live":
            return False
        try:
            await self._send(socket, self._dialect.unsubscribe(streams, self._next_requests(streams)))
            await self._send(socket, self._dialect.subscribe(streams, self._next_requests(streams)))
        except (aiohttp.ClientError, OSError, RuntimeError):
            return False  # it broke meanwhile; the new connection brings its own snapshots
        return True

    def _next_requests(self, streams: tuple[str, ...]) -> int:
        """Return the first of as many request numbers as the streams can need; answers to them name these streams."""
        first = self._requests + 1
        self._requests += len(streams) + 1
        self._asked.update(dict.fromkeys(range(first, self._requests + 1), streams))
        return first

    async def _send(self, socket: ClientWebSocketResponse[bool], messages: list[str]) -> None:
        for message in messages:
            await self._pace.acquire()
            await socket.send_str(message)

    async def _connect(self) -> ClientWebSocketResponse[bool]:
        async with asyncio.timeout(self.endpoint.connect_s):
            return await self._session.ws_connect(
                self._dialect.url(self.endpoint),
                # Pings are a sign of life, so they are answered here, where they are seen.
                autoping=False,
                compress=0,
                max_msg_size=MAX_PAYLOAD_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                # Bytes as they came: text frames that are no UTF-8 belong on the tape too.
                decode_text=False,
            )

    async def _converse(self, socket: ClientWebSocketResponse[bool]) -> None:
        self._asked.clear()
        self._unanswered = set(self.streams)
        self.heard.refused.clear()
        self.heard.state = "subscribing"
        await self._send(socket, self._dialect.subscribe(self.streams, self._next_requests(self.streams)))
        loop = asyncio.get_running_loop()
        patience_s, heartbeat_s = self.endpoint.confirm_s, self.endpoint.heartbeat_s
        confirmed = False
        refreshed = loop.time()
        try:
            async with asyncio.timeout(patience_s) as patience:
                while True:
                    if self._sink.full:
                        # Not listening is our doing; the venue's silence is counted from when we listen again.
                        patience.reschedule(None)
                        await self._sink.room()
                        patience.reschedule(loop.time() + patience_s)
                    message = await socket.receive()
                    if message.type in _PAYLOADS:
                        self._take(message.data)
                        if not confirmed and self._confirms(message.data):
                            confirmed = True
                            patience_s = heartbeat_s
                            refreshed = 0.0
                            self._live(socket)
                    elif message.type is WSMsgType.PING:
                        await socket.pong(message.data)
                    elif message.type is not WSMsgType.PONG:
                        raise RetryableError(f"closed by the venue: {message.type.name} {message.data} {message.extra}")
                    now = loop.time()
                    if confirmed and now - refreshed > heartbeat_s / 16:
                        refreshed = now
                        patience.reschedule(now + heartbeat_s)
        except TimeoutError as error:
            unanswered = f"no answer to the subscription of {', '.join(sorted(self._unanswered)[:5])}"
            what = "neither message nor ping" if confirmed else unanswered
            raise RetryableError(f"{what} for {patience_s:g} s") from error

    def _take(self, payload: bytes) -> None:
        self._number += 1
        self._received = max(self._received, time.time_ns() // 1000)
        self.heard.messages += 1
        self.heard.last_message = time.monotonic()
        self._sink.accept(
            TapeRecord(
                self._received,
                self.endpoint.venue,
                self.endpoint.name,
                self.heard.connection_id,
                self._number,
                payload,
            )
        )

    def _live(self, socket: ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        self.heard.state = "live"
        refused = self.heard.refused
        say(
            _log,
            "subscribed",
            connection=self.heard.connection_id,
            streams=len(self.streams) - len(refused),
            refused=dict(refused) or None,
        )
        if self._attendant is not None:
            self._attendant.live(self)

    def _confirms(self, payload: bytes) -> bool:
        """Read a payload as an answer; true once every stream is answered. A refused one does not harm the others."""
        reply = self._dialect.reply(payload, self._asked)
        if reply is None:
            return False
        answered = reply.streams & self._unanswered if reply.streams else set(self._unanswered)
        self._unanswered -= answered
        if reply.error:
            self.heard.refused.update(dict.fromkeys(sorted(answered), reply.error[:200]))
            if len(self.heard.refused) == len(self.streams):
                raise RetryableError(f"the venue refused the subscription: {reply.error[:200]}")
        return not self._unanswered


def _connection_id(endpoint: Endpoint) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{endpoint.venue}-{endpoint.name}-{moment}-{secrets.token_hex(4)}"
