"""Remember what a session set: SET, USE and temporary tables, by session_id, for session_timeout seconds.

A client that merely sends a session_id (clickhouse-connect makes one up by itself) costs nothing: a session gets a
connection of its own with the first statement that leaves something behind, until then each statement gets a fresh one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from deploy.warehouse_server.engine import Engine, quote
from deploy.warehouse_server.failures import QueryError

_LOCK_WAIT_SECONDS = 2.0
_MOST_SESSIONS = 1000


@dataclass(slots=True)
class _Session:
    connection: Any = None
    timeout: float = 60.0
    used: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sessions:
    """Hand out connections; a session's statements run one at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: dict[str, _Session] = {}

    @contextlib.asynccontextmanager
    async def connection(
        self,
        session_id: str | None,
        *,
        lifetime: float,
        must_exist: bool,
        keeps_state: bool,
        settings: Iterable[str],
    ) -> AsyncIterator[Any]:
        """Yield the session's connection, or a fresh one; settings named here are put back afterwards."""
        if session_id is None:
            async with _fresh(self._engine) as connection:
                yield connection
            return
        self.expire()
        session = self._sessions.get(session_id)
        if session is None:
            if must_exist:
                raise QueryError(372, "SESSION_NOT_FOUND", f"Session {session_id} not found; it may have timed out")
            session = self._sessions[session_id] = _Session()
        try:
            async with asyncio.timeout(_LOCK_WAIT_SECONDS):
                await session.lock.acquire()
        except TimeoutError:
            raise QueryError(
                373,
                "SESSION_IS_LOCKED",
                f"Session {session_id} is locked by a concurrent client; use one session a thread",
            ) from None
        try:
            session.timeout, session.used = lifetime, time.monotonic()
            if keeps_state and session.connection is None:
                session.connection = await asyncio.to_thread(self._engine.connect)
            if session.connection is None:
                async with _fresh(self._engine) as connection:
                    yield connection
            else:
                before = await asyncio.to_thread(_remember, session.connection, list(settings))
                try:
                    yield session.connection
                finally:
                    await asyncio.to_thread(_put_back, session.connection, before)
        finally:
            session.used = time.monotonic()
            session.lock.release()

    def expire(self) -> None:
        """Close the sessions whose time is over, and the longest unused ones beyond the limit."""
        now = time.monotonic()
        idle = sorted((s.used, name) for name, s in self._sessions.items() if not s.lock.locked())
        surplus = len(self._sessions) - _MOST_SESSIONS
        for rank, (used, name) in enumerate(idle):
            if rank < surplus or now - used > self._sessions[name].timeout:
                session = self._sessions.pop(name)
                if session.connection is not None:
                    session.connection.close()

    def close(self) -> None:
        """Close every session."""
        for session in self._sessions.values():
            if session.connection is not None:
                session.connection.close()
        self._sessions.clear()


@contextlib.asynccontextmanager
async def _fresh(engine: Engine) -> AsyncIterator[Any]:
    connection = await asyncio.to_thread(engine.connect)
    try:
        yield connection
    finally:
        await asyncio.to_thread(connection.close)


def _remember(connection: Any, names: list[str]) -> list[str]:
    """Write down the SET clauses that undo setting these names."""
    if not names:
        return []
    listed = ", ".join(quote(name) for name in names)
    rows = connection.query(
        f"SELECT name, value, changed FROM system.settings WHERE name IN ({listed})", "JSONCompactEachRow"
    )
    found = [json.loads(line) for line in str(rows.data()).splitlines()]
    return [f"{name} = {quote(value) if changed else 'DEFAULT'}" for name, value, changed in found]


def _put_back(connection: Any, clauses: list[str]) -> None:
    for clause in clauses:
        # A readonly session refuses to be changed back; its own statements hold no more power for that.
        with contextlib.suppress(RuntimeError):
            connection.query(f"SET {clause}")
