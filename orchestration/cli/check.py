"""`tapehouse check`: what is wrong in files of recorded history, or in a stored range."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from contracts.history import Recorded
    from quality.history.finding import Finding

# Beside 1 (it failed), 2 (wrong usage), 3 (nothing runs).
EXIT_CODES = {"info": 0, "warn": 4, "error": 5}
COLOURS = {"info": "cyan", "warn": "yellow", "error": "red"}
EVIDENCE_SHOWN = 4


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)


def check(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="Files of history, or one dataset such as market.bars."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    kind: Annotated[
        str, typer.Option("--as", help="What a table of its own columns holds: bars, trades, quotes or books.")
    ] = "",
    columns: Annotated[
        str, typer.Option(help="Its columns where their names don't tell: time=DATE,open=OPEN,high=HIGH,...")
    ] = "",
    against: Annotated[
        list[Path] | None, typer.Option(help="Another file of the same instrument to compare with; may be given again.")
    ] = None,
    venue: Annotated[str | None, typer.Option(help="Of a dataset: only this venue's rows.")] = None,
    instrument: Annotated[str, typer.Option(help="Of a dataset: the instrument, in the venue's symbols.")] = "",
    since: Annotated[str | None, typer.Option("--from", help="Of a dataset: from this day or time (UTC).")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Of a dataset: up to this day or time, excluded.")] = None,
) -> None:
    """List what is wrong in files or a stored range. Exit code 0: at most info, 4: a warning, 5: an error.

    Files are known by Lean's names (a path in its Data folder, also with / as __) or by their content; files of the
    same instrument beside them are looked at too. `tapehouse checks` is another command: it puts a day's stored rows
    to the suites' claims.
    """
    from quality.history.finding import worst

    stored = [one for one in targets if one.startswith("market.") and not Path(one).exists()]
    if stored:
        told = _stored(stored, targets, instrument, venue, since, until)
    else:
        told = _files([Path(one) for one in targets], kind, columns, against or [])
    findings = [one for _, found in told for one in found]
    severity = worst(findings)
    if as_json:
        sys.stdout.write(json.dumps(_document(told, severity), indent=2, ensure_ascii=False) + "\n")
    else:
        _print(told, severity)
    if EXIT_CODES[severity]:
        raise typer.Exit(EXIT_CODES[severity])


Told = list[tuple[dict[str, Any], "list[Finding]"]]


def _files(paths: list[Path], kind: str, columns: str, against: list[Path]) -> Told:
    from dataclasses import replace

    from quality.history.examine import examine
    from sources.history.columns import checked_kind, parsed_columns
    from sources.history.reading import companions, read

    checked_kind(kind)
    said = parsed_columns(columns, kind or "bars") if columns else {}
    others: list[Recorded] = []
    for path in against:
        others += [replace(one, notes={**one.notes, "against": True}) for one in read(path, kind, said)]
    told: Told = []
    for path in paths:
        series = read(path, kind, said)
        beside = [] if kind else [one for other in companions(path) for one in _beside(other)]
        found = examine(series, [*others, *beside])
        about = {"file": str(path), "against": sorted({one.file for one in (*others, *beside)})}
        told.append((about | {"series": [_series(one) for one in series[:20]], "series_count": len(series)}, found))
    return told


def _beside(path: Path) -> "list[Recorded]":
    """Read a file that lies beside the one asked about; one that can't be read tells nothing of that one."""
    from contracts.errors import TerminalError
    from sources.history.reading import read

    try:
        return read(path)
    except TerminalError as error:
        typer.echo(f"left out of the comparison: {error}", err=True)
        return []


def _stored(
    stored: list[str], targets: list[str], instrument: str, venue: str | None, since: str | None, until: str | None
) -> Told:
    from contracts.errors import TerminalError
    from orchestration.stored_history import stored_history
    from orchestration.values import read_settings
    from quality.history.examine import examine

    if len(targets) > 1:
        raise TerminalError(f"{stored[0]} is a dataset: name it alone, or files alone")
    if not instrument:
        raise TerminalError(f"{stored[0]} holds many instruments; name one with --instrument")
    series = stored_history(read_settings().warehouse, stored[0], instrument, venue, since, until)
    if not series:
        raise TerminalError(f"{stored[0]} has no rows of {instrument} there; `tapehouse latest` lists instruments")
    about = {"file": stored[0], "against": [], "series": [_series(one) for one in series], "series_count": len(series)}
    return [(about, examine(series))]


def _series(one: "Recorded") -> dict[str, Any]:
    return {
        "kind": one.kind,
        "dataset": one.dataset,
        "instrument": one.instrument,
        "rows": one.frame.height,
        "unreadable": one.unreadable.height,
    }


def _document(told: Told, severity: str) -> dict[str, Any]:
    findings = [one for _, found in told for one in found]
    return {
        "severity": severity,
        "exit_code": EXIT_CODES[severity],
        "counts": {name: sum(one.severity == name for one in findings) for name in EXIT_CODES},
        "files": [about for about, _ in told],
        "findings": [one.told() for one in findings],
    }


def _print(told: Told, severity: str) -> None:
    from rich.markup import escape

    from orchestration.cli.tables import printer

    console = printer()
    for about, found in told:
        rows = sum(one["rows"] for one in about["series"])
        kinds = ", ".join(dict.fromkeys(one["kind"] for one in about["series"]))
        more = (
            ""
            if about["series_count"] <= len(about["series"])
            else f" in the first 20 of {about['series_count']} series"
        )
        beside = f", with {len(about['against'])} files beside it" if about["against"] else ""
        console.print(f"{about['file']}: {kinds}, {rows:,} rows{more}{beside}", markup=False)
        for one in found:
            span = " to ".join(dict.fromkeys(f"{at:%Y-%m-%d %H:%M:%S}" for at in (one.since, one.until) if at))
            head = f"[{COLOURS[one.severity]}]{one.severity:5}[/] {one.check}: {escape(one.instrument)}"
            console.print(f"{head} {one.rows:,} rows {span}".rstrip())
            console.print(f"      {one.deduction}", markup=False)
            for line in _evidence(one.told()["evidence"]):
                console.print(f"      {line}", markup=False)
        if not found:
            console.print("      nothing found")
    counts = [sum(one.severity == name for _, found in told for one in found) for name in ("error", "warn", "info")]
    console.print(f"{counts[0]} errors, {counts[1]} warnings, {counts[2]} notes: exit code {EXIT_CODES[severity]}")


def _evidence(evidence: dict[str, Any]) -> list[str]:
    """Return the numbers that decided, in a line, and the first rows."""
    numbers = {name: value for name, value in evidence.items() if not isinstance(value, list | dict)}
    lines = [", ".join(f"{name}={value}" for name, value in list(numbers.items())[:EVIDENCE_SHOWN])] if numbers else []
    if evidence.get("lines"):
        first = [str(line) for line in evidence["lines"][:8]]
        lines.append(f"lines {', '.join(first)}{', ...' if len(evidence['lines']) > 8 else ''}")
    for name in ("ranges", "jumps"):
        lines += [", ".join(f"{key}={value}" for key, value in one.items()) for one in evidence.get(name, [])[:3]]
    return lines
