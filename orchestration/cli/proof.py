"""`tapehouse audit | rebuild`: nothing missing, nothing twice, and the same again from the tape."""

import json
import sys
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from quality.audit import AuditReport
    from spark.comparison import Comparison, InstrumentComparison

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
    """Rebuild a day's rows and bars from the lake's tape, compare, keep the outcome. Exit code 0 if all are equal."""
    from rich.console import Console

    from assets.parity import run_rebuild
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
    if as_json:
        sys.stdout.write(json.dumps(told(found), indent=2) + "\n")
    else:
        show(found, day.date())
    if not all(one.equal for one in found):
        raise typer.Exit(1)


def told(found: "list[Comparison]") -> dict[str, Any]:
    """Return what a rebuild came to for programs: of its instruments only those that differ."""
    from spark.comparison import first_difference, share_equal

    first = first_difference(found)
    return {
        "equal": all(one.equal for one in found),
        "share_equal": float(share_equal(found)),
        "first_difference": None if first is None else different(first),
        "tables": [
            {
                "table": one.table,
                "equal": one.equal,
                "streamed_count": one.streamed_count,
                "rebuilt_count": one.rebuilt_count,
                "streamed_hash": one.streamed_hash,
                "rebuilt_hash": one.rebuilt_hash,
                "first_difference": one.first_difference,
                "instruments": len(one.instruments),
                "different": [different(other) for other in one.different],
            }
            for one in found
        ],
    }


def different(one: "InstrumentComparison") -> dict[str, Any]:
    """Return an instrument that differs: where, how, and the place on the tape, with numbers of -1 where unknown."""
    place = one.difference.place._asdict() if one.difference else {}
    text = one.difference.text if one.difference else ""
    return {"dataset": one.dataset, "venue": one.venue, "instrument": one.instrument, "difference": text, **place}


def show(found: "list[Comparison]", day: date) -> None:
    """Print what a rebuild came to for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from orchestration.cli.tables import printer
    from spark.comparison import first_difference, share_equal

    first = first_difference(found)
    share = f"{share_equal(found) * 100:.2f} % of instruments and tables are equal"
    verdict = "[green]equal[/]" if first is None else f"[red]different[/], {share}"
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{day}: {verdict}", title_justify="left")
    for name in ("table", "streamed", "rebuilt", "instruments", "unequal", "streamed hash", "rebuilt hash"):
        shown.add_column(name, justify="left" if name == "table" else "right")
    for one in found:
        counts = (one.streamed_count, one.rebuilt_count, len(one.instruments), len(one.different))
        hashes = (f"{one.streamed_hash:016x}", f"{one.rebuilt_hash:016x}")
        shown.add_row(one.table, *(f"{count:,}" for count in counts), *hashes)
    printer().print(shown)
    for one in found:
        if one.first_difference:
            printer().print(f"first difference in {one.table}: {one.first_difference}", markup=False)
    if first is not None and first.difference is not None:
        printer().print(f"the first of {first.dataset} on the tape: {first.difference.place.text}", markup=False)
