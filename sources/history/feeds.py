"""Raw feeds that others recorded (cryptofeed, hftbacktest), through the venues' own parsers."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl

from contracts.errors import TapehouseError, TerminalError
from contracts.history import Recorded
from sources.explain import Explanation, Lines, recorded
from sources.foreign import foreign_lines
from sources.history.cells import DECIMAL, UNREADABLE, nothing_unreadable
from sources.venues import VENUES, venue

_UTC = pl.Datetime("us", "UTC")
_TIMES = {"time": _UTC, "received_time": _UTC}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "trade": {"trade_id": pl.Int64, "price": DECIMAL, "quantity": DECIMAL, "side": pl.String},
    "quote": dict.fromkeys(("bid_price", "bid_quantity", "ask_price", "ask_quantity"), DECIMAL),
    "bar": dict.fromkeys(("open", "high", "low", "close", "volume"), DECIMAL),
}
_KINDS = {"trade": "trades", "quote": "quotes"}
# A feed in none of our venues' forms is still a recording: its lines are counted, nothing more.
_DOUBTED = 64


def is_feed(path: Path) -> bool:
    """Tell whether the file is a recording in a known form, by its first lines."""
    try:
        for number, record in enumerate(foreign_lines(path)):
            if record.control == "unreadable":
                return False
            if record.payload and not record.control:
                return True
            if number > _DOUBTED:
                return False
    except TapehouseError:
        return False
    return False


def read_feed(path: Path) -> list[Recorded]:
    """Return trades and quotes by instrument and id space, and one `feed` whose notes hold what the parser counted.

    A row's line is the message's number on its connection. A venue without a parser gives the feed alone.
    """
    name = _venue_of(path)
    if not name:
        return [_unparsed(path)]
    explanation = Explanation(venue(name))
    cells: dict[tuple[str, str, str], dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    order = _Order()
    for kind, row in explanation.read(order.watch(recorded([path]))):
        if kind not in _KINDS:
            continue
        part = cells[kind, row["instrument"], row["id_space"]]
        part["line"].append(row["message_number"])
        part["time"].append(row["event_time"])
        part["received_time"].append(row["received_time"])
        part["on"].append(row.get("event_clock", "venue"))
        for column in _SCHEMAS[kind]:
            part[column].append(row[column])
    found = [_series(path, name, key, part) for key, part in sorted(cells.items())]
    summary = explanation.summary() | order.notes()
    return [*found, _feed(path, name, summary)]


class _Order:
    """Watches the lines of a recording: whether its clock steps back, and whether lines come twice."""

    def __init__(self) -> None:
        self._last = 0
        self._seen: set[int] = set()
        self._back = self._forth = self._again = 0

    def watch(self, lines: Lines) -> Lines:
        """Pass the lines on."""
        for line in lines:
            record = line[1]
            if not record.control:
                self._back += record.received_time < self._last
                self._forth += record.received_time > self._last
                self._last = record.received_time
                key = hash((record.received_time, record.connection, record.payload))
                self._again += key in self._seen
                self._seen.add(key)
            yield line

    def notes(self) -> dict[str, object]:
        """Return the counts."""
        return {"receipt_steps_back": self._back, "receipt_steps_forth": self._forth, "lines_again": self._again}


def _series(path: Path, name: str, key: tuple[str, str, str], part: dict[str, list[Any]]) -> Recorded:
    kind, instrument, id_space = key
    columns = dict(part)
    clocks = columns.pop("on")
    schema = {"line": pl.Int64, **_TIMES, **_SCHEMAS[kind]}
    if kind == "trade":
        ids = columns["trade_id"]
        counted = all(str(one).isdigit() and len(str(one)) < 19 for one in ids)
        columns["trade_id"] = [int(one) for one in ids] if counted else [str(one) for one in ids]
        schema["trade_id"] = pl.Int64 if counted else pl.String
    frame = pl.DataFrame({name: pl.Series(name, columns[name], dtype=_raw(schema[name])) for name in schema})
    frame = frame.with_columns(pl.col("time", "received_time").cast(_UTC))
    if "collector" in clocks:  # the venue tells no time: there is one clock, and nothing to compare
        frame = frame.drop("received_time")
    return Recorded(
        _KINDS[kind], path.name, instrument, frame, nothing_unreadable(),
        venue=name, market="crypto", file=str(path), notes={"id_space": id_space, "feed": True},
    )  # fmt: skip


def _raw(dtype: Any) -> Any:
    return pl.Int64 if dtype == _UTC else dtype


def _feed(path: Path, name: str, summary: dict[str, object]) -> Recorded:
    refused: dict[str, int] = summary["quarantined"]  # type: ignore[assignment]
    lost = pl.DataFrame(
        [(0, f"{count} messages", reason) for reason, count in refused.items()], schema=UNREADABLE, orient="row"
    )
    frame = pl.DataFrame(schema={"line": pl.Int64, "time": _UTC})
    return Recorded("feed", path.name, "", frame, lost, venue=name, market="crypto", file=str(path), notes=summary)


def _unparsed(path: Path) -> Recorded:
    """Count what a feed without a parser holds, and whether a message came twice."""
    times, payloads = [], []
    for record in foreign_lines(path):
        if not record.control:
            times.append(record.received_time)
            payloads.append(record.payload)
    frame = pl.DataFrame({"line": range(1, len(times) + 1), "time": times}).with_columns(
        pl.col("line").cast(pl.Int64), pl.col("time").cast(_UTC)
    )
    notes = {"messages": len(times), "unparsed": True, "repeated": len(payloads) - len(set(payloads))}
    return Recorded("feed", path.name, "", frame, nothing_unreadable(), market="crypto", file=str(path), notes=notes)


def _venue_of(path: Path) -> str:
    """Name the venue that the recording is of: by its name, else by the first whose parser knows its messages."""
    lowered = path.name.lower()
    by_name = next((name for name in VENUES if name in lowered), "")
    if by_name:
        return by_name
    for name in VENUES:
        try:
            explanation = Explanation(venue(name))
            for number, _ in enumerate(explanation.read(recorded([path]))):
                if number >= _DOUBTED:
                    break
            if explanation.events.total():
                return name
        except TerminalError:
            continue
    return ""
