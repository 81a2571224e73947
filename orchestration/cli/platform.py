"""`tapehouse up | down | status`: the local platform."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from deploy.stack import StackReport

NOTHING_RUNS = 3
NOT_HEALTHY = 1


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    live: Annotated[bool, typer.Option("--live", help="Collect from the real venues, not the replay server.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Start only this service; may be given several times.", metavar="NAME")
    ] = None,
) -> None:
    """Start the local platform and wait until all of it is healthy."""
    from deploy import stack
    from orchestration.values import read_settings, stack_settings

    settings = read_settings()

    def prepare() -> None:
        from orchestration.prepare import prepare as prepare_all

        prepare_all(settings)

    whole = only is None or {"kafka", "registry", "warehouse"} <= set(only)
    stack.up(stack_settings(settings, live or settings.live), only=only, prepare=prepare if whole else None)


def down() -> None:
    """Stop the local platform; its data stays."""
    from deploy import stack
    from orchestration.values import read_settings, stack_settings

    stack.down(stack_settings(read_settings()))


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every process: state, port, uptime, restarts, lag, memory.

    Exit code 0: all that was started is healthy; 1: something is not; 3: nothing runs.
    """
    from deploy import stack
    from orchestration.values import read_settings, stack_settings

    settings = read_settings()
    report = stack.status(stack_settings(settings))
    if as_json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        from rich.console import Console

        Console().print(table(report))
        if report.running:
            typer.echo(f"Dagster {settings.dagster_url}, reports and Data Docs {settings.pages.base_url}")
    if not report.running:
        raise typer.Exit(NOTHING_RUNS)
    if not report.healthy:
        raise typer.Exit(NOT_HEALTHY)


def table(report: "StackReport") -> "Table":
    """Return the report as a table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("service", "state", "pid", "port", "uptime", "restarts", "lag", "memory"):
        shown.add_column(name, justify="left" if name in ("service", "state") else "right", no_wrap=True)
    for one in (*report.services, *report.supervisor):
        shown.add_row(
            one.name,
            f"[{'green' if one.state == 'healthy' else 'dim' if one.state == 'stopped' else 'red'}]{one.state}[/]",
            str(one.pid or ""),
            str(one.port or ""),
            "" if one.uptime_seconds is None else duration(one.uptime_seconds),
            str(one.restarts),
            "" if one.lag is None else f"{one.lag:,}",
            f"{one.memory_bytes / 2**20:,.0f} MiB" if one.memory_bytes else "",
        )
    shown.add_section()
    shown.add_row("total", "", "", "", "", "", "", f"{report.memory_bytes / 2**20:,.0f} MiB")
    return shown


def duration(seconds: int) -> str:
    """Return seconds as people read them: 42s, 3m07s, 2h05m, 3d04h."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
