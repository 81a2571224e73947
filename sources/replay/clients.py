"""Who is connected to the replay server, what each is sent, and what goes wrong on the way."""

import asyncio
import contextlib
import itertools
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from aiohttp import WSMsgType, web

from sources.replay.faults import Fault, Faults, Plan, corrupted
from sources.replay.protocol import Session

# A client that takes nothing for this long is treated as the venue would: disconnected.
SLOWEST_S = 120.0
# Below this the socket takes a payload without waiting, so nobody needs to watch the time.
_PROMPT_BYTES = 16 * 1024
# While a client is stalled others go on; so much is kept for it, then the clock waits.
_MOST_STALLED = 100_000


class _Entry(NamedTuple):
    payload: bytes
    stream: str | None
    plan: Plan | None


_CUT = _Entry(b"", None, None)  # what stands before it is in the snapshot


@dataclass(eq=False)
class Client:
    """One connection. What is sent to it comes in order; a slow one slows the clock and loses nothing."""

    number: int
    endpoint: str
    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    session: Session
    sent: int = 0
    # When something was last sent, by time.monotonic().
    sent_at: float = field(default_factory=time.monotonic)
    # What waits for the snapshot that a subscription begins with, by stream.
    opening: dict[str, deque[_Entry]] = field(default_factory=dict)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    _stalled_until: float = 0.0
    _stall: asyncio.Task[None] | None = None
    _kept: deque[bytes] = field(default_factory=deque)
    _reordered: dict[Fault, list[bytes]] = field(default_factory=dict)

    @property
    def stalled(self) -> bool:
        """Whether nothing at all reaches the client for now."""
        return self._stall is not None

    def wait(self, stream: str) -> None:
        """Hold back what is played of a stream until opened()."""
        self.opening[stream] = deque()

    def cut_off(self, stream: str) -> None:
        """Note that what waits so far is in the snapshot, if there is to be one."""
        self.opening[stream].append(_CUT)

    async def hand(self, payload: bytes, stream: str | None, plan: Plan | None) -> bool:
        """Give the client a payload of a stream, as far as nothing is to go wrong with it; False when it got none."""
        if stream is not None and (waiting := self.opening.get(stream)) is not None:
            waiting.append(_Entry(payload, stream, plan))
            return True
        return await self._deliver(payload, stream, plan)

    async def _deliver(self, payload: bytes, stream: str | None, plan: Plan | None) -> bool:
        data = self.session.fit(payload, stream)
        if plan is None:
            return await self.send(data)
        if plan.dropped:
            return False
        if plan.corrupted is not None:
            data = corrupted(data, plan.corrupted)
        if plan.held is not None:
            self._reordered.setdefault(plan.held, []).extend([data] * plan.times)
            return True
        return all([await self.send(data) for _ in range(plan.times)])

    async def release(self, fault: Fault) -> None:
        """Send what was held back, the last first."""
        for data in reversed(self._reordered.pop(fault, [])):
            await self.send(data)

    async def opened(self, stream: str, first: bytes | None) -> None:
        """Send what the subscription begins with, and then what was played of the stream meanwhile."""
        waiting = self.opening[stream]
        if first is not None:
            await self._deliver(first, stream, None)
            while _CUT in waiting and waiting.popleft() is not _CUT:
                pass
        while waiting:
            entry = waiting.popleft()
            if entry is _CUT:
                continue
            await self._deliver(*entry)
            if entry.plan is not None and entry.plan.released is not None:
                await self.release(entry.plan.released)
        del self.opening[stream]

    async def send(self, payload: bytes) -> bool:
        """Send one text frame; False when the client is gone."""
        if self.gone.is_set():
            return False
        if self._stall is not None:
            self._kept.append(payload)
            if len(self._kept) >= _MOST_STALLED:
                await asyncio.wait([self._stall])
            return True
        return await self._write(payload)

    async def _write(self, payload: bytes) -> bool:
        try:
            # Bytes as they are: a venue's text frame may hold what is no UTF-8, and so may ours.
            if self.transport is not None and self.transport.get_write_buffer_size() < _PROMPT_BYTES:
                await self.socket.send_frame(payload, WSMsgType.TEXT)
            else:
                async with asyncio.timeout(SLOWEST_S):
                    await self.socket.send_frame(payload, WSMsgType.TEXT)
        except (ConnectionError, RuntimeError, TimeoutError):
            self.cut()
            return False
        self.sent += 1
        self.sent_at = time.monotonic()
        return True

    def stall(self, seconds: float) -> None:
        """Let nothing through for so long; what is sent meanwhile comes afterwards, as out of a network's buffers."""
        self._stalled_until = max(self._stalled_until, time.monotonic() + seconds)
        if self._stall is None:
            self._stall = asyncio.create_task(self._hold())

    async def _hold(self) -> None:
        while (left := self._stalled_until - time.monotonic()) > 0 and not self.gone.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.gone.wait(), left)
        while self._kept and not self.gone.is_set():
            await self._write(self._kept.popleft())
        self._kept.clear()
        self._stall = None

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
        self.faults = Faults()
        self.changed = asyncio.Event()

    def enter(
        self, endpoint: str, socket: web.WebSocketResponse, transport: asyncio.Transport | None, session: Session
    ) -> Client:
        """Add a client."""
        client = Client(next(self._numbers), endpoint, socket, transport, session)
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

    async def broadcast(self, endpoint: str, stream: str | None, payload: bytes) -> int:
        """Send a payload to whoever subscribed to its stream, to everybody when it names none; return how many.

        A payload that a fault drops reaches nobody.
        """
        plan = self.faults.plan(endpoint, stream)
        reached = 0
        for client in tuple(self._clients.get(endpoint, ())):
            if stream is None or stream in client.session.streams:
                reached += await client.hand(payload, stream, plan)
        if plan is not None:
            if plan.released is not None:
                await self.release(plan.released)
            for fault in plan.afterwards:
                self.happen(fault)
        return reached

    async def release(self, fault: Fault) -> None:
        """Send what a fault holds back."""
        for client in self.clients(fault.endpoint):
            await client.release(fault)

    async def add(self, fault: Fault) -> None:
        """Take a fault; what needs no payload happens now."""
        if self.faults.add(fault) is not None:
            self.happen(fault)

    def happen(self, fault: Fault) -> None:
        """Cut or stall the clients that the fault concerns."""
        for client in self.clients(fault.endpoint):
            if fault.stream is not None and fault.stream not in client.session.streams:
                continue
            fault.happened += 1
            if fault.kind == "stall":
                client.stall(fault.seconds if fault.seconds is not None else 1.0)
            else:
                client.cut()

    def unheard(self, streams: dict[str, set[str]]) -> list[str]:
        """Return the streams, as venue/endpoint/stream, that nobody is subscribed to."""
        heard = {f"{client.endpoint}/{stream}" for client in self.clients() for stream in client.session.streams}
        return sorted({f"{endpoint}/{stream}" for endpoint, names in streams.items() for stream in names} - heard)
