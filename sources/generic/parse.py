"""What the poller wrote down to events. Pure, without ccxt; any bytes at all give at least one event."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.instruments import INSTRUMENTS
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources.events import Event, Ignored, Rejected
from sources.fields import Fault, Message, field, shown, wrong_type
from sources.generic import config
from sources.generic.bars import bar
from sources.generic.question import asked
from sources.generic.reference import instrument
from sources.generic.trades import trade

UNREAD = "unread/"
"""What begins the request of an answer that ccxt could make nothing of; the payload is the answer as it came."""

_DATASETS = {config.TRADES: TRADES.name, config.BARS: VENUE_BARS.name, config.INSTRUMENTS: INSTRUMENTS.name}


@dataclass(frozen=True)
class Parse:
    """The parser of one venue."""

    venue: str

    def __call__(self, endpoint: str, payload: bytes, request: str = "") -> list[Event]:  # noqa: ARG002 - there is one
        """Return an event for each entry; one that can't be accepted does not harm its neighbours."""
        if request.startswith(UNREAD):
            return [Rejected("tape", "unknown_message", f"ccxt can't read this answer to {shown(request)}")]
        kind, symbol = asked(request)
        dataset = _DATASETS.get(kind)
        if dataset is None:
            return [Rejected("tape", "unknown_message", f"an answer to {shown(request)}")]
        try:
            message = orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            return [Rejected("tape", "malformed_json", str(error)[:200])]
        try:
            if type(message) is not dict:
                raise wrong_type("answer", message, "object")
            entries = field(message, "entries")
            if type(entries) is not list:
                raise wrong_type("entries", entries, "list")
        except Fault as fault:
            return [fault.rejected(dataset)]
        return _each(dataset, entries, self._reader(kind, symbol, message, entries)) or [Ignored("no_trades")]

    def _reader(self, kind: str, symbol: str, message: Message, entries: list[Any]) -> Callable[[Any], Event]:
        if kind == config.TRADES:
            counts: Counter[str] = Counter()
            return lambda entry: trade(self.venue, symbol, _object(entry), counts)
        if kind == config.BARS:
            # The venue may still be at the newest; those before it were followed by another.
            newest = max((start for start in map(_start, entries) if start is not None), default=None)
            return lambda entry: bar(self.venue, symbol, entry, "provisional" if _start(entry) == newest else "final")
        return lambda entry: instrument(self.venue, _object(entry), message.get("precision_mode"))


def _start(entry: object) -> int | None:
    start = entry[0] if type(entry) is list and entry else None
    return start if type(start) is int else None


def _object(entry: object) -> Message:
    if type(entry) is not dict:
        raise wrong_type("entry", entry, "object")
    return entry


def _each(dataset: str, entries: list[Any], read: Callable[[Any], Event]) -> list[Event]:
    events: list[Event] = []
    for place, entry in enumerate(entries):
        try:
            events.append(read(entry))
        except Fault as fault:
            events.append(Rejected(dataset, fault.reason, f"entry {place}: {fault.detail}"))
    return events
