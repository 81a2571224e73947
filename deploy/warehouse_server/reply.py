"""Send an answer: compressed as asked, with ClickHouse's headers, the error inside a broken stream."""

from __future__ import annotations

import asyncio
import json
import secrets
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import lz4.frame  # type: ignore[import-untyped]
import zstandard
from starlette.types import Send

from deploy.warehouse_server.engine import Outcome
from deploy.warehouse_server.failures import QueryError

SEND_TIMEOUT_SECONDS = 300.0
# Compressing less than this is quicker than handing it to a thread.
_INLINE_BYTES = 64 << 10


class Encoder:
    """Compress a body piece by piece; `name` is None when the client takes no encoding known here."""

    def __init__(self, accepted: str, enabled: bool) -> None:
        offered = {
            part.split(";")[0].strip().lower() for part in accepted.split(",") if ";q=0" not in part.replace(" ", "")
        }
        name = next((n for n in ("lz4", "zstd", "gzip", "deflate") if enabled and n in offered), None)
        self.name = name
        self._begun = False
        self._compressor: Any = None
        if name == "lz4":
            self._compressor = lz4.frame.LZ4FrameCompressor()
        elif name == "zstd":
            self._compressor = zstandard.ZstdCompressor(level=1).compressobj()
        elif name is not None:
            self._compressor = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | (16 if name == "gzip" else 0))

    async def feed(self, data: bytes, *, last: bool) -> bytes:
        """Compress one piece; off the event loop when it is large."""
        if self.name is None:
            return data
        if len(data) < _INLINE_BYTES:
            return self._feed(data, last)
        return await asyncio.to_thread(self._feed, data, last)

    def _feed(self, data: bytes, last: bool) -> bytes:
        out = b""
        if not self._begun and self.name == "lz4":
            out = bytes(self._compressor.begin())
        self._begun = True
        out += bytes(self._compressor.compress(data))
        return out + bytes(self._compressor.flush()) if last else out


class Reply:
    """Answer one request over ASGI."""

    def __init__(self, send: Send, query_id: str, encoder: Encoder) -> None:
        self._send = send
        self._encoder = encoder
        self._query_id = query_id
        self._tag = secrets.token_hex(8)
        self.started = False

    async def whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send a complete answer with its length."""
        if body:
            body = await self._encoder.feed(body, last=True)
        await self._start(status, {**headers, "Content-Length": str(len(body))}, encoded=bool(body))
        await self._push(body, more=False)

    async def stream(
        self, pieces: AsyncIterator[bytes], headers: dict[str, str], result: Callable[[], QueryError | None]
    ) -> None:
        """Send pieces as they come; a failure midway goes into the body, as ClickHouse does it since 25.11."""
        await self._start(200, {**headers, "X-ClickHouse-Exception-Tag": self._tag}, encoded=True)
        async for piece in pieces:
            if data := await self._encoder.feed(piece, last=False):
                await self._push(data, more=True)
        failure = result()
        trailer = b""
        if failure is not None:
            message = f"{failure}\n"
            trailer = (
                f"\r\n__exception__\r\n{self._tag}\r\n{message}{len(message.encode())} {self._tag}\r\n__exception__\r\n"
            ).encode()
        await self._push(await self._encoder.feed(trailer, last=True), more=False)

    async def failure(self, error: QueryError, version: str) -> None:
        """Send an error as the whole answer."""
        headers = {
            "X-ClickHouse-Exception-Code": str(error.code),
            "Content-Type": "text/plain; charset=UTF-8",
        }
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse HTTP API"'
        await self.whole(error.status, f"{error} (version {version})\n".encode(), headers)

    async def _start(self, status: int, headers: dict[str, str], *, encoded: bool) -> None:
        every = {"X-ClickHouse-Query-Id": self._query_id, "X-ClickHouse-Timezone": "UTC", **headers}
        every["X-ClickHouse-Server-Display-Name"] = "tapehouse"
        if encoded and self._encoder.name:
            every["Content-Encoding"] = self._encoder.name
        self.started = True
        raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _push(self, data: bytes, *, more: bool) -> None:
        # A client that stops reading must not hold its query for ever.
        message = {"type": "http.response.body", "body": data, "more_body": more}
        # (Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the result.)
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            await self._send(message)


def summary(outcome: Outcome) -> str:
    """Write X-ClickHouse-Summary; ClickHouse writes its numbers as strings."""
    values = {
        "read_rows": outcome.read_rows,
        "read_bytes": outcome.read_bytes,
        "written_rows": outcome.written_rows,
        "written_bytes": outcome.written_bytes,
        "total_rows_to_read": "0",
        "result_rows": outcome.result_rows,
        "result_bytes": len(outcome.body),
        "elapsed_ns": int(outcome.seconds * 1e9),
    }
    return json.dumps({name: str(value) for name, value in values.items()}, separators=(",", ":"))
