"""`tapehouse demo`: what `make run` does once everything is installed."""

import time

import typer


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo() -> None:
    """Start the platform, play the demo tape through it, audit, and say what became of it. The platform stays up."""
    began = time.monotonic()
    from rich.console import Console

    from deploy import stack
    from deploy.stack.progress import Progress
    from orchestration.prepare import prepare
    from orchestration.values import read_settings, stack_settings

    settings = read_settings()
    progress = Progress(Console(stderr=True, highlight=False))
    stack.up(stack_settings(settings, live=False), prepare=lambda: prepare(settings), progress=progress)
    progress.line(f"platform up after {time.monotonic() - began:.0f} s")

    from orchestration.demo import play, write_summary

    summary = play(settings, began, progress.line)
    path = settings.data_dir / "run" / "summary.json"
    write_summary(summary, path)
    port = settings.port
    venues = ", ".join(f"{name} {counts['events']:,}" for name, counts in summary.venues.items())
    verdict = "balanced" if summary.balanced else "NOT BALANCED"
    typer.echo(
        f"""
events       {summary.events:>8,}   read from Kafka: {venues}
rows stored  {summary.stored:>8,}   new in this run
duplicates   {summary.duplicates:>8,}   stored before, counted
quarantined  {summary.quarantined:>8,}
bars         {summary.bars:>8,}   first one after {summary.first_bar_seconds:.0f} s
audit        {verdict}: missing {summary.audit["missing"]}, twice {summary.audit["twice"]}
assets       {summary.assets:>8,}   materialised
seconds      {summary.seconds:>8,.0f}

Where to look
  Dagster     http://127.0.0.1:{port("dagster")}   assets, partitions, checks, lineage
  warehouse   curl 'http://127.0.0.1:{port("warehouse")}/?query=SELECT+*+FROM+market_bars_current+FORMAT+PrettyCompact'
  platform    tapehouse status | audit | rebuild --day 2024-08-08 | topics      (in .venv/bin)
  files       {settings.data_dir}   (logs in log/, the lake in lake/, this summary in run/summary.json)
  stop        make stop"""
    )
    if not summary.balanced:
        raise typer.Exit(1)
