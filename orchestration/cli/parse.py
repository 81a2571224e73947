"""`tapehouse parse`: recorded files as contract events, every line of them accounted for."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sources.explain import Explanation

_BATCH = 256
# Work that is done sooner shows no progress.
_SILENT_S = 2.0
_SUMMARY_BEGINS = b'{\n  "lines"'

Events = Iterator[tuple[str, dict[str, Any]]]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(parse)


def parse(
    venue: Annotated[str, typer.Argument(help="The venue that was recorded.")],
    files: Annotated[
        list[Path],
        typer.Argument(help="Recordings of cryptofeed or hftbacktest: plain, gzip or zstd.", metavar="FILE..."),
    ],
    summary: Annotated[
        Path | None, typer.Option(help="Write counts of messages, events, gaps, checksums and reasons to this file.")
    ] = None,
    endpoint: Annotated[str, typer.Option(help="The venue's endpoint, where the files don't tell it.")] = "",
    instruments: Annotated[bool, typer.Option("--instruments", help="Print instruments too.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print no events.")] = False,
) -> None:
    """Print what recordings hold as JSON lines: trade, quote, book_snapshot, book_delta and bar.

    Several files are merged by the time of receipt. When one can't be read to its end, what came before is printed, no
    summary is written, and the exit code is 1.
    """
    import orjson

    from contracts.errors import TerminalError
    from sources.explain import Explanation, recorded
    from sources.venues import venue as venue_named

    known = venue_named(venue)
    valid = [one.name for one in known.endpoints]
    if endpoint and endpoint not in valid:
        raise TerminalError(f"{venue} has no endpoint {endpoint!r}; valid: {', '.join(valid)}")
    if summary:
        _make_room(summary)
    began = time.monotonic()
    explanation = Explanation(known, instruments)
    events = explanation.read(recorded(files, endpoint))
    tick = _progress(explanation)
    if quiet:
        _count(events, tick)
    elif not _print(events, tick) and summary:
        # Nobody reads the events any more, but the counts are wanted.
        _count(events, tick)
    if summary:
        counts = explanation.summary() | {"seconds": round(time.monotonic() - began, 3)}
        try:
            summary.write_bytes(orjson.dumps(counts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise TerminalError(f"{summary} can't be written: {error.strerror}") from error


def _make_room(summary: Path) -> None:
    """Remove the summary of an earlier run, which a failing one must not leave behind; never another file."""
    from contracts.errors import TerminalError

    if not summary.parent.is_dir():
        raise TerminalError(f"{summary} can't be written: {summary.parent} is no folder")
    if summary.is_dir():
        raise TerminalError(f"{summary} is a folder; name a file for the summary")
    if summary.is_file():
        with summary.open("rb") as file:
            beginning = file.read(len(_SUMMARY_BEGINS))
        if beginning not in (b"", _SUMMARY_BEGINS):
            raise TerminalError(f"{summary} exists and is no summary; name another file or remove it")
        summary.unlink()


class _Stdout:
    """Standard output whose readers may leave, as in `| head`: no complaint then, not even at the interpreter's end."""

    def __init__(self) -> None:
        self.read = True
        self._out = sys.stdout.buffer

    def write(self, lines: list[bytes]) -> None:
        """Write the lines and forget them."""
        try:
            if self.read:
                self._out.write(b"".join(lines))
                self._out.flush()
        except BrokenPipeError:
            self.read = False
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        lines.clear()


def _print(events: Events, tick: Callable[[], None]) -> bool:
    """Write events to stdout until they or its readers end; return whether somebody read all of them."""
    from sources.event_lines import event_line

    out = _Stdout()
    lines: list[bytes] = []
    try:
        for kind, row in events:
            lines.append(event_line(kind, row))
            if len(lines) >= _BATCH:
                out.write(lines)
                tick()
            if not out.read:
                break
    finally:
        out.write(lines)
    return out.read


def _count(events: Events, tick: Callable[[], None]) -> None:
    for number, _ in enumerate(events):
        if not number % _BATCH:
            tick()


def _progress(explanation: "Explanation") -> Callable[[], None]:
    """Return what shows, called often, now and then how far it is: on a terminal, where it takes long."""
    if not sys.stderr.isatty():
        return lambda: None
    shown = time.monotonic() + _SILENT_S - 1

    def tick() -> None:
        nonlocal shown
        if (now := time.monotonic()) >= shown + 1:
            shown = now
            typer.echo(f"{explanation.messages:,} messages, {explanation.events.total():,} events", err=True)

    return tick
