"""Who is connected to the replay server, what each is sent, and the faults that tests ask for."""

import asyncio
import contextlib
import itertools
import time
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from sources.replay.binance import Subscriptions, fit

# A client that takes nothing for this long is treated as the venue would: disconnected.
SLOWEST_S = 120.0


@dataclass
class Faults:
    """What was asked to go wrong on an endpoint. Each is used up when it happens."""

    refuse: int = 0  # the next so many connections are refused
    drop_after: int | None = None  # after so many more payloads the connection is cut, without goodbye


@dataclass(eq=False)
class Client:
    """One connection. What is sent to it comes in order; a slow one slows the clock and loses nothing."""

    number: int
    endpoint: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    subscriptions: Subscriptions
    sent: int = 0
    stalled_until: float = 0.0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, payload: bytes) -> bool:
        """Send one text frame; False when the client is gone."""
        while (left := self.stalled_until - time.monotonic()) > 0 and not self.gone.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), left)
        if self.gone.is_set():
            return False
        try:
            # Bytes as they are: a venue's text frame may hold what is no UTF-8, and so may ours.
            async with asyncio.timeout(SLOWEST_S):
                await self.socket.send_frame(payload, WSMsgType.TEXT)
        except (ConnectionError, RuntimeError, TimeoutError):
            self.cut()
            return False
        self.sent += 1
        return True

    def cut(self) -> None:
        """End the connection without goodbye, as a broken network does."""
        self.gone.set()
        if self.transport is not None:
            self.transport.abort()


class Hall:
    """All clients by endpoint, written venue/endpoint."""

    def __init__(self) -> None:
        self._clients: dict[str, list[Client]] = {}
        self._numbers = itertools.count(1)
        self.faults: dict[str, Faults] = {}
        self.changed = asyncio.Event()

    def enter(
        self,
        endpoint: str,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
        subscriptions: Subscriptions,
    ) -> Client:
        """Add a client."""
        client = Client(next(self._numbers), endpoint, socket, transport, subscriptions)
        self._clients.setdefault(endpoint, []).append(client)
        self.changed.set()
        return client

    def leave(self, client: Client) -> None:
        """Remove a client."""
        client.gone.set()
        self._clients[client.endpoint].remove(client)
        self.changed.set()

    def clients(self, endpoint: str | None = None) -> list[Client]:
        """List the clients of an endpoint, or all."""
        if endpoint is not None:
            return list(self._clients.get(endpoint, ()))
        return [client for group in self._clients.values() for client in group]

    def faults_of(self, endpoint: str) -> Faults:
        """Return what is to go wrong on an endpoint."""
        return self.faults.setdefault(endpoint, Faults())

    async def broadcast(self, endpoint: str, stream: str | None, payload: bytes) -> int:
        """Send a payload to whoever subscribed to its stream, to everybody when it names none; return how many."""
        reached = 0
        for client in self.clients(endpoint):
            wanted = client.subscriptions
            if stream is not None and stream not in wanted.streams:
                continue
            reached += await client.send(fit(payload, stream, wanted.combined))
            faults = self.faults.get(endpoint)
            if faults is not None and faults.drop_after is not None:
                faults.drop_after -= 1
                if faults.drop_after <= 0:
                    faults.drop_after = None
                    client.cut()
        return reached

    def unheard(self, streams: dict[str, set[str]]) -> list[str]:
        """Return the streams, as venue/endpoint/stream, that nobody is subscribed to."""
        heard = {f"{client.endpoint}/{stream}" for client in self.clients() for stream in client.subscriptions.streams}
        return sorted({f"{endpoint}/{stream}" for endpoint, names in streams.items() for stream in names} - heard)
