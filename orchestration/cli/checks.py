"""`tapehouse checks`: what the suites claim of a day, put to the stored rows."""

import json
import sys
import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from quality.suites.results import CheckResult, DatasetRun

SHOWN_OF_SAMPLE = 3


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(checks)


def checks(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day (UTC) of event time; else yesterday.")
    ] = None,
    venue: Annotated[str | None, typer.Option(help="Only this venue's rows.")] = None,
    dataset: Annotated[list[str] | None, typer.Option(help="Only this dataset; may be given again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Put the suites' claims to a day's rows and keep the outcome. Exit code 1 when a claim that stops is false."""
    from rich.console import Console

    from orchestration.values import read_settings
    from quality.suites.catalog import CHECKED, checked
    from quality.suites.engine import Folders
    from quality.suites.run import check_day

    asked = day.date() if day else datetime.now(UTC).date() - timedelta(days=1)
    datasets = [checked(name) for name in dataset] if dataset else CHECKED
    settings = read_settings()
    folders = Folders.under(settings.data_dir)
    with Console(stderr=True).status("checking") as status:
        runs = check_day(
            settings.warehouse,
            asked,
            run_id=f"command-{uuid.uuid4()}",
            datasets=datasets,
            venue=venue,
            folders=folders,
            on_progress=lambda text: status.update(f"checking {text}"),
        )
    results = [result for run in runs for result in run.results]
    stopped = [one for one in results if not one.passed and one.level == "stop"]
    if as_json:
        sys.stdout.write(json.dumps({"day": str(asked), "stopped": bool(stopped), **_told(runs)}, indent=2) + "\n")
    else:
        _print(results, f"checks of {asked}")
        if results:
            index = folders.docs / "index.html"
            typer.echo(f"Data Docs: {index}, {settings.pages.url(index)}")
    if stopped:
        raise typer.Exit(1)


def _told(runs: "list[DatasetRun]") -> dict[str, Any]:
    results = [result for run in runs for result in run.results]
    return {
        "seconds": {run.dataset: round(run.seconds, 3) for run in runs},
        "pages": {run.dataset: str(run.page) for run in runs if run.page},
        "results": [asdict(one) | {"day": str(one.day), "passed": one.passed, "detail": one.detail} for one in results],
    }


def _print(results: "list[CheckResult]", title: str) -> None:
    from orchestration.cli.tables import printer

    console = printer()
    if not results:
        console.print(f"{title}: nothing to look at")
        return
    console.print(_summary(results, title))
    for one in (one for one in results if not one.passed):
        colour = "red" if one.level == "stop" else "yellow"
        console.print(f"[{colour}]{one.level}[/] {one.dataset} {one.venue}: {one.check_name}", markup=True)
        console.print(f"     {one.detail}")
        for row in one.sample[:SHOWN_OF_SAMPLE]:
            console.print("     " + ", ".join(f"{name}={value}" for name, value in row.items()), markup=False)


def _summary(results: "list[CheckResult]", title: str) -> "Table":
    from orchestration.cli.tables import plain

    table = plain(
        "dataset", "venue", "rows", "claims", "held", "stop", "warn", right=("rows", "claims", "held", "stop", "warn")
    )
    table.title = title
    for dataset, venue in dict.fromkeys((one.dataset, one.venue) for one in results):
        mine = [one for one in results if (one.dataset, one.venue) == (dataset, venue)]
        false = [one.level for one in mine if not one.passed]
        rows = max(one.checked_count for one in mine)
        numbers = (rows, len(mine), len(mine) - len(false), false.count("stop"), false.count("warn"))
        table.add_row(dataset, venue, *(f"{number:,}" for number in numbers))
    return table
