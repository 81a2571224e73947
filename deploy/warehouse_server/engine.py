"""Own the chDB engine of one directory and run statements on it, each on a connection of its own.

A chDB connection is cheap (under a millisecond), holds its own settings, database and temporary tables,
and runs beside the others without the GIL. So a statement gets a fresh connection, and what it sets ends with it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from contracts.errors import TerminalError
from deploy.warehouse_server.failures import QueryError, from_engine
from deploy.warehouse_server.statement import Statement, settings_start

_CONFIG = """<clickhouse>
    <mark_cache_size>268435456</mark_cache_size>
    <primary_index_cache_size>268435456</primary_index_cache_size>
    <query_condition_cache_size>33554432</query_condition_cache_size>
    <parquet_metadata_cache_size>67108864</parquet_metadata_cache_size>
    <compiled_expression_cache_size>33554432</compiled_expression_cache_size>
    <max_thread_pool_size>2000</max_thread_pool_size>
    <max_server_memory_usage_to_ram_ratio>{ratio}</max_server_memory_usage_to_ram_ratio>
    <storage_configuration>
        <disks><default><keep_free_space_bytes>{kept_free}</keep_free_space_bytes></default></disks>
    </storage_configuration>
</clickhouse>
"""
# Before it writes the engine looks for room and refuses where there is none (code 243, nothing is written). A disk that
# gets full between the look and the write is not noticed: chDB 26.9 acknowledges a part whose files are cut off
# (measured). So it stops while there still is room for what others write meanwhile.
KEPT_FREE_BYTES = 256 * 1024 * 1024
_PIECE = 1 << 20
# These names make chdb's Python layer convert the result to objects; on the wire they mean nothing.
_PYTHON_FORMATS = {"dataframe", "datastore", "arrowtable"}
_SETTING_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*$")


@dataclass(frozen=True, slots=True)
class Call:
    """Describe one statement to run, with what holds for it alone."""

    statement: Statement
    query_id: str
    format: str
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    database: str | None = None
    tables: tuple[tuple[str, str, str, bytes], ...] = ()
    """External tables: name, column structure, format, data."""
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Count what a statement read and wrote; `body` is its whole answer unless that was streamed."""

    body: bytes = b""
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    seconds: float = 0.0


def quote(value: str) -> str:
    """Write a ClickHouse string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(value: str) -> str:
    return "`" + value.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _text(source: bytes) -> str:
    try:
        return source.decode()
    except UnicodeDecodeError as error:
        raise QueryError(
            62,
            "SYNTAX_ERROR",
            f"Syntax error: the statement is not valid UTF-8 at byte {error.start}; send UTF-8",
        ) from error


class Engine:
    """Hold the directory's lock and its engine open until close()."""

    def __init__(self, data_dir: Path, memory_ratio: float = 0.6) -> None:
        self.data_dir = data_dir.resolve()
        if any(mark in str(self.data_dir) for mark in "?&#%"):
            raise TerminalError(
                f"warehouse directory {self.data_dir} holds one of ? & # %, which the engine's connection string "
                "cannot carry; choose another directory"
            )
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(self.data_dir)
        self.spool_dir = self.data_dir / "spool"
        self.spool_dir.mkdir(exist_ok=True)
        for left in self.spool_dir.iterdir():
            left.unlink()
        config = self.data_dir / "server.xml"
        config.write_text(_CONFIG.format(ratio=memory_ratio, kept_free=KEPT_FREE_BYTES))
        # Loaded here and not above: the engine takes its time zone from TZ once, when the library is loaded.
        import chdb

        self._open: Callable[[str], Any] = chdb.connect
        try:
            # The engine stops with its last connection; this one keeps it up between requests.
            self._keeper = self._open(f"{self.data_dir}?config-file={config}")
            answer = str(self._keeper.query("SELECT version(), timezone()", "TSVRaw").data()).split()
            self.version, zone = answer[0], answer[1]
            if zone not in ("UTC", "Etc/UTC"):
                raise RuntimeError(f"its time zone is {zone}, not UTC; set TZ=UTC before chdb is loaded")
        except RuntimeError as error:
            self._lock.close()
            raise TerminalError(f"the engine does not open {self.data_dir}: {error}") from error
        self._running: set[str] = set()
        self._guard = threading.Lock()

    def connect(self) -> Any:
        """Open one more connection; the caller closes it."""
        connection = self._open(str(self.data_dir))
        # chDB is made for a shell, where a bare expression is a query; over HTTP it is a syntax error.
        connection.query("SET implicit_select = 0")
        return connection

    @property
    def busy(self) -> bool:
        """Tell whether a call is running."""
        with self._guard:
            return bool(self._running)

    def close(self) -> None:
        """Close the engine and give the directory free."""
        self._keeper.close()
        self._lock.close()

    def cancel(self, call: Call) -> None:
        """Ask the engine to stop this call; it ends with QUERY_WAS_CANCELLED shortly after."""
        self._kill(call.mark)

    def cancel_all(self) -> None:
        """Ask the engine to stop every call."""
        with self._guard:
            marks = list(self._running)
        for mark in marks:
            self._kill(mark)

    def _kill(self, mark: str) -> None:
        # Written in two halves, so that the KILL statement does not find itself.
        pattern = f"concat('/* tapehouse ', {quote(mark)})"
        with self._open(str(self.data_dir)) as connection:
            connection.query(f"KILL QUERY WHERE position(query, {pattern}) > 0 ASYNC FORMAT Null")

    def read(self, call: Call, sink: int, connection: Any) -> Outcome:
        """Run a read and let the engine write the answer into the pipe `sink`, in any format, as it comes.

        The engine formats and waits for the reader by itself, so memory stays flat.
        """
        path = f"/proc/self/fd/{sink}" if Path("/proc/self/fd").is_dir() else f"/dev/fd/{sink}"
        statement = call.statement
        sql = (
            f"{_text(statement.head)}\nINTO OUTFILE {quote(path)} TRUNCATE FORMAT {call.format}"
            f"{_text(statement.tail)}\n{self._comment(call)}"
        )
        return self._guarded(call, connection, lambda: _outcome(self._query(call, connection, sql), with_body=False))

    def execute(self, call: Call, connection: Any) -> Outcome:
        """Run a statement whose answer is small: DDL, SHOW, INSERT ... SELECT, SET."""
        sql = f"{_text(call.statement.head)}\n{self._comment(call)}"
        return self._guarded(call, connection, lambda: _outcome(self._query(call, connection, sql), with_body=True))

    def insert(self, call: Call, data: IO[bytes], connection: Any) -> Outcome:
        """Insert the rest of `data`, in the statement's format.

        As in ClickHouse, each block of max_insert_block_size rows (a million) is written whole or not at all; what a
        larger insert left when it failed is skipped by a repetition with the same insert_deduplication_token.
        """
        if call.statement.inputs:
            return self._guarded(call, connection, lambda: self._insert_select(call, data, connection))
        return self._guarded(call, connection, lambda: self._insert(call, data, connection))

    def _insert(self, call: Call, data: IO[bytes], connection: Any) -> Outcome:
        for name, value in call.parameters.items():
            # SET reads a literal, whose content is then read as an escaped value, as in a URL.
            connection.query(f"SET param_{_setting(name)} = {quote(value)}")
        head = call.statement.head
        at = settings_start(head)
        # From a file and not by chDB's send_insert: that one drops what goes wrong once the data is parsed (no room on
        # the disk, a broken constraint) and counts the rows as written.
        with self._spooled(data) as path:
            sql = (
                f"{_text(head[:at])}\nFROM INFILE {quote(path)} COMPRESSION 'none' {_text(head[at:])}\n"
                f"{self._comment(call)} FORMAT {call.format}"
            )
            return _outcome(connection.query(sql, "Null"), with_body=False)

    def _insert_select(self, call: Call, data: IO[bytes], connection: Any) -> Outcome:
        # chDB runs no input(): the data goes into a file, and input(structure) becomes file(path, format, structure).
        with self._spooled(data) as path:
            head, shift = call.statement.head, 0
            for start, end in call.statement.inputs:
                opening = head.index(b"(", end + shift)
                call_text = f"file({quote(path)}, {quote(call.format)}, ".encode()
                head = head[: start + shift] + call_text + head[opening + 1 :]
                shift += len(call_text) - (opening + 1 - start - shift)
            sql = f"{_text(head)}\n{self._comment(call)}"
            return _outcome(self._query(call, connection, sql), with_body=False)

    @contextlib.contextmanager
    def _spooled(self, data: IO[bytes]) -> Iterator[str]:
        """Write the rest of `data` into a file that the engine can open, and name it."""
        with tempfile.NamedTemporaryFile(dir=self.spool_dir) as file:
            shutil.copyfileobj(data, file, _PIECE)
            file.flush()
            yield file.name

    def _query(self, call: Call, connection: Any, sql: str) -> Any:
        if call.format.lower() in _PYTHON_FORMATS:
            raise QueryError(73, "UNKNOWN_FORMAT", f"Unknown format {call.format}")
        return connection.query(sql, call.format, params=dict(call.parameters))

    def _guarded(self, call: Call, connection: Any, work: Callable[[], Outcome]) -> Outcome:
        with self._guard:
            self._running.add(call.mark)
        try:
            self._prepare(call, connection)
            return work()
        except (RuntimeError, UnicodeDecodeError) as error:
            raise from_engine(error) from error
        finally:
            with self._guard:
                self._running.discard(call.mark)

    def _prepare(self, call: Call, connection: Any) -> None:
        if call.database:
            connection.query(f"USE {_identifier(call.database)}")
        for name, structure, data_format, data in call.tables:
            connection.query(f"CREATE TEMPORARY TABLE {_identifier(name)} ({structure})")
            with connection.send_insert(f"INSERT INTO {_identifier(name)}", data_format) as inserter:
                inserter.append(data)
                inserter.finish()
        if call.settings:
            # One statement: a readonly among them must not refuse the others.
            connection.query(
                "SET " + ", ".join(f"{_setting(name)} = {quote(value)}" for name, value in call.settings.items())
            )

    @staticmethod
    def _comment(call: Call) -> str:
        # chDB gives every query its own id; this mark is how a running one is found again.
        return f"/* tapehouse {call.mark} */"


def _setting(name: str) -> str:
    if not _SETTING_NAME.match(name):
        raise QueryError(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}: a URL parameter must name a setting")
    return name


def _outcome(result: Any, *, with_body: bool) -> Outcome:
    return Outcome(
        body=result.bytes() if with_body else b"",
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        seconds=result.elapsed(),
    )


def _take_lock(data_dir: Path) -> IO[str]:
    lock = (data_dir / "server.lock").open("a+")
    try:
        # The kernel drops it with the process, so a killed server never blocks the next.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise TerminalError(
            f"warehouse directory {data_dir} is already served by process {holder}; "
            "stop that server or choose another directory"
        ) from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
