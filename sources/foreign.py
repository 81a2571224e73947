"""Recordings of other projects: the text forms of cryptofeed and of hftbacktest, plain, .gz or .zst."""

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

import zstandard

from contracts.errors import TerminalError
from contracts.tape import MAX_PAYLOAD_BYTES

# cryptofeed: `1633998511.159679: {...}`; hftbacktest: `1723161254087896568 {...}`
_CRYPTOFEED = re.compile(rb"([0-9]{9,11})(?:\.([0-9]{1,9}))?: ")
_HFTBACKTEST = re.compile(rb"([0-9]{19}) ")
# cryptofeed's lines about connections: `url <-> time` opened, `url <- time: body` sent, `url -> time: body` answered
_CONTROL = re.compile(rb"(wss?|https?)://([^ /]+)[^ ]* (<->|<-|->) ")


class ForeignRecord(NamedTuple):
    """One line of a foreign recording.

    `endpoint` is read off the address in the file or the file's name, and empty when neither tells. A line that is no
    payload of the connection (an address, a blank) has its kind in `control` and holds the whole line.
    """

    received_time: int
    endpoint: str
    payload: bytes
    control: str = ""


def read_foreign(path: Path) -> Iterator[ForeignRecord]:
    """Yield every line of a foreign recording, payloads byte for byte, in flat memory.

    Raises TerminalError with the line's number for a line in neither form.
    """
    endpoint = _endpoint_of(path.name)
    time = 0
    with _opened(path) as file:
        number = 0
        while line := file.readline(MAX_PAYLOAD_BYTES + 4096):
            number += 1
            line = line.removesuffix(b"\n")
            if match := _HFTBACKTEST.match(line):
                time = int(match.group(1)) // 1000
                yield ForeignRecord(time, endpoint, line[match.end() :])
            elif match := _CRYPTOFEED.match(line):
                time = int(match.group(1)) * 1_000_000 + int((match.group(2) or b"").ljust(6, b"0")[:6])
                yield ForeignRecord(time, endpoint, line[match.end() :])
            elif match := _CONTROL.match(line):
                endpoint = _endpoint_of(match.group(2).decode("latin-1")) or endpoint
                yield ForeignRecord(time, endpoint, line, "address")
            elif not line.strip():
                yield ForeignRecord(time, endpoint, line, "blank")
            else:
                raise TerminalError(
                    f"{path} line {number} is in neither known form: {line[:64]!r}; valid: `epoch: json` (cryptofeed), "
                    "`nanoseconds json` (hftbacktest)"
                )


def _endpoint_of(name: str) -> str:
    lowered = name.lower()
    if any(word in lowered for word in ("usdm", "fstream", "fapi", "binance_futures")):
        return "usdm"
    return "spot" if any(word in lowered for word in ("spot", "stream.binance", "api.binance", "binance.")) else ""


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as zipped:
            yield cast(IO[bytes], zipped)
        return
    with path.open("rb") as file:
        if path.suffix == ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            yield io.BufferedReader(reader, 1 << 20)
        else:
            yield file
