"""Speak ClickHouse's HTTP protocol: one request, one statement, one answer."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from deploy.warehouse_server.body import MEMORY_BYTES, ClientGoneError
from deploy.warehouse_server.engine import Call, Engine, Outcome
from deploy.warehouse_server.failures import QueryError, from_engine
from deploy.warehouse_server.reply import Encoder, Reply, summary
from deploy.warehouse_server.request import Ask, check_password, query_id, read_ask
from deploy.warehouse_server.sessions import Sessions

log = logging.getLogger("tapehouse.warehouse")

_PIPE_BYTES = 1 << 20
# So much of an answer is held back before the status goes out: an early failure then gets its own status.
_HOLD_BYTES = 1 << 20
_F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)


class Warehouse:
    """The ASGI application over one engine."""

    def __init__(
        self,
        engine: Engine,
        password: str | None = None,
        most_queries: int = 16,
        queue_seconds: float = 60.0,
        most_body_bytes: int = 4 << 30,
    ) -> None:
        self._engine = engine
        self._password = password
        self._sessions = Sessions(engine)
        self._slots = asyncio.Semaphore(most_queries)
        self._most_queries = most_queries
        self._queue_seconds = queue_seconds
        self._most_body_bytes = most_body_bytes
        self._workers = ThreadPoolExecutor(most_queries, thread_name_prefix="query")

    def close(self, seconds: float = 10.0) -> bool:
        """Stop the workers and forget the sessions; False if a query would not end. The engine stays the caller's."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        end = time.monotonic() + seconds
        while self._engine.busy and time.monotonic() < end:
            self._engine.cancel_all()
            time.sleep(0.05)
        self._sessions.close()
        return not self._engine.busy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        encoder = Encoder(
            request.headers.get("accept-encoding", ""),
            request.query_params.get("enable_http_compression", "1") not in ("0", "false"),
        )
        asked = query_id(request)
        reply = Reply(send, asked, encoder)
        try:
            await self._answer(request, reply, asked)
        except ClientGoneError:
            return
        except QueryError as error:
            log.error("query %s failed: code %d %s", asked, error.code, error.name)
            if not reply.started:
                await reply.failure(error, self._engine.version)
        except Exception as error:
            # Whatever it was, the client gets an answer in ClickHouse's form and the others go on.
            log.exception("query %s broke the server's own code: %s", asked, type(error).__name__)
            if reply.started:
                raise
            await reply.failure(from_engine(error), self._engine.version)

    async def _answer(self, request: Request, reply: Reply, asked: str) -> None:
        # Not request.url: that is put together with whatever the header Host says.
        path = request.scope["path"]
        if path in ("/ping", "/replicas_status") and request.method in ("GET", "HEAD"):
            await reply.whole(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
            return
        if path != "/" or request.method not in ("GET", "HEAD", "POST"):
            text = f"There is no handle {request.method} {path}; use / with GET or POST, or /ping\n"
            await reply.whole(404, text.encode(), {"Content-Type": "text/plain; charset=UTF-8"})
            return
        if request.method in ("GET", "HEAD") and not request.query_params.get("query"):
            await reply.whole(200, b"Ok.\n", {"Content-Type": "text/html; charset=UTF-8"})
            return
        check_password(request, self._password)
        ask = await read_ask(request, self._engine.spool_dir, self._most_body_bytes)
        try:
            async with self._slot(), self._connection(ask) as connection:
                await self._run(ask, request, reply, connection, asked)
        finally:
            ask.data.close()

    @contextlib.asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._slots.acquire()
        except TimeoutError:
            raise QueryError(
                202,
                "TOO_MANY_SIMULTANEOUS_QUERIES",
                f"{self._most_queries} queries are running and none ended within {self._queue_seconds:g} s; try again",
            ) from None
        try:
            yield
        finally:
            self._slots.release()

    def _connection(self, ask: Ask) -> contextlib.AbstractAsyncContextManager[Any]:
        return self._sessions.connection(
            ask.options.get("session_id") or None,
            lifetime=ask.session_timeout,
            must_exist=ask.option("session_check"),
            keeps_state=ask.statement.keeps_state,
            settings=ask.settings,
        )

    async def _run(self, ask: Ask, request: Request, reply: Reply, connection: Any, asked: str) -> None:
        call = Call(
            statement=ask.statement,
            query_id=asked,
            format=ask.format,
            settings=ask.settings,
            parameters=ask.parameters,
            database=ask.options.get("database") or None,
            tables=ask.tables,
        )
        loop = asyncio.get_running_loop()
        if ask.statement.kind == "read":
            await self._read(call, ask, request, reply, connection)
            return
        if ask.statement.kind == "insert":
            work = loop.run_in_executor(self._workers, self._engine.insert, call, ask.data, connection)
        else:
            work = loop.run_in_executor(self._workers, self._engine.execute, call, connection)
        # Writing goes on when the client hangs up: it may be past the point of return.
        outcome = await _finish(work)
        headers = {"X-ClickHouse-Summary": summary(outcome)}
        if outcome.body or ask.statement.answers:
            headers |= _format_headers(ask.format)
        await reply.whole(200, outcome.body, headers)

    async def _read(self, call: Call, ask: Ask, request: Request, reply: Reply, connection: Any) -> None:
        source, sink = os.pipe()
        with contextlib.suppress(OSError):
            fcntl.fcntl(source, _F_SETPIPE_SZ, _PIPE_BYTES)

        def work() -> Outcome:
            try:
                return self._engine.read(call, sink, connection)
            finally:
                os.close(sink)

        running = asyncio.get_running_loop().run_in_executor(self._workers, work)
        sending = asyncio.create_task(self._send_read(call, source, running, ask, reply))
        gone = asyncio.create_task(_hang_up(request))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                raise ClientGoneError
            sending.result()
        finally:
            gone.cancel()
            sending.cancel()
            await asyncio.wait({sending, gone})
            await self._stop(call, running)

    async def _send_read(
        self, call: Call, source: int, running: asyncio.Future[Outcome], ask: Ask, reply: Reply
    ) -> None:
        with contextlib.closing(_Pipe(source)) as reader:
            wait = ask.option("wait_end_of_query")
            with tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES, dir=str(self._engine.spool_dir)) as held:
                ended = False
                while not ended and (wait or held.tell() < _HOLD_BYTES):
                    piece = await reader.read(_PIPE_BYTES)
                    held.write(piece)
                    ended = not piece
                size = held.tell()
                held.seek(0)
                headers = _format_headers(ask.format)
                if ended:
                    # A failure is raised here, before any status went out.
                    outcome = await asyncio.shield(running)
                    headers["X-ClickHouse-Summary"] = summary(outcome)
                    if size <= _HOLD_BYTES:
                        await reply.whole(200, held.read(), headers)
                        return

                async def pieces() -> AsyncIterator[bytes]:
                    while piece := held.read(_PIPE_BYTES):
                        yield piece
                    while not ended and (piece := await reader.read(_PIPE_BYTES)):
                        yield piece
                    if not ended:
                        await asyncio.wait({running})

                def failed() -> QueryError | None:
                    error = running.exception()
                    if error is not None:
                        failure = from_engine(error)
                        log.error("query %s failed midway: code %d %s", call.query_id, failure.code, failure.name)
                        return failure
                    return None

                await reply.stream(pieces(), headers, failed)

    async def _stop(self, call: Call, running: asyncio.Future[Outcome]) -> None:
        """Wait for a read to end; cancel it as long as it does not."""
        while not running.done():
            # Repeated, because a query that is still being parsed cannot be found yet.
            await asyncio.to_thread(self._engine.cancel, call)
            await asyncio.wait({running}, timeout=0.2)
        running.exception()


async def _finish(work: asyncio.Future[Outcome]) -> Outcome:
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait({work})
        raise


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Pipe:
    """Read a pipe without blocking the loop; owns the file descriptor."""

    def __init__(self, source: int) -> None:
        os.set_blocking(source, False)
        self._source = source

    async def read(self, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self._source, size)
            except BlockingIOError:
                readable = loop.create_future()
                loop.add_reader(self._source, _wake, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(self._source)

    def close(self) -> None:
        os.close(self._source)


def _wake(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _format_headers(name: str) -> dict[str, str]:
    kinds = {
        "JSON": "application/json",
        "CSV": "text/csv",
        "Tab": "text/tab-separated-values",
        "TSV": "text/tab-separated-values",
    }
    kind = next((kind for prefix, kind in kinds.items() if name.startswith(prefix)), "application/octet-stream")
    if kind != "application/octet-stream":
        kind += "; charset=UTF-8"
    return {"X-ClickHouse-Format": name, "Content-Type": kind}
