"""One connection to a venue's WebSocket: connect, subscribe, hear, and begin again when it breaks.

The collector and the recorder both stand on this; what becomes of a payload is the sink's business.
"""

import asyncio
import logging
import random
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from contracts.errors import RetryableError
from contracts.tape import MAX_PAYLOAD_BYTES
from sources.endpoints import Dialect, Endpoint
from sources.logs import say
from sources.tape_file import TapeRecord

_log = logging.getLogger(__name__)
_CLOSE_S = 2.0
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


@dataclass
class Heard:
    """What can be told of a connection from outside."""

    endpoint: str
    streams: int
    state: str = "starting"  # connecting, subscribing, live, waiting
    connection_id: str = ""
    messages: int = 0
    reconnects: int = 0
    last_error: str = ""
    last_message: float = field(default=0.0)  # time.monotonic(); 0: none yet


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
    ) -> None:
        self._endpoint = endpoint
        self._streams = streams
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
                    multiplier=self._endpoint.backoff_first_s, max=self._endpoint.backoff_longest_s
                ),
                before_sleep=self._note_wait,
                reraise=True,
            )(self._attempt)
            # It was healthy; a little jitter keeps the connections that one fault ended from returning as one.
            await asyncio.sleep(random.uniform(0, self._endpoint.backoff_first_s))  # noqa: S311

    def _note_wait(self, state: RetryCallState) -> None:
        self.heard.state = "waiting"
        pause = state.next_action.sleep if state.next_action else 0.0
        say(_log, "waits to reconnect", endpoint=self._endpoint.name, attempt=state.attempt_number, seconds=pause)

    async def _attempt(self) -> None:
        began = time.monotonic()
        self._number = self._received = 0
        if self.heard.connection_id:
            self.heard.reconnects += 1
        self.heard.connection_id = _connection_id(self._endpoint)
        self.heard.state = "connecting"
        try:
            socket = await self._connect()
            try:
                await self._converse(socket)
            finally:
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
            if time.monotonic() - began < self._endpoint.healthy_s:
                raise

    async def _connect(self) -> ClientWebSocketResponse[bool]:
        async with asyncio.timeout(self._endpoint.connect_s):
            return await self._session.ws_connect(
                self._dialect.url(self._endpoint),
                # Pings are a sign of life, so they are answered here, where they are seen.
                autoping=False,
                compress=0,
                max_msg_size=MAX_PAYLOAD_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_S),
                # Bytes as they came: text frames that are no UTF-8 belong on the tape too.
                decode_text=False,
            )

    async def _converse(self, socket: ClientWebSocketResponse[bool]) -> None:
        self._requests += 1
        request = self._requests
        self.heard.state = "subscribing"
        await socket.send_str(self._dialect.subscribe(self._streams, request))
        loop = asyncio.get_running_loop()
        patience_s, heartbeat_s = self._endpoint.confirm_s, self._endpoint.heartbeat_s
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
                        if not confirmed and self._confirms(message.data, request):
                            confirmed = True
                            patience_s = heartbeat_s
                            refreshed = 0.0
                            self.heard.state = "live"
                            say(_log, "subscribed", connection=self.heard.connection_id, streams=len(self._streams))
                    elif message.type is WSMsgType.PING:
                        await socket.pong(message.data)
                    elif message.type is not WSMsgType.PONG:
                        raise RetryableError(f"closed by the venue: {message.type.name} {message.data} {message.extra}")
                    now = loop.time()
                    if confirmed and now - refreshed > heartbeat_s / 16:
                        refreshed = now
                        patience.reschedule(now + heartbeat_s)
        except TimeoutError as error:
            what = "neither message nor ping" if confirmed else "no answer to the subscription"
            raise RetryableError(f"{what} for {patience_s:g} s") from error

    def _take(self, payload: bytes) -> None:
        self._number += 1
        self._received = max(self._received, time.time_ns() // 1000)
        self.heard.messages += 1
        self.heard.last_message = time.monotonic()
        self._sink.accept(
            TapeRecord(
                self._received,
                self._endpoint.venue,
                self._endpoint.name,
                self.heard.connection_id,
                self._number,
                payload,
            )
        )

    def _confirms(self, payload: bytes, request: int) -> bool:
        reply = self._dialect.reply(payload)
        if reply is None or reply.request != request:
            return False
        if reply.error:
            raise RetryableError(f"the venue refused the subscription: {reply.error[:200]}")
        return True


def _connection_id(endpoint: Endpoint) -> str:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return f"{endpoint.venue}-{endpoint.name}-{moment}-{secrets.token_hex(4)}"
