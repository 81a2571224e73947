"""Recordings of other projects: the forms of cryptofeed and of hftbacktest, plain, gzip or zstd."""

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from contracts.errors import TerminalError
from contracts.tape import MAX_PAYLOAD_BYTES
from sources.unpack import unpacked

# cryptofeed: `1633998511.159679: {...}`; hftbacktest: `1723161254087896568 {...}`
_CRYPTOFEED = re.compile(rb"([0-9]{9,11}(?:\.[0-9]{1,9})?): ")
_HFTBACKTEST = re.compile(rb"([0-9]{19}) ")
# cryptofeed's lines about connections: `url <-> time` opened, `url <- time: body` sent, `url -> time: body` answered.
_ADDRESS = re.compile(rb"((?:wss?|https?)://[^ ]+) (<->|<-|->) ([0-9]{9,11}(?:\.[0-9]{1,9})?)(?:: |$)")
_CONFIGURATION = b"configuration: "
# hftbacktest writes a book asked for by REST between the stream's payloads, and not what was asked.
_BINANCE_BOOK = b'{"lastUpdateId"'
_BINANCE_STREAM = b'{"stream":'
_BINANCE_SYMBOL = re.compile(rb'\{"stream":"([a-z0-9_]{1,59})@')
_BINANCE_BOOK_PATH = {"spot": "/api/v3/depth", "usdm": "/fapi/v1/depth"}

# JSON lines hold payloads as strings, whose escapes make them longer.
_LONGEST_LINE = 2 * MAX_PAYLOAD_BYTES + 65_536
# Times of the older form have at most as many digits.
_LATEST = 10**11
# So many lines in no known form, and none in one: then the file is something else.
_DOUBTFUL_LINES = 64

# What addresses, else the names of files, tell of the endpoint; the first that fits.
_ENDPOINTS = tuple(
    (re.compile(pattern, re.ASCII), endpoint)
    for pattern, endpoint in (
        (r"(?<![a-z])(usdm|fstream|fapi|binance_futures)(?![a-z])", "usdm"),
        (r"(?<![a-z])spot(?![a-z])|(?<![a-z])(stream|api)[0-9]?\.binance\.|(?<![a-z.])binance\.", "spot"),
        (r"advanced-trade-ws|api/v3/brokerage", "advanced"),
        (r"ws-feed|ws-direct|api\.pro\.coinbase|api\.exchange\.coinbase", "exchange"),
        (r"ws\.kraken\.com/v2", "v2"),
        (r"ws\.kraken\.com|api\.kraken\.com/0", "v1"),
    )
)


class ForeignRecord(NamedTuple):
    """One line of a foreign recording.

    `received_time` is in microseconds. `endpoint` is read off the addresses in the file or the file's name, and empty
    when neither tells. `request` is the path with query that a REST answer answers. A line that holds no payload
    has its kind in `control` (address, sent, configuration, blank, unreadable) and is whole. `connection` tells apart
    the connections that share a file: empty for the only or first one.
    """

    received_time: int
    endpoint: str
    payload: bytes
    control: str = ""
    request: str = ""
    connection: str = ""


def read_foreign(path: Path, endpoint: str = "") -> Iterator[ForeignRecord]:
    """Yield every line of a foreign recording; a line in no known form is a TerminalError that names it."""
    for number, record in enumerate(foreign_lines(path, endpoint), 1):
        if record.control == "unreadable":
            raise TerminalError(
                f"{path} line {number} is in neither known form: {record.payload[:64]!r}; valid: `epoch: json` and "
                "JSON lines (cryptofeed), `nanoseconds json` (hftbacktest)"
            )
        yield record


def foreign_lines(path: Path, endpoint: str = "") -> Iterator[ForeignRecord]:
    """Yield every line of a foreign recording, payloads byte for byte, in flat memory; `endpoint` overrides the file.

    Raises TerminalError when the file can't be read or was cut off in its compression, and when nothing in it is in
    a known form: then it is no recording.
    """
    told = _Told(fixed=endpoint, endpoint=endpoint or endpoint_of(path.name))
    records = _asked_first(told, map(told.record, _lines(unpacked(path))))
    doubtful: list[ForeignRecord] = []
    for record in records:
        doubtful.append(record)
        if record.control not in ("unreadable", "blank") or len(doubtful) >= _DOUBTFUL_LINES:
            break
    if doubtful and doubtful[-1].control in ("unreadable", "blank"):
        _refuse_unreadable(path, doubtful)
    yield from doubtful
    yield from records


def endpoint_of(address: str) -> str:
    """Name the endpoint that an address, or the name of a file, speaks of; empty when it doesn't tell."""
    lowered = address.lower()
    return next((endpoint for pattern, endpoint in _ENDPOINTS if pattern.search(lowered)), "")


def _refuse_unreadable(path: Path, lines: list[ForeignRecord]) -> None:
    for line in lines:
        if line.control == "unreadable":
            raise TerminalError(
                f"{path} is no recording in a known form, it begins with {line.payload[:24]!r}; valid: text of "
                "cryptofeed (`epoch: json` or JSON lines) or of hftbacktest (`nanoseconds json`), plain, gzip or zstd"
            )


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends; one that is too long to be true is cut, and long enough to be noticed."""
    rest = b""
    for piece in pieces:
        lines = (rest + piece).split(b"\n")
        rest = lines.pop()[: _LONGEST_LINE + 1]
        yield from lines
    if rest:
        yield rest


@dataclass
class _Told:
    """What the lines so far told: the endpoint, the time, and how often each connection was opened."""

    fixed: str
    endpoint: str
    time: int = 0
    # By connection: how often it was opened, and whether something came since.
    opened: dict[str, tuple[int, bool]] = field(default_factory=dict)
    # What payloads of the connection carry; a file in text form has but one.
    labels: dict[str, str] = field(default_factory=dict)
    # hftbacktest: the last payload that named its stream.
    streamed: bytes = b""

    def record(self, line: bytes) -> ForeignRecord:
        """Return the line's record."""
        if len(line) > _LONGEST_LINE:
            return self._control(line, "unreadable")
        if match := _HFTBACKTEST.match(line):
            self.time = int(match[1]) // 1000
            payload = line[20:]
            if payload.startswith(_BINANCE_STREAM):
                self.streamed = payload
            elif payload.startswith(_BINANCE_BOOK):
                return self.asked(self._payload(payload))
            return self._payload(payload)
        if match := _CRYPTOFEED.match(line):
            self.time = _micros(match[1].decode())
            return self._payload(line[match.end() :])
        if match := _ADDRESS.match(line):
            return self._address(line, match)
        if line.startswith(b"{"):
            return self._json(line)
        if line.startswith(_CONFIGURATION):
            return self._control(line, "configuration")
        return self._control(line, "unreadable" if line.strip() else "blank")

    def asked(self, record: ForeignRecord) -> ForeignRecord:
        """Give a book snapshot the request that it answers; the symbol is that of the stream around it."""
        path = _BINANCE_BOOK_PATH.get(record.endpoint)
        symbol = _BINANCE_SYMBOL.match(self.streamed)
        if record.control or record.request or path is None or symbol is None:
            return record
        return record._replace(request=f"{path}?symbol={symbol[1].decode().upper()}&limit=1000")

    def _payload(self, payload: bytes, connection: str = "", request: str = "") -> ForeignRecord:
        label = self.labels.get(connection)
        if label is None:
            times, _ = self.opened.get(connection, (1, False))
            self.opened[connection] = (times, True)
            label = self.labels[connection] = f"{connection}#{times}" if times > 1 else connection
        return ForeignRecord(self.time, self.endpoint, payload, "", request, label)

    def _control(self, line: bytes, kind: str) -> ForeignRecord:
        return ForeignRecord(self.time, self.endpoint, line, kind)

    def _open(self, connection: str) -> None:
        times, used = self.opened.get(connection, (1, False))
        self.opened[connection] = (times + used, False)
        self.labels.pop(connection, None)

    def _speaks_of(self, address: str) -> str:
        """Note the endpoint that the address speaks of and return its path with query."""
        scheme, _, rest = address.partition("://")
        host, slash, path = rest.partition("/")
        found = endpoint_of(f"{host}{slash}{path.partition('?')[0]}")
        # Kraken's REST side serves both of its feeds.
        shared = found == "v1" and self.endpoint == "v2" and scheme.startswith("http")
        if found and not shared and not self.fixed:
            self.endpoint = found
        return slash + path

    def _address(self, line: bytes, match: re.Match[bytes]) -> ForeignRecord:
        path = self._speaks_of(match[1].decode("latin-1"))
        self.time = _micros(match[3].decode())
        if match[2] == b"->":
            return self._payload(line[match.end() :], request=path)
        if match[2] == b"<->":
            self._open("")
        return self._control(line, "address" if match[2] == b"<->" else "sent")

    def _json(self, line: bytes) -> ForeignRecord:
        """Read a line of cryptofeed's newer form: {"t": kind, "conn", "ts", "addr" or "url", "data" or "b64"}."""
        try:
            entry = orjson.loads(line)
            kind, connection = entry["t"], entry.get("conn", "")
            if kind == "header":
                self.endpoint = self.fixed or endpoint_of(f"{entry['exchange']}.") or self.endpoint
                return self._control(line, "configuration")
            seconds = entry["ts"]
            if type(connection) is not str or type(seconds) not in (int, float) or not 0 <= seconds < _LATEST:
                return self._control(line, "unreadable")
            self.time = _micros(repr(seconds))
            if kind == "recv":
                return self._payload(_body(entry), connection)
            if kind == "http":
                return self._payload(_body(entry), connection, self._speaks_of(entry["url"]))
            self._speaks_of(entry["addr"])
            if kind == "send":
                return self._control(line, "sent")
            if kind == "connect":
                self._open(connection)
                return self._control(line, "address")
            return self._control(line, "unreadable")
        except (KeyError, TypeError, ValueError, AttributeError):
            return self._control(line, "unreadable")


def _body(entry: dict[str, Any]) -> bytes:
    if "b64" in entry:
        return base64.b64decode(entry["b64"], validate=True)
    data: str = entry["data"]
    return data.encode()


def _micros(seconds: str) -> int:
    """Return seconds written with a point as microseconds; further digits are cut off."""
    whole, _, fraction = seconds.partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0")[:6])


def _asked_first(told: _Told, records: Iterator[ForeignRecord]) -> Iterator[ForeignRecord]:
    """Let book snapshots that come before any stream wait for the first one, together with what follows them."""
    waiting: list[ForeignRecord] = []
    for record in records:
        waiting.append(record)
        if told.streamed:
            break
        if len(waiting) > _DOUBTFUL_LINES or not _unasked_book(waiting[0]):
            yield waiting.pop(0)
    for record in waiting:
        yield told.asked(record) if _unasked_book(record) else record
    yield from records


def _unasked_book(record: ForeignRecord) -> bool:
    return record.payload.startswith(_BINANCE_BOOK) and not record.control and not record.request
