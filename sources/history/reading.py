"""Any file of recorded history, by its name, else by what is in it."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson

from contracts.errors import TerminalError
from contracts.history import Recorded
from sources.history import books, feeds, generic, kraken_rest
from sources.history.lean import read_lean
from sources.history.lean_names import beside, lean_name
from sources.history.lean_reference import read_lean_reference, read_universe
from sources.unpack import unpacked

_REFERENCE = ("factors", "maps", "universe")
_PARQUET = b"PAR1"
_LARGEST = 1 << 31


def read(path: Path, kind: str = "", columns: Mapping[str, str] | None = None) -> list[Recorded]:
    """Return the series of a file; with `kind` it is a table whose `columns` (ours to theirs) are named.

    Raises TerminalError when the file can't be read or nothing tells what it holds.
    """
    if not path.is_file():
        raise TerminalError(f"{path} is no file")
    name = None if kind or columns else lean_name(path)
    if name:
        return read_lean_reference(path, name) if name.kind in _REFERENCE else read_lean(path, name)
    with path.open("rb") as file:
        magic = file.read(4)
    if magic == _PARQUET:
        found = generic.read_parquet(path, kind, columns or {})
    elif not kind and feeds.is_feed(path):
        found = feeds.read_feed(path)
    else:
        found = _text(path, kind, columns or {})
    if not found:
        raise TerminalError(
            f"nothing tells what {path} holds; name it with --as bars|trades|quotes|books and "
            "--columns time=DATE,open=OPEN,..."
        )
    return found


def companions(path: Path) -> Iterator[Path]:
    """Yield the files beside this one that speak of the same instrument."""
    name = lean_name(path)
    if name:
        yield from beside(path, name)
    elif path.suffix == ".json" and ("ohlc" in path.name or "trades" in path.name):
        front = path.name.partition("http_")[0]
        yield from sorted(
            one for one in path.parent.glob("*.json") if one != path and one.name.partition("http_")[0] == front
            and ("http_ohlc" in one.name or "http_trades" in one.name)
        )  # fmt: skip


def _text(path: Path, kind: str, columns: Mapping[str, str]) -> list[Recorded]:
    data = _content(path)
    beginning = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if beginning[:1] in (b"{", b"["):
        return _json(path, data, kind, columns)
    text = data.decode("utf-8", "replace")
    first = text.lstrip("\ufeff").split("\n", 1)[0].rstrip("\r")
    header = [name.strip() for name in next(csv.reader([first]), [])]
    if not kind and books.is_depth(header):
        return books.read_depth(path, text, header)
    if not kind and books.is_snapshots(header):
        return books.read_snapshots(path, text, header)
    if not kind and header[:3] == ["#expiry", "strike", "right"]:
        return read_universe(path)
    return generic.read_csv(path, text, kind, columns)


def _content(path: Path) -> bytes:
    pieces, size = [], 0
    for piece in unpacked(path):
        size += len(piece)
        if size > _LARGEST:
            raise TerminalError(f"{path} unpacks to more than {_LARGEST} bytes; split it")
        pieces.append(piece)
    return b"".join(pieces)


def _json(path: Path, data: bytes, kind: str, columns: Mapping[str, str]) -> list[Recorded]:
    try:
        document = orjson.loads(data.lstrip(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        lines = [line for line in data.split(b"\n") if line.strip()]
        objects = []
        for line in lines:
            try:
                objects.append(orjson.loads(line))
            except orjson.JSONDecodeError:
                objects.append(line[:200].decode("utf-8", "replace"))
        if not any(isinstance(one, dict) for one in objects):
            raise TerminalError(f"{path} is neither JSON nor JSON lines: {error}") from error
        return generic.read_objects(path, objects, kind, columns)
    if kraken_rest.is_answer(document):
        return kraken_rest.read_answer(path, document)
    if isinstance(document, list):
        return generic.read_objects(path, document, kind, columns)
    return []
