"""`tapehouse backfill`: make days of an asset again, in Dagster, and see how far it is."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from orchestration.backfill import Backfill, Backfills

DEFAULT = "start"
INTERRUPTED = 130
WAIT_S = 3600.0

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Wait = Annotated[float, typer.Option("--wait", help="Seconds to wait for its end; it goes on after that.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Start it, print its id and return.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The backfill's id, as tapehouse backfill list shows it.")]


class _StartsByDefault(TyperGroup):
    """Let the name of an asset stand where a subcommand may: `tapehouse backfill ASSET` is `backfill start ASSET`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `start` before what names no subcommand."""
        if args and args[0] not in self.commands and args[0] not in (*ctx.help_option_names, "-h"):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


def add(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        cls=_StartsByDefault,
        no_args_is_help=True,
        help="Make days of an asset again: tapehouse backfill ASSET --from D --to D. Exit code 0: all were made.",
    )
    group.command(DEFAULT)(start)
    group.command()(watch)
    group.command()(cancel)
    group.command()(resume)
    group.command("list")(recent)
    app.add_typer(group, name="backfill")


def start(
    asset: Annotated[str, typer.Argument(help="As in Dagster, such as market/bars_5m.")],
    first: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day (UTC).")],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day (UTC), included.")],
    venue: Annotated[
        str, typer.Option(help="Only this venue, where an asset has partitions by venue; others make all at once.")
    ] = "",
    downstream: Annotated[bool, typer.Option("--downstream", help="Also make what follows from the asset.")] = False,
    as_json: Json = False,
    no_wait: NoWait = False,
    wait: Wait = WAIT_S,
) -> None:
    """Start a backfill, show how far it is, and return when it is over. The word `start` may be left out.

    One run makes up to 31 days. Ctrl-C asks whether to cancel it; where nobody can be asked it is cancelled.
    """
    from sources.venues import venue as venue_named

    if venue:
        venue_named(venue)

    def begin(backfills: "Backfills") -> str:
        backfill_id, note = backfills.start(asset, first.date(), last.date(), venue=venue, downstream=downstream)
        if note:
            typer.echo(note, err=True)
        return backfill_id

    _run(begin, wait, as_json, no_wait)


def watch(backfill_id: Id, as_json: Json = False, wait: Wait = WAIT_S) -> None:
    """Follow a backfill until it is over."""
    _run(lambda backfills: backfills.state(backfill_id).id, wait, as_json)


def resume(backfill_id: Id, as_json: Json = False, no_wait: NoWait = False, wait: Wait = WAIT_S) -> None:
    """Make what a backfill has left: days that failed, and days that it never came to. That is a new backfill."""
    _run(lambda backfills: backfills.resume(backfill_id), wait, as_json, no_wait)


def cancel(backfill_id: Id, as_json: Json = False) -> None:
    """Cancel a backfill and its runs; the days that it has made stay."""
    from orchestration.backfill import connected

    with connected(_dagster()) as backfills:
        state = backfills.cancel(backfill_id)
    _tell(state, as_json)


def recent(
    as_json: Json = False, limit: Annotated[int, typer.Option(min=1, max=1000, help="How many of the newest.")] = 20
) -> None:
    """List the newest backfills."""
    from orchestration.backfill import connected
    from orchestration.cli.tables import plain, printer

    with connected(_dagster()) as backfills:
        found = backfills.recent(limit)
    if as_json:
        sys.stdout.write(json.dumps([one.as_dict() for one in found], indent=2) + "\n")
        return
    table = plain("id", "state", "started", "partitions", "what", right=("partitions",))
    for one in found:
        started = f"{one.started:%Y-%m-%d %H:%M:%S}"
        table.add_row(one.id, one.status.lower(), started, f"{one.partition_count:,}", one.title)
    printer().print(table)


def _dagster() -> str:
    from orchestration.values import read_settings

    return read_settings().dagster_url


def _run(begin: "Callable[[Backfills], str]", wait_s: float, as_json: bool, no_wait: bool = False) -> None:
    from orchestration.backfill import connected

    with connected(_dagster()) as backfills:
        backfill_id = begin(backfills)
        if no_wait:
            _tell(backfills.state(backfill_id), as_json)
            return
        try:
            state = _follow(backfills, backfill_id, wait_s)
        except KeyboardInterrupt:
            _interrupted(backfills, backfill_id, as_json)
            raise typer.Exit(INTERRUPTED) from None
        _tell(state, as_json)
        if state.succeeded:
            return
        for reason in [state.reason, *backfills.failures(state)]:
            if reason:
                typer.secho(" ".join(reason.split()), fg="red", err=True)
    typer.secho(f"mend that, then: tapehouse backfill resume {backfill_id}", fg="red", err=True)
    raise typer.Exit(1)


def _follow(backfills: "Backfills", backfill_id: str, wait_s: float) -> "Backfill":
    """Show a bar an asset while it works; on what is no terminal, a line for each change."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        return backfills.follow(backfill_id, deadline_s=wait_s, on_progress=_lines())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as shown:
        bars: dict[str, Any] = {}

        def show(state: "Backfill") -> None:
            for name, counts in state.assets.items():
                bar = bars.setdefault(name, None) or shown.add_task(name, total=None)
                bars[name] = bar
                failed = f" [red]{counts.failed} failed[/]" if counts.failed else ""
                shown.update(
                    bar,
                    total=counts.wanted or None,
                    completed=counts.done,
                    description=f"{name} {state.status.lower()}{failed}",
                )

        return backfills.follow(backfill_id, deadline_s=wait_s, on_progress=show)


def _lines() -> "Callable[[Backfill], None]":
    told = ""

    def show(state: "Backfill") -> None:
        nonlocal told
        line = _line(state)
        if line != told:
            typer.echo(line, err=True)
            told = line

    return show


def _line(state: "Backfill") -> str:
    counts = ", ".join(
        f"{name} {one.done:,} of {one.wanted:,}" + (f" ({one.failed:,} failed)" if one.failed else "")
        for name, one in state.assets.items()
        if one.wanted
    )
    return f"backfill {state.id} {state.status.lower()}" + (f": {counts}" if counts else "")


def _interrupted(backfills: "Backfills", backfill_id: str, as_json: bool) -> None:
    """Cancel what was started, unless somebody who can be asked would rather let it go on."""
    if sys.stdin.isatty() and not typer.confirm(f"\ncancel backfill {backfill_id} too?", default=False, err=True):
        typer.echo(f"it goes on: tapehouse backfill watch {backfill_id}", err=True)
        return
    _tell(backfills.cancel(backfill_id), as_json)
    typer.echo(f"the rest of it: tapehouse backfill resume {backfill_id}", err=True)


def _tell(state: "Backfill", as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(state.as_dict(), indent=2) + "\n")
    else:
        runs = f", {len(state.runs)} runs" if state.runs else ""
        typer.echo(f"{_line(state)}{runs}; {state.url}")
