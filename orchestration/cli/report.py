"""`tapehouse report`: one page that says how far a day's numbers can be trusted."""

import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestration.settings import Settings
    from quality.audit import AuditReport
    from quality.report.facts import Facts
    from quality.report.verdict import Verdict

# Of a day that is over nothing is under way; of a running one no wait is long enough.
AUDIT_WAIT_S = 10.0
COLORS = {"trusted": "green", "care": "yellow", "unknown": "bright_black", "distrust": "red"}


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    day: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day (UTC); without it the last day that has bars."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the page to this file instead of the folder of reports.")
    ] = None,
    audit: Annotated[bool, typer.Option("--audit/--no-audit", help="Audit the day for the report.")] = True,
    open_path: Annotated[
        bool, typer.Option("--open-path", help="Print the page's address alone: open it with a browser.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the facts as JSON, and write no page.")] = False,
) -> None:
    """Write a day's quality report: one HTML page that needs no network. Exit code 0 when it was written.

    The verdict is the first line that is printed; --json prints it with all the facts behind it.
    """
    from rich.console import Console

    from orchestration.values import read_settings
    from quality.report.files import report_path, write_page
    from quality.report.page import render
    from quality.report.verdict import judge

    settings = read_settings()
    with Console(stderr=True).status("reading the day"):
        facts = _facts(settings, day.date() if day else None, audit)
    verdict = judge(facts)
    if as_json:
        sys.stdout.write(_json(facts, verdict))
        return
    path = out or report_path(settings.data_dir / "reports", facts.day)
    size = write_page(path, render(facts))
    if open_path:
        typer.echo(path.resolve().as_uri())
        return
    typer.secho(f"{facts.day}: {verdict.sentence}", fg=COLORS[verdict.level.word])
    typer.echo(f"{path} ({size / 1000:,.0f} kB)" + ("" if out else f", {settings.pages.url(path)}"))


def _facts(settings: "Settings", day: date | None, audited: bool) -> "Facts":
    from dataclasses import replace
    from decimal import Decimal

    from quality.certificate import FOLDER, line
    from quality.report.reading import last_day, read_facts
    from stores.warehouse import Warehouse

    warehouse = Warehouse(settings.warehouse)
    day = day or last_day(warehouse)
    facts = read_facts(warehouse, day, min_score=Decimal(str(settings.min_score)))
    facts = replace(facts, certificate=line(settings.data_dir / FOLDER))
    return replace(facts, audit=_audited(settings, day)) if audited else facts


def _audited(settings: "Settings", day: date) -> "AuditReport | None":
    from assets.parity import run_audit
    from contracts.errors import TapehouseError

    try:
        return run_audit(settings.streams, day=day, wait_s=AUDIT_WAIT_S)
    except TapehouseError as error:
        # When a part of the platform is away a report is needed most: it then says that nobody audited.
        typer.secho(f"the audit could not be run: {error}", fg="yellow", err=True)
        return None


def _json(facts: "Facts", verdict: "Verdict") -> str:
    import orjson

    told = {
        "verdict": {
            "level": verdict.level.word,
            "sentence": verdict.sentence,
            "reasons": [{"level": one.level.word, "text": one.text, "section": one.section} for one in verdict.reasons],
        },
        "facts": facts,
    }
    return orjson.dumps(told, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
