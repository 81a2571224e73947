"""Pieces of files and answers to backfills, to events. Pure; any bytes at all give at least one event."""

import csv

from contracts.corporate_actions import CORPORATE_ACTIONS
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from sources.events import Event, Ignored, Rejected
from sources.fields import Fault
from sources.importing.layout import Layout, read_request
from sources.importing.rows import Line, readers

FILE, REST = "file", "rest"
# The endpoint of every venue that is asked through ccxt.
CCXT = "rest"
DATASETS = {
    "bars": VENUE_BARS.name,
    "quote_bars": VENUE_BARS.name,
    "trades": TRADES.name,
    "quotes": QUOTES.name,
    "factors": CORPORATE_ACTIONS.name,
    "maps": CORPORATE_ACTIONS.name,
}
_SHOWN = 4096


def rest_request(venue: str, endpoint: str, target: str) -> str:
    """Return what the tape keeps beside an answer of a venue's REST side."""
    return f"{venue} {endpoint} {target}"


def parse(endpoint: str, payload: bytes, request: str = "") -> list[Event]:
    """Return the events of a piece of a file, or of a venue's answer, which the venue's own parser reads."""
    if endpoint == REST:
        return _answer(payload, request)
    if endpoint != FILE:
        return [Rejected("tape", "unknown_message", f"an import of {endpoint[:64]!r}")]
    try:
        layout, first = read_request(request)
    except ValueError as error:
        return [Rejected("tape", "unknown_message", str(error)[:200])]
    return _lines(layout, payload, first) or [Ignored("no_trades")]


def _answer(payload: bytes, request: str) -> list[Event]:
    # Venues know all their parsers, of which this is one.
    from contracts.errors import TerminalError
    from sources import generic
    from sources.venues import venue

    name, _, rest = request.partition(" ")
    endpoint, _, target = rest.partition(" ")
    try:
        # ccxt's names for venues are ours too where they have a folder of their own.
        known = generic.venue(name) if endpoint == CCXT else venue(name)
    except TerminalError as error:
        return [Rejected("tape", "unknown_message", str(error)[:200])]
    return known.parse(endpoint, payload, target)


def _lines(layout: Layout, payload: bytes, first: int) -> list[Event]:
    read = readers(layout)
    events: list[Event] = []
    for number, raw in enumerate(payload.split(b"\n"), first):
        if not raw.strip():
            continue
        try:
            events += read(Line(number, cells(layout, raw)))
        except Fault as fault:
            detail = f"line {number}: {fault.detail}"
            events.append(Rejected(DATASETS[layout.kind], fault.reason, detail, raw[:_SHOWN]))
    return events


def _quoted(text: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=separator), [])
    except csv.Error as error:
        raise Fault("wrong_type", f"quotes that can't be read: {error}") from None


def cells(layout: Layout, raw: bytes) -> dict[str, str]:
    """Return the cells of a line by our names, blanks at their ends cut off; Fault where they are not as many."""
    text = raw.decode("utf-8", "replace").rstrip("\r").lstrip("\ufeff")
    found = _quoted(text, layout.separator) if '"' in text else text.split(layout.separator)
    wanted = len(layout.columns)
    if len(found) == wanted + 1 and not found[-1].strip():
        found = found[:-1]  # a separator at the end is no cell more
    elif (layout.fewest or wanted) <= len(found) < wanted:
        found = [*found, *[""] * (wanted - len(found))]
    if len(found) != wanted:
        raise Fault("wrong_type", f"{len(found)} cells where {wanted} are expected")
    return {name: cell.strip() for name, cell in zip(layout.columns, found, strict=True) if name}
