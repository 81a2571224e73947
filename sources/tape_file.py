"""Our tape file: recorded payloads byte for byte, compressed, readable with zstdcat.

A header line of JSON, then for each payload a line `[received_time, venue, endpoint, connection_id, message_number,
request, length]` followed by that many bytes and a newline; format 1 knew no request. The length makes any byte allowed
in a payload. The header counts the payloads, so a file that was cut off is noticed even where the cut falls between two
of them.
"""

import io
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import orjson
import zstandard

from contracts.errors import TerminalError
from contracts.tape import MAX_PAYLOAD_BYTES

FORMAT = 2
_READABLE = (1, 2)
_BUFFER = 1 << 20
_LONGEST_LINE = 1 << 16


class TapeRecord(NamedTuple):
    """One payload with its place on the tape. `received_time` in microseconds, `message_number` from 1."""

    received_time: int
    venue: str
    endpoint: str
    connection_id: str
    message_number: int
    payload: bytes
    request: str = ""  # what a REST answer answers: path and query


@dataclass(frozen=True)
class TapeHeader:
    """What a tape file says of itself. `streams` are the venue's names, by endpoint, of what was recorded."""

    source: str
    licence: str
    records: int = 0
    first_time: int = 0
    last_time: int = 0
    streams: dict[str, list[str]] | None = None
    tapehouse_tape: int = FORMAT


class TapeWriter:
    """Write a tape file; it appears under its name complete, or not at all.

    Use as a context manager: leaving it normally finishes the file, leaving it by an exception leaves none.
    """

    def __init__(self, path: Path, *, source: str, licence: str, level: int = 10) -> None:
        self._path = path
        self._level = level
        self._body_path = path.with_name(path.name + ".body.tmp")
        self._whole_path = path.with_name(path.name + ".tmp")
        self._source, self._licence = source, licence
        self._records = 0
        self._first_time = self._last_time = 0
        self.streams: dict[str, list[str]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._body_path.open("wb")
        self._body = zstandard.ZstdCompressor(level=level).stream_writer(self._file, closefd=False)

    @property
    def records(self) -> int:
        """How many payloads were written so far."""
        return self._records

    def write(self, record: TapeRecord) -> None:
        """Append a payload."""
        if not self._records:
            self._first_time = record.received_time
        self._first_time = min(self._first_time, record.received_time)
        self._last_time = max(self._last_time, record.received_time)
        self._records += 1
        line = orjson.dumps([*record[:5], record.request, len(record.payload)])
        self._body.write(line + b"\n" + record.payload + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._body.close()  # type: ignore[no-untyped-call]
            self._file.close()
            if kind is None:
                self._finish()
        finally:
            self._body_path.unlink(missing_ok=True)
            self._whole_path.unlink(missing_ok=True)

    def _finish(self) -> None:
        header = TapeHeader(
            self._source,
            self._licence,
            self._records,
            self._first_time,
            self._last_time,
            {name: sorted(streams) for name, streams in sorted(self.streams.items())},
        )
        # The header is a frame of its own: it can be written after the body and still stand before it.
        frame = zstandard.ZstdCompressor(level=self._level).compress(orjson.dumps(asdict(header)) + b"\n")
        with self._whole_path.open("wb") as whole, self._body_path.open("rb") as body:
            whole.write(frame)
            shutil.copyfileobj(body, whole, _BUFFER)
            whole.flush()
            os.fsync(whole.fileno())
        self._whole_path.replace(self._path)


def read_header(path: Path) -> TapeHeader:
    """Return what a tape file says of itself; TerminalError when it is none."""
    with path.open("rb") as file, _decompressed(file) as stream:
        return _header(path, stream)


def read_tape(path: Path) -> Iterator[TapeRecord]:
    """Yield the payloads of a tape file in the order in which they were written, in flat memory.

    Raises TerminalError naming the last good record when the file was cut off or damaged.
    """
    with path.open("rb") as file, _decompressed(file) as stream:
        header = _header(path, stream)
        good = 0
        last: TapeRecord | None = None
        try:
            while line := stream.readline(_LONGEST_LINE):
                *place, length = orjson.loads(line)
                if not 0 <= length <= MAX_PAYLOAD_BYTES:
                    raise ValueError(f"a payload of {length} bytes")
                payload = stream.read(length + 1)
                if len(payload) != length + 1 or payload[-1:] != b"\n":
                    raise ValueError("a payload was cut off")
                received_time, venue, endpoint, connection_id, message_number, *request = place
                last = TapeRecord(received_time, venue, endpoint, connection_id, message_number, payload[:-1], *request)
                good += 1
                yield last
        except (zstandard.ZstdError, ValueError, TypeError) as error:
            raise _damaged(path, header, good, last, str(error)) from error
        if good != header.records:
            raise _damaged(path, header, good, last, "it ends early")


def _decompressed(file: io.BufferedReader) -> io.BufferedReader:
    reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
    return io.BufferedReader(reader, _BUFFER)


def _header(path: Path, stream: io.BufferedReader) -> TapeHeader:
    try:
        found = orjson.loads(stream.readline(_LONGEST_LINE))
        version = found["tapehouse_tape"]
        if version in _READABLE:
            return TapeHeader(**found)
    except (zstandard.ZstdError, ValueError, TypeError, KeyError) as error:
        raise TerminalError(f"{path} is no tape file: {error}; `record` writes one") from error
    raise TerminalError(f"{path} is a tape file of format {version}, this program reads up to format {FORMAT}")


def _damaged(path: Path, header: TapeHeader, good: int, last: TapeRecord | None, why: str) -> TerminalError:
    place = f"{last.connection_id} message {last.message_number}" if last else "none"
    return TerminalError(
        f"{path} is damaged after {good} of {header.records} records ({why}); last good record: {place}. "
        "Fetch or record the file again"
    )
