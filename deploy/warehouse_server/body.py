"""Take a request's body in: decompress, keep it in memory while small and in a file when large, split forms."""

from __future__ import annotations

import re
import tempfile
import zlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any, Protocol

import lz4.frame  # type: ignore[import-untyped]
import zstandard

from deploy.warehouse_server.failures import QueryError

MEMORY_BYTES = 2 << 20
# So much is decompressed at once: a zstd block of 4 bytes may hold 128 KiB, and its size is known only afterwards.
_FED_BYTES = 1 << 10
ENCODINGS = ("identity", "gzip", "deflate", "zstd", "lz4")


class _Decoder(Protocol):
    def pieces(self, chunk: bytes) -> Iterable[bytes]: ...

    def feed(self, data: bytes) -> bytes: ...

    def complete(self) -> bool: ...


class _Frames:
    """Decode one or more compressed frames behind each other; clients send a frame a block."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._frame: Any = None

    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        return (chunk[start : start + _FED_BYTES] for start in range(0, len(chunk), _FED_BYTES))

    def feed(self, data: bytes) -> bytes:
        out = []
        while data:
            if self._frame is None:
                self._frame = self._make()
            out.append(self._frame.decompress(data))
            data = b""
            if self._frame.eof:
                data, self._frame = self._frame.unused_data or b"", None
        return b"".join(out)

    def complete(self) -> bool:
        return self._frame is None


class _Plain:
    def pieces(self, chunk: bytes) -> Iterable[bytes]:
        return (chunk,)

    def feed(self, data: bytes) -> bytes:
        return data

    def complete(self) -> bool:
        return True


def _decoder(encoding: str) -> _Decoder:
    makers: dict[str, Callable[[], Any]] = {
        "gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
        "x-gzip": lambda: zlib.decompressobj(zlib.MAX_WBITS | 16),
        "deflate": zlib.decompressobj,
        "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
        "lz4": lz4.frame.LZ4FrameDecompressor,
    }
    if encoding in ("", "identity"):
        return _Plain()
    if encoding not in makers:
        raise QueryError(
            48,
            "NOT_IMPLEMENTED",
            f"Content-Encoding {encoding!r} is not understood; send one of {', '.join(ENCODINGS)}",
        )
    return _Frames(makers[encoding])


class ClientGoneError(Exception):
    """The client hung up before its request was complete; nothing of it may run."""


async def receive_body(chunks: AsyncIterator[bytes], encoding: str, spool_dir: Path, most_bytes: int) -> IO[bytes]:
    """Receive and decompress a whole body into a file positioned at 0; the caller closes it.

    Nothing runs before the last byte has come: half an insert must not look like a small one.
    """
    decoder = _decoder(encoding)
    spool = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES, dir=str(spool_dir))  # noqa: SIM115 - the caller's
    size = 0
    try:
        async for chunk in chunks:
            for piece in decoder.pieces(chunk):
                try:
                    plain = decoder.feed(piece)
                except (zlib.error, zstandard.ZstdError, RuntimeError, EOFError) as error:
                    raise _broken(encoding, str(error)) from error
                size += len(plain)
                if size > most_bytes:
                    raise QueryError(
                        161,
                        "QUERY_IS_TOO_LARGE",
                        f"the request body is larger than {most_bytes} bytes; send it in parts",
                    )
                spool.write(plain)
        if not decoder.complete():
            raise _broken(encoding, "it ends in the middle of a frame")
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return spool


def _broken(encoding: str, why: str) -> QueryError:
    return QueryError(
        271,
        "CANNOT_DECOMPRESS",
        f"the request body is no valid {encoding} (Content-Encoding): {why}; nothing was run",
    )


def in_utf8(what: str, source: bytes) -> str:
    """Read a part of a form as text; QueryError when it is none."""
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        raise QueryError(
            36, "BAD_ARGUMENTS", f"{what} of the form is not valid UTF-8 at byte {error.start}; nothing was run"
        ) from error


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part of a multipart form; `file` tells external data from a plain field."""

    name: str
    value: bytes
    file: bool


def split_form(content_type: str, body: bytes) -> list[FormPart]:
    """Split a multipart/form-data body; bytes stay as they are."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str):
        raise QueryError(36, "BAD_ARGUMENTS", "multipart/form-data without a boundary; name it in Content-Type")
    edge = b"\r\n--" + boundary.encode()
    pieces = (b"\r\n" + body).split(edge)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise QueryError(36, "BAD_ARGUMENTS", f"the form does not end with its boundary {boundary!r}; nothing was run")
    parts = []
    for piece in pieces[1:-1]:
        head, separator, value = piece.partition(b"\r\n\r\n")
        disposition = Message()
        found = re.search(rb"content-disposition:\s*([^\r\n]+)", head, re.IGNORECASE)
        disposition["Content-Disposition"] = in_utf8("a part's header", found[1]) if found else ""
        name = disposition.get_param("name", header="content-disposition")
        if not separator or not isinstance(name, str):
            raise QueryError(36, "BAD_ARGUMENTS", "a part of the form has no name; nothing was run")
        file = disposition.get_param("filename", header="content-disposition") is not None
        parts.append(FormPart(name, value, file))
    return parts
