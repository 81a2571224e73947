"""What was imported, and how far what was interrupted had come: one file a part under the data directory."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from contracts.errors import TerminalError

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True)
class Record:
    """How one part of an import stands. `done` counts its payloads whose events Kafka has acknowledged, all of them.

    `cursor` is from where a backfill goes on; files need none. Times are microseconds.
    """

    connection_id: str
    file: str
    sha256: str
    member: str
    venue: str
    space: str
    kind: str
    placed: bool
    instruments: tuple[str, ...]
    first_time: int
    last_time: int
    done: int = 0
    rows: int = 0
    refused: int = 0
    cursor: int = 0
    finished: str = ""

    def over(self) -> "Record":
        """Return it as finished now."""
        return replace(self, finished=datetime.now(UTC).isoformat(timespec="seconds"))


class Records:
    """The records of one data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, connection_id: str) -> Record | None:
        """Return the record of a part, None where it was never begun."""
        path = self._path(connection_id)
        return _record(path) if path.is_file() else None

    def all(self) -> list[Record]:
        """Return every record."""
        return [_record(path) for path in sorted(self._folder.glob("*.json"))]

    def write(self, record: Record) -> None:
        """Keep a record; what was kept before stays whole until it is."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(record.connection_id)
        written = path.with_suffix(".tmp")
        with written.open("wb") as file:
            file.write(orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        written.replace(path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the data directory's only import; TerminalError while another runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise TerminalError(
                    f"another import runs with the data directory {self._folder.parent}; wait for its end, or stop it"
                ) from None
            yield

    def _path(self, connection_id: str) -> Path:
        return self._folder / f"{_UNSAFE.sub('_', connection_id)}.json"


def overlapping(wanted: Record, known: list[Record]) -> Record | None:
    """Return another content that told rows of the same series and time, where rows have no identity of their own.

    The same trades in two files would then be two of each.
    """
    if not wanted.placed:
        return None
    for other in known:
        same = (other.venue, other.space, other.placed) == (wanted.venue, wanted.space, True)
        apart = other.first_time > wanted.last_time or other.last_time < wanted.first_time
        shared = not (other.instruments and wanted.instruments) or set(other.instruments) & set(wanted.instruments)
        if same and not apart and shared and other.connection_id != wanted.connection_id:
            return other
    return None


def _record(path: Path) -> Record:
    try:
        told: dict[str, Any] = orjson.loads(path.read_bytes())
        return Record(**{**told, "instruments": tuple(told["instruments"])})
    except (ValueError, TypeError, KeyError) as error:
        raise TerminalError(
            f"{path} is no record of an import ({error}); without it the file is imported again, which adds nothing: "
            "remove it"
        ) from error
