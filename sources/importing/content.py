"""A file's lines as they are, whatever they are packed in, cut into pieces that are the same every time."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import TerminalError
from sources.unpack import unpacked

LINES_A_PIECE = 500
BYTES_A_PIECE = 512 * 1024
_READ = 1 << 18
_LONGEST_LINE = 1 << 20
# Of the lines that a plan looks at: the first, then one in so many.
_LOOKED_AT_FIRST, _LOOKED_AT_EVERY = 2_000, 997
# So many characters of it name a content; two different ones have the same once in 10^9 imports of 10^5 files.
NAME_LENGTH = 16

Lines = Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Surveyed:
    """What one look through a content tells: its hash, how many lines it has, and some of them with their numbers."""

    content: str
    lines: int
    sample: list[tuple[int, bytes]]


def members(path: Path) -> list[str]:
    """List the files in a zip; one empty name for a file that is none."""
    if path.suffix.lower() != ".zip":
        return [""]
    try:
        with zipfile.ZipFile(path) as packed:
            return [info.filename for info in packed.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise TerminalError(f"{path} can't be unpacked ({error}); fetch it again") from error


def lines_of(path: Path, member: str = "") -> Iterator[bytes]:
    """Yield the lines of a file, or of a file in a zip, without their ends; in flat memory."""
    return _lines(path, _zipped(path, member) if member else unpacked(path))


def _zipped(path: Path, member: str) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(path) as packed, packed.open(member) as file:
            yield from iter(lambda: file.read(_READ), b"")
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise TerminalError(f"{member} in {path} can't be unpacked ({error}); fetch it again") from error


def _lines(path: Path, pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        found = (rest + piece).split(b"\n")
        rest = found.pop()
        if len(rest) > _LONGEST_LINE:
            raise TerminalError(f"{path} has a line of more than {_LONGEST_LINE} bytes; it is no table")
        yield from found
    if rest:
        yield rest


def survey(lines: Iterable[bytes]) -> Surveyed:
    """Look once through a content."""
    digest = hashlib.sha256()
    sample: list[tuple[int, bytes]] = []
    number, last = 0, b""
    for number, line in enumerate(lines, 1):
        digest.update(line + b"\n")
        last = line
        if number <= _LOOKED_AT_FIRST or number % _LOOKED_AT_EVERY == 0:
            sample.append((number, line))
    if number and sample[-1][0] != number:
        sample.append((number, last))
    return Surveyed(digest.hexdigest()[:NAME_LENGTH], number, sample)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pieces(lines: Iterable[bytes], skip: int) -> Iterator[tuple[int, bytes, int]]:
    """Cut what follows the first `skip` lines into pieces: first line's number, the bytes, how many lines."""
    taken: list[bytes] = []
    size, first = 0, skip + 1
    for number, line in enumerate(lines, 1):
        if number <= skip:
            continue
        if taken and (len(taken) == LINES_A_PIECE or size + len(line) > BYTES_A_PIECE):
            yield first, b"\n".join(taken), len(taken)
            taken, size, first = [], 0, number
        taken.append(line)
        size += len(line) + 1
    if taken:
        yield first, b"\n".join(taken), len(taken)
