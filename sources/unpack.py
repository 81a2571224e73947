"""Files as their plain bytes, whatever they are packed in: told by their first bytes, since names lie."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import zstandard

from contracts.errors import TerminalError

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_READ = 1 << 18
# A zstd block of 4 bytes can hold 128 KiB of zeros: little is read at a time, so that little comes out.
_READ_ZSTD = 1 << 12


def unpacked(path: Path) -> Iterator[bytes]:
    """Yield the file's content in pieces: gzip and zstd unpacked, anything else as it is, in flat memory.

    Raises TerminalError when the file can't be read, is damaged or was cut off; pieces before the damage come first.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic.startswith(_GZIP):
                yield from _gzip(file)
            elif magic == _ZSTD:
                yield from _zstd(file)
            else:
                yield from iter(lambda: file.read(_READ), b"")
    except EOFError:
        raise TerminalError(f"{path} was cut off: its compressed data ends early; fetch or record it again") from None
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise TerminalError(f"{path} is damaged ({error}); fetch or record it again") from error
    except OSError as error:
        raise TerminalError(f"{path} can't be read: {error.strerror or error}") from error


def _gzip(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as packed:
        yield from iter(lambda: packed.read1(_READ), b"")


def _zstd(file: IO[bytes]) -> Iterator[bytes]:
    """Unpack frame after frame; the library's own reader takes a frame that was cut off for a whole one."""
    packed = file.read(_READ_ZSTD)
    while packed:
        frame = zstandard.ZstdDecompressor().decompressobj()
        while not frame.eof:
            if not packed:
                raise EOFError
            if piece := frame.decompress(packed):
                yield piece
            packed = frame.unused_data if frame.eof else file.read(_READ_ZSTD)
        packed = packed or file.read(_READ_ZSTD)
