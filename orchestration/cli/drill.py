"""`tapehouse drill`: faults by plan on a platform of its own, and a proof after each that nothing was lost."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from orchestration.drill.report import DrillReport


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(drill)


def drill(
    seed: Annotated[
        int, typer.Option(help="The plan's seed: the same one brings the same faults in the same order.")
    ] = 1,
    times: Annotated[int, typer.Option(min=1, help="How many faults; 20 hold every kind.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Bring faults upon a platform of its own while a tape plays, and audit after each.

    Exit code 0 only if it recovered from all, nothing is missing or twice, and a rebuild from the tape is equal. The
    platform is removed afterwards; its logs stay when something failed.
    """
    from assets.parity import run_rebuild
    from deploy import stack
    from deploy.stack.progress import Progress
    from orchestration.drill.plan import deck, draw
    from orchestration.drill.platform import DAY, own_platform, own_settings, remove
    from orchestration.drill.run import hold
    from orchestration.settings import BARS_QUERY
    from orchestration.values import read_settings, stack_settings

    settings = own_settings(read_settings())
    plan = draw(deck(stack.names(stack_settings(settings))), seed, times)
    with own_platform(settings, Progress()) as site:
        report = hold(site, plan, seed, DAY, lambda day: run_rebuild(settings.streams, settings.spark, BARS_QUERY, day))
    remove(settings, keep_logs=not report.balanced)
    show(report, as_json)
    if not report.balanced:
        typer.echo(f"logs: {settings.data_dir / 'log'}", err=True)
        raise typer.Exit(1)


def show(report: "DrillReport", as_json: bool) -> None:
    """Print the report."""
    from orchestration.cli.tables import printer

    if as_json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
        return
    console = printer()
    console.print(report.table())
    for remark in report.remarks():
        console.print(remark, markup=False)
