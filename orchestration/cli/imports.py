"""`tapehouse import`: recorded history under the same contracts as live data."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from orchestration.settings import Settings
    from sources.importing.backfill import Span
    from sources.importing.files import Imported
    from sources.importing.part import Part
    from sources.importing.planning import Wish
    from sources.importing.records import Record
    from sources.importing.run import ImportSettings, Progressed

DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(bring)


def bring(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files or folders of history, or the instrument of a backfill."),
    ],
    venue: Annotated[str, typer.Option(help="Where it was traded; Lean's files say so in their path.")] = "",
    instrument: Annotated[str, typer.Option(help="What was traded, where neither name nor column tells it.")] = "",
    kind: Annotated[
        str, typer.Option("--as", help="What a table of its own columns holds: bars, trades, quotes.")
    ] = "",
    columns: Annotated[
        str, typer.Option(help="Its columns where their names don't tell: time=DATE,open=OPEN,high=HIGH,...")
    ] = "",
    zone: Annotated[str, typer.Option(help="The clock of times that name none, such as America/New_York.")] = "UTC",
    width: Annotated[int, typer.Option(min=0, help="How long the bars are, in seconds; 0: their usual step.")] = 0,
    space: Annotated[
        str, typer.Option("--id-space", help="The series that trade ids count in, where it is a venue's own.")
    ] = "",
    maps: Annotated[Path | None, typer.Option(help="The folder of Lean's map files, if it is not beside.")] = None,
    overlap: Annotated[
        bool, typer.Option("--overlap", help="Import rows without ids also for times that another file told.")
    ] = False,
    rest: Annotated[str, typer.Option(metavar="VENUE", help="Ask this venue's REST side instead of files.")] = "",
    ccxt: Annotated[str, typer.Option(metavar="VENUE", help="Ask a venue through ccxt, by ccxt's name for it.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=DAYS, help="Of a backfill: since (UTC).")] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=DAYS, help="Of a backfill: until, excluded; now if left out.")
    ] = None,
    bars: Annotated[bool, typer.Option("--bars", help="Of a backfill: one-minute bars instead of trades.")] = False,
    endpoint: Annotated[str, typer.Option(help="Of a backfill: which of the venue's feeds.")] = "",
    rest_url: Annotated[str, typer.Option(help="Of a backfill: another address than the venue's own.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Bring in recorded history: tape first, then the same topics, rules and tables as live data.

    What was imported is passed over; what was interrupted goes on where it was. Lines that can't be read or break a
    rule are quarantined with their reason. docs/import.md says what each kind of file becomes.
    """
    from orchestration.values import read_settings

    settings = read_settings()
    if rest or ccxt:
        span = _span(rest, ccxt, targets, endpoint, first, last, bars=bars)
        if dry_run:
            _tell([asdict(span)], as_json, f"would ask {span.venue} for {span.instrument}")
            return
        record = _backfill(settings, span, rest_url, through_ccxt=bool(ccxt))
        _tell([_summary(record, skipped=False)], as_json, _line(record, skipped=False))
        return
    wish = _wish(venue, instrument, kind, columns, zone, width, space, maps)
    _files(settings, [Path(one) for one in targets], wish, overlap=overlap, dry_run=dry_run, as_json=as_json)


def _wish(
    venue: str, instrument: str, kind: str, columns: str, zone: str, width: int, space: str, maps: Path | None
) -> "Wish":
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from contracts.errors import TerminalError
    from sources.history.columns import checked_kind, parsed_columns
    from sources.importing.planning import Wish

    checked_kind(kind)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise TerminalError(f"there is no zone {zone!r}; valid are names as UTC and America/New_York") from error
    said = parsed_columns(columns, kind or "bars") if columns else {}
    return Wish(venue, instrument, kind, said, zone, width, space, maps)


def _files(
    settings: "Settings", paths: list[Path], wish: "Wish", *, overlap: bool, dry_run: bool, as_json: bool
) -> None:
    from contracts.errors import TerminalError
    from sources.importing.planning import found_files, plan

    failures: list[tuple[Path, str]] = []
    told: list[dict[str, Any]] = []
    parts: list[tuple[Path, Part]] = []
    for path in found_files(paths):
        try:
            parts += [(path, part) for part in plan(path, wish)]
        except TerminalError as error:
            failures.append((path, str(error)))
    if dry_run:
        _tell([_planned(part) for _, part in parts], as_json, *(_plan_line(part) for _, part in parts))
    elif parts:
        done, failed = asyncio.run(_import(_import_settings(settings), parts, overlap))
        failures += failed
        told = [_summary(one.record, skipped=one.skipped) for one in done]
        _tell(told, as_json, *(_line(one.record, skipped=one.skipped) for one in done))
    for path, why in failures:
        typer.secho(" ".join(f"not imported: {path}: {why}".split()), fg="red", err=True)
    if failures:
        raise typer.Exit(1)


async def _import(
    settings: "ImportSettings", parts: "list[tuple[Path, Part]]", overlap: bool
) -> "tuple[list[Imported], list[tuple[Path, str]]]":
    from contracts.errors import TerminalError
    from sources.importing.files import import_part
    from sources.importing.run import sender

    done: list[Imported] = []
    failures: list[tuple[Path, str]] = []
    with sender(settings) as sending, _bars() as shown:
        for path, part in parts:

            def began(part: "Part", record: "Record") -> "Progressed":
                return shown.progressed(part.file, part.lines, max(record.cursor - part.skip - 1, 0))

            try:
                done.append(await import_part(sending, part, began, overlap=overlap))
            except TerminalError as error:
                failures.append((path, str(error)))
    return done, failures


def _span(
    rest: str,
    ccxt: str,
    targets: list[str],
    endpoint: str,
    first: datetime | None,
    last: datetime | None,
    *,
    bars: bool,
) -> "Span":
    from contracts.errors import TerminalError
    from sources import generic
    from sources.importing.backfill import Span, span_of

    if rest and ccxt:
        raise TerminalError("--rest and --ccxt are two ways to ask; name one")
    if len(targets) != 1:
        raise TerminalError(f"a backfill is of one instrument, not of {', '.join(targets)}")
    if first is None:
        raise TerminalError("a backfill needs --from: since when, as 2024-05-01")
    now = datetime.now(UTC)
    begin = first.replace(tzinfo=UTC)
    end = min(last.replace(tzinfo=UTC), now) if last else now
    if rest:
        return span_of(rest, endpoint, targets[0], begin, end, bars=bars)
    if not generic.known(ccxt):
        raise TerminalError(f"ccxt knows no venue {ccxt!r}; its names are as okx or bitstamp")
    if begin >= end:
        raise TerminalError(f"from {begin} to {end} is no span: the first time must come before the last")
    times = (int(time.timestamp()) * 1_000_000 for time in (begin, end))
    return Span(ccxt, "rest", targets[0], bars, *times)


def _backfill(settings: "Settings", span: "Span", rest_url: str, *, through_ccxt: bool) -> "Record":
    import aiohttp

    from sources.importing.backfill import Asker, endpoint_of
    from sources.importing.ccxt_backfill import CcxtAsker
    from sources.importing.run import sender

    async def run() -> "Record":
        with sender(_import_settings(settings)) as sending, _bars() as shown:
            record = sending.records.read(span.record.connection_id) or span.record
            if record.finished:
                return record
            async with aiohttp.ClientSession() as session:
                key = settings.api_keys.get(span.venue, "")
                asker: Asker | CcxtAsker = (
                    CcxtAsker(span, rest_url, session)
                    if through_ccxt
                    else Asker(span, endpoint_of(span, rest_url, key), session)
                )
                total = span.to_time - span.from_time
                return await sending.send(record, asker.payloads, shown.progressed(record.file, total, 0))

    return asyncio.run(run())


def _import_settings(settings: "Settings") -> "ImportSettings":
    from sources.importing.run import ImportSettings

    return ImportSettings(settings.broker, settings.registry, settings.data_dir / "imports")


class _Shown:
    """Bars on a terminal; on what is none, a line for each part."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars

    def progressed(self, name: str, total: int, done: int) -> "Progressed":
        """Begin a bar; the answer moves it."""
        if self._bars is None:
            typer.echo(f"importing {name}", err=True)
            return lambda record, units: None  # noqa: ARG005
        task = self._bars.add_task(name, total=max(total, 1), completed=done)

        def move(record: "Record", units: int) -> None:
            told = f"{name}: {record.rows:,} rows" + (f", {record.refused:,} refused" if record.refused else "")
            self._bars.update(task, advance=units, description=told)

        return move


@contextmanager
def _bars() -> "Iterator[_Shown]":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _Shown(None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as shown:
        yield _Shown(shown)


def _planned(part: "Part") -> dict[str, Any]:
    layout = part.layout
    return {
        "file": part.file,
        "member": part.member,
        "kind": layout.kind,
        "venue": layout.venue,
        "instruments": list(part.instruments),
        "id_space": layout.space,
        "lines": part.lines,
        "from": _time(part.first_time),
        "to": _time(part.last_time),
        "columns": list(layout.columns),
        "time": asdict(layout.time),
        "width_s": layout.width_s,
        "looked_at": part.sampled,
        "unreadable": part.unread,
        "reasons": list(part.reasons),
    }


def _plan_line(part: "Part") -> str:
    told = _planned(part)
    refused = f"; {part.unread} of {part.sampled} looked at can't be read: {part.reasons[0]}" if part.unread else ""
    instruments = ", ".join(part.instruments) or "many instruments"
    return (
        f"{part.file}: {part.lines:,} lines, {part.layout.kind} of {instruments} "
        f"at {told['venue']} ({told['id_space']}), {told['from']} to {told['to']}{refused}"
    )


def _summary(record: "Record", *, skipped: bool) -> dict[str, Any]:
    return asdict(record) | {"skipped": skipped}


def _line(record: "Record", *, skipped: bool) -> str:
    what = ", ".join(record.instruments) or "several instruments"
    refused = f", {record.refused:,} quarantined" if record.refused else ""
    if skipped:
        return f"{record.file}: imported before, on {record.finished}"
    return f"{record.file}: {record.rows:,} rows of {record.kind} of {what} at {record.venue}{refused}"


def _tell(told: list[dict[str, Any]], as_json: bool, *lines: str) -> None:
    if as_json:
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        typer.echo("\n".join(lines))


def _time(micros: int) -> str:
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat() if micros else ""
