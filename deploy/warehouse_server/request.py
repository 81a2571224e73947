"""Read what a client asks: statement, data, settings, parameters and external tables of one HTTP request."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from starlette.requests import ClientDisconnect, Request

from deploy.warehouse_server.body import ClientGoneError, FormPart, in_utf8, receive_body, split_form
from deploy.warehouse_server.failures import QueryError
from deploy.warehouse_server.statement import Statement, is_closed, outline

# Parameters of the transport; every other one is a setting.
_TRANSPORT = frozenset(
    {
        "query",
        "database",
        "default_format",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "query_id",
        "quota_key",
        "user",
        "password",
        "compress",
        "decompress",
        "wait_end_of_query",
        "buffer_size",
        "stacktrace",
        "role",
        "client_protocol_version",
        "enable_http_compression",
        "http_zlib_compression_level",
    }
)
_SECONDS = re.compile(r"[0-9]{1,9}")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_HEAD_BYTES = 1 << 20
_MOST_TEXT_BYTES = 64 << 20
_MOST_FORM_BYTES = 256 << 20
_MOST_SESSION_SECONDS = 3600.0


@dataclass(slots=True)
class Ask:
    """One request, understood; `data` is positioned where an insert's data begins."""

    statement: Statement
    data: IO[bytes]
    options: dict[str, str]
    settings: dict[str, str]
    parameters: dict[str, str]
    tables: tuple[tuple[str, str, str, bytes], ...] = ()
    format: str = "TabSeparated"

    def option(self, name: str) -> bool:
        """Tell whether a transport option is switched on."""
        return self.options.get(name, "0").lower() in ("1", "true")

    @property
    def session_timeout(self) -> float:
        """Give the session's lifetime in seconds."""
        text = self.options.get("session_timeout", "60")
        if not _SECONDS.fullmatch(text) or not 0 < int(text) <= _MOST_SESSION_SECONDS:
            raise QueryError(
                374,
                "INVALID_SESSION_TIMEOUT",
                f"session_timeout {text!r} is not valid; give 1 to 3600 seconds",
            )
        return float(text)


@dataclass(slots=True)
class _Url:
    options: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, value: str) -> None:
        if name.startswith("param_"):
            self.parameters[name.removeprefix("param_")] = value
        elif name in _TRANSPORT:
            self.options[name] = value
        else:
            self.settings[name] = value


def query_id(request: Request) -> str:
    """Give the id the client chose for its query, or a new one."""
    # It goes into a header and the log: a line break in it would write lines of its own there.
    return _UNPRINTABLE.sub("?", request.query_params.get("query_id", ""))[:200] or str(uuid.uuid4())


def check_password(request: Request, password: str | None) -> None:
    """Refuse a request that does not bring the server's password; the user name is free."""
    if not password:
        return
    given = request.headers.get("x-clickhouse-key") or request.query_params.get("password")
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if given is None and scheme.lower() == "basic":
        try:
            given = base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            given = ""
    if given is None:
        raise QueryError(194, "REQUIRED_PASSWORD", "this warehouse asks for a password; send user and password")
    if not hmac.compare_digest(given.encode(), password.encode()):
        raise QueryError(516, "AUTHENTICATION_FAILED", "Authentication failed: password is incorrect")


async def read_ask(request: Request, spool_dir: Path, most_bytes: int) -> Ask:
    """Receive a request completely and understand it."""
    url = _Url()
    for name, value in request.query_params.multi_items():
        url.take(name, value)
    for unsupported in ("compress", "decompress"):
        if url.options.get(unsupported, "0") not in ("0", "false"):
            raise QueryError(
                48,
                "NOT_IMPLEMENTED",
                f"{unsupported}=1 (ClickHouse's own block compression) is not served here; "
                "use Content-Encoding and Accept-Encoding with gzip, deflate, zstd or lz4",
            )
    encoding = request.headers.get("content-encoding", "").lower()
    body = await receive_body(_chunks(request), encoding, spool_dir, most_bytes)
    try:
        content_type = request.headers.get("content-type", "")
        tables: tuple[tuple[str, str, str, bytes], ...] = ()
        if content_type.lower().startswith("multipart/form-data"):
            tables = _take_form(url, split_form(content_type, _form_bytes(body)))
            body.seek(0)
            body.truncate()
        return _understand(request, url, body, tables)
    except BaseException:
        body.close()
        raise


def _understand(request: Request, url: _Url, body: IO[bytes], tables: tuple[tuple[str, str, str, bytes], ...]) -> Ask:
    query = url.options.get("query", "").encode()
    if query:
        query += b"\n"
    head = query + body.read(_HEAD_BYTES)
    statement = outline(head)
    if statement.data_start is None:
        rest = body.read(_MOST_TEXT_BYTES)
        if len(head) + len(rest) > _MOST_TEXT_BYTES:
            raise _too_large("the statement's text")
        if rest:
            statement = outline(head + rest)
    if statement.data_start is not None:
        # The query comes first, then the body, as if they were one text.
        data: IO[bytes] = body
        if statement.data_start >= len(query):
            body.seek(statement.data_start - len(query))
        else:
            body.seek(0)
            data = _Behind(query[statement.data_start :].strip(b"\n"), body)  # type: ignore[assignment]
    else:
        data = body
    settings = dict(url.settings)
    if request.method in ("GET", "HEAD") and "readonly" not in settings:
        settings["readonly"] = "2"
    for header, option in (("x-clickhouse-database", "database"), ("x-clickhouse-format", "default_format")):
        if header in request.headers:
            url.options.setdefault(option, request.headers[header])
    chosen = statement.format or url.options.get("default_format") or "TabSeparated"
    if not chosen.isalnum():
        raise QueryError(73, "UNKNOWN_FORMAT", f"Unknown format {chosen}")
    return Ask(statement, data, url.options, settings, url.parameters, tables, chosen)


def _form_bytes(body: IO[bytes]) -> bytes:
    form = body.read(_MOST_FORM_BYTES + 1)
    if len(form) > _MOST_FORM_BYTES:
        raise _too_large("a form with external tables")
    return form


def _too_large(what: str) -> QueryError:
    return QueryError(
        161, "QUERY_IS_TOO_LARGE", f"{what} is larger than this server takes; insert the data into a table instead"
    )


class _Behind:
    """Read data that begins in the query and goes on in the body."""

    def __init__(self, first: bytes, body: IO[bytes]) -> None:
        self._first = first
        self._body = body

    def read(self, size: int = -1) -> bytes:
        first, self._first = self._first, b""
        return first or self._body.read(size)

    def close(self) -> None:
        self._body.close()


def _take_form(url: _Url, parts: list[FormPart]) -> tuple[tuple[str, str, str, bytes], ...]:
    tables = []
    for part in parts:
        if not part.file:
            url.take(part.name, in_utf8(f"field {part.name!r}", part.value))
            continue
        structure = url.settings.pop(f"{part.name}_structure", None)
        types = url.settings.pop(f"{part.name}_types", None)
        if structure is None and types is not None:
            structure = ", ".join(f"_{place} {kind}" for place, kind in enumerate(split_list(types), 1))
        if structure is None:
            raise QueryError(
                36,
                "BAD_ARGUMENTS",
                f"external table {part.name} has no columns; give {part.name}_structure or _types",
            )
        if not is_closed(structure.encode(errors="replace")):
            # It stands in brackets in a statement of its own, and must not end it and begin another clause.
            raise QueryError(36, "BAD_ARGUMENTS", f"the columns of external table {part.name} close a bracket too many")
        data_format = url.settings.pop(f"{part.name}_format", "TabSeparated")
        tables.append((part.name, structure, data_format, part.value))
    return tuple(tables)


def split_list(text: str) -> list[str]:
    """Split at the commas that stand in no brackets: `Array(UInt8), Decimal(9, 2)` holds two types."""
    items, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as error:
        raise ClientGoneError from error
