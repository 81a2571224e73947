"""`tapehouse audit | rebuild`: nothing missing, nothing twice, and the same again from the tape."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from quality.audit import AuditReport

Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only this day (UTC).")]


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(audit)
    app.command()(rebuild)


def audit(
    day: Day = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is still under way.")] = 90.0,
) -> None:
    """Compare tape, Kafka, ledger and tables. Exit code 0 only if nothing is missing and nothing is there twice."""
    from rich.console import Console

    from assets.parity import run_audit
    from orchestration.cli.tables import printer
    from orchestration.values import read_settings

    console = Console(stderr=True)
    with console.status("auditing") as status:
        report = run_audit(
            read_settings().streams,
            day=day.date() if day else None,
            wait_s=wait,
            on_progress=lambda text: status.update(f"auditing: {text}"),
        )
    if as_json:
        verdict = {"missing": report.missing, "twice": report.twice, "balanced": report.balanced}
        sys.stdout.write(json.dumps({**verdict, "rows": [asdict(row) for row in report.rows]}, indent=2) + "\n")
    else:
        printer().print(table(report))
    if not report.balanced:
        raise typer.Exit(1)


def table(report: "AuditReport") -> "Table":
    """Return the report as a table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    verdict = "[green]balanced[/]" if report.balanced else "[red]not balanced[/]"
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"audit: {verdict}", title_justify="left", show_footer=True)
    sums = {"missing": report.missing, "twice": report.twice}
    for name in ("check", "topic", "dataset", "partition", "expected", "found", "missing", "twice"):
        footer = f"{sums[name]:,}" if name in sums else ""
        shown.add_column(name, footer, justify="left" if name in ("check", "topic", "dataset") else "right")
    for row in report.rows:
        colour = "red" if row.missing or row.twice else "none"
        partition = "all" if row.partition < 0 else str(row.partition)
        numbers = (row.expected, row.found, row.missing, row.twice)
        dataset = "" if row.dataset == row.topic else row.dataset
        shown.add_row(row.check, row.topic, dataset, partition, *(f"{n:,}" for n in numbers), style=colour)
    return shown


def rebuild(
    day: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day to rebuild (UTC).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch tables to look into.")] = False,
) -> None:
    """Rebuild a day's rows and bars from the lake's tape and compare. Exit code 0 only if all are equal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from assets.parity import run_rebuild
    from orchestration.cli.tables import printer
    from orchestration.settings import BARS_QUERY
    from orchestration.values import read_settings

    settings = read_settings()
    console = Console(stderr=True)
    with console.status("rebuilding") as status:
        found = run_rebuild(
            settings.streams,
            settings.spark,
            BARS_QUERY,
            day.date(),
            keep=keep,
            on_progress=lambda text: status.update(f"rebuilding {day:%Y-%m-%d}: {text}"),
        )
    equal = all(one.equal for one in found)
    if as_json:
        sys.stdout.write(json.dumps({"equal": equal, "tables": [asdict(one) for one in found]}, indent=2) + "\n")
    else:
        verdict = "[green]equal[/]" if equal else "[red]different[/]"
        shown = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{day:%Y-%m-%d}: {verdict}", title_justify="left")
        for name in ("table", "streamed", "rebuilt", "streamed hash", "rebuilt hash"):
            shown.add_column(name, justify="left" if name == "table" else "right")
        for one in found:
            hashes = (f"{one.streamed_hash:016x}", f"{one.rebuilt_hash:016x}")
            shown.add_row(one.table, f"{one.streamed_count:,}", f"{one.rebuilt_count:,}", *hashes)
        printer().print(shown)
        for one in found:
            if one.first_difference:
                printer().print(f"first difference in {one.table}: {one.first_difference}")
    if not equal:
        raise typer.Exit(1)
