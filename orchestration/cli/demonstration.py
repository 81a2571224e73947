"""`tapehouse demo`: what `make run` does once everything is installed."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False) -> None:
    """Start the platform, play the demo tapes through it, audit, and say what became of it. The platform stays up.

    Exit code 0: the audit found nothing missing and nothing twice.
    """
    began = time.monotonic()
    from rich.console import Console

    from deploy import stack
    from deploy.stack.progress import Progress
    from orchestration.prepare import prepare
    from orchestration.values import read_settings, stack_settings

    settings = read_settings()
    progress = Progress(Console(stderr=True, highlight=False))
    described = stack_settings(settings, live=False)
    # What brings the first bar comes first: web servers would take their share of the machine from it.
    later = {"dagster-webserver", "dagster-daemon", "pages"}
    first = set(stack.names(described)) - later
    stack.up(described, only=first, prepare=lambda: prepare(settings), progress=progress)
    progress.line(f"platform up after {time.monotonic() - began:.0f} s; Dagster starts with the first bar")

    from orchestration.demo import play
    from orchestration.summary import shown

    with ThreadPoolExecutor(max_workers=1) as pool:
        summary = play(
            settings,
            began,
            progress.line,
            lambda: pool.submit(stack.up, described, later, None, Progress(Console(stderr=True, highlight=False))),
        )
    summary.write(settings.data_dir / "run" / "summary.json")
    typer.echo(json.dumps(asdict(summary), indent=2) if as_json else shown(summary, settings))
    if not summary.balanced:
        raise typer.Exit(1)
