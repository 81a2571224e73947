"""`tapehouse incidents | mute | alert`: what is wrong, of what nobody is told, and whether the others can be."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from quality.incidents import Incident

SECOND = 1_000_000
TOUCHED_SHOWN = 5


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(incidents)
    app.command()(mute)
    app.command()(alert)


def incidents(
    every: Annotated[bool, typer.Option("--all", help="Show closed incidents as well, the newest first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List open incidents: what is wrong, since when, what it touches, what to do. Exit code 1 if one is an error."""
    from orchestration.values import read_settings
    from quality.incidents import read_open, read_since
    from stores.warehouse import Warehouse

    warehouse = Warehouse(read_settings().warehouse)
    found = read_since(warehouse, 0) if every else read_open(warehouse)
    found.sort(key=lambda one: (not one.is_open, one.severity != "error", -one.opened_time))
    if as_json:
        sys.stdout.write(json.dumps({"incidents": [as_plain(one) for one in found]}, indent=2) + "\n")
    elif not found:
        typer.echo("no incident was ever opened" if every else "no incident is open")
    else:
        _print(found)
    if any(one.is_open and one.severity == "error" for one in found):
        raise typer.Exit(1)


def as_plain(incident: "Incident") -> dict[str, Any]:
    """Return an incident as JSON takes it: times in ISO 8601, evidence and lineage as values."""
    told = asdict(incident)
    for name in ("opened_time", "closed_time", "known_time"):
        told[name] = _time(told[name]).isoformat() if told[name] else None
    told["evidence"] = json.loads(incident.evidence or "{}")
    for name in ("upstream", "downstream"):
        told[name] = [key for key in told[name].split(", ") if key]
    return told | {"repair_s": incident.repair_s}


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / SECOND, UTC)


def _print(found: "list[Incident]") -> None:
    from orchestration.cli.tables import plain, printer

    table = plain("id", "state", "severity", "kind", "opened (UTC)", "took", "rows", "what", right={"rows", "took"})
    for one in found:
        took = "" if one.repair_s is None else str(timedelta(seconds=round(one.repair_s)))
        rows = f"{one.affected_rows:,}" if one.affected_rows else ""
        colour = "none" if not one.is_open else "red" if one.severity == "error" else "yellow"
        what = one.title if not one.is_open else "\n".join([one.title, *_touched(one), one.next_step])
        opened = f"{_time(one.opened_time):%Y-%m-%d %H:%M:%S}"
        table.add_row(one.incident_id, one.state, one.severity, one.kind, opened, took, rows, what, style=colour)
    printer().print(table)


def _touched(incident: "Incident") -> list[str]:
    touched = [key for key in incident.downstream.split(", ") if key]
    more = f" and {len(touched) - TOUCHED_SHOWN} more" if len(touched) > TOUCHED_SHOWN else ""
    return [f"touches {', '.join(touched[:TOUCHED_SHOWN])}{more}"] if touched else []


def mute(
    pattern: Annotated[
        str, typer.Argument(help="An incident's id, or subjects with * for anything, as incidents --json shows them.")
    ] = "",
    hours: Annotated[float, typer.Option(min=0, help="For how long; 0 ends it.")] = 4,
    why: Annotated[str, typer.Option(help="The reason, for those who wonder.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Tell nobody of some incidents for a while, or list of which nobody is told. They stay open and are listed."""
    from orchestration.values import read_settings
    from quality.mutes import Mute, read_mutes, write_mute
    from stores.warehouse import Warehouse

    warehouse, now = Warehouse(read_settings().warehouse), int(datetime.now(UTC).timestamp() * SECOND)
    if pattern:
        write_mute(warehouse, Mute(pattern, now + int(hours * 3600 * SECOND), why, now))
    standing = read_mutes(warehouse, now)
    if as_json:
        told = [asdict(one) | {"until_time": _time(one.until_time).isoformat()} for one in standing]
        sys.stdout.write(json.dumps({"mutes": told}, indent=2) + "\n")
    elif not standing:
        typer.echo("nothing is muted")
    for one in () if as_json else standing:
        typer.echo(
            f"{one.pattern}: until {_time(one.until_time):%Y-%m-%d %H:%M} UTC{f', {one.reason}' * bool(one.reason)}"
        )


def alert(
    test: Annotated[bool, typer.Option("--test", help="Send a test alert to every receiver.")] = False,
    listen: Annotated[bool, typer.Option("--listen", help="Be a receiver: print alerts until Ctrl-C.")] = False,
    port: Annotated[
        int | None, typer.Option(help="Listen there; without it where alerts go while recordings play.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """List who is told of incidents; with --test tell them something. Exit code 1 if one could not be told."""
    from contracts.errors import TerminalError
    from orchestration.values import read_settings
    from quality.receivers import check, receiver_name, send_text

    settings = read_settings()
    if listen:
        _listen(settings.port("alerts") if port is None else port)
        return
    urls = settings.receivers
    if not urls:
        raise TerminalError(
            "nobody is to be told: alert_urls is empty; set TAPEHOUSE_ALERT_URLS to a JSON list of addresses as "
            'apprise takes them, for a webhook ["json://host:port/path"]'
        )
    check(urls)
    problems: dict[str, str] = {}
    body = "This is a test. An incident would say here since when it stands, what it touches and what to do."
    for url in urls:
        problems[receiver_name(url)] = send_text(url, "Tapehouse test alert", body) if test else ""
    if as_json:
        told = [
            {"receiver": name, "sent": test and not problem, "detail": problem} for name, problem in problems.items()
        ]
        sys.stdout.write(json.dumps({"receivers": told}, indent=2) + "\n")
    else:
        for name, problem in problems.items():
            typer.echo(f"{name}: {problem or ('sent' if test else 'configured; --test sends a test alert')}")
    if any(problems.values()):
        raise typer.Exit(1)


def _listen(port: int) -> None:
    from orchestration.cli.listening import listen

    def tell(title: str, text: str) -> None:
        typer.secho(f"{datetime.now(UTC):%H:%M:%S} {title}", bold=True)
        if text:
            typer.echo(text + "\n")

    listen(port, tell)
