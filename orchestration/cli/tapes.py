"""`tapehouse record`: write tape files."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

KINDS = "market.trades,market.quotes,market.books,market.venue_bars,reference.instruments"


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(record)


def record(
    target: Annotated[Path, typer.Argument(help="The tape file to write.")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Foreign recordings to read (cryptofeed, hftbacktest).")
    ] = None,
    venue: Annotated[str, typer.Option(help="The venue.")] = "binance",
    kinds: Annotated[str, typer.Option(help="Which datasets to keep, joined by commas.")] = KINDS,
    source: Annotated[str, typer.Option(help="Where the recordings come from; goes into the file.")] = "own recording",
    licence: Annotated[str, typer.Option(help="Under which licence they are; goes into the file.")] = "own",
    seconds: Annotated[float, typer.Option(help="How long to record the live feeds when no files are given.")] = 60.0,
) -> None:
    """Write a tape from foreign recordings, or from the venue's live feeds when no file is named."""
    from sources import recorder
    from sources.venues import venue as venue_named

    known = venue_named(venue)
    if files:
        counts = recorder.record(
            known,
            [recorder.Recording(path) for path in files],
            target,
            keep=recorder.of_kinds(known, kinds.split(",")),
            source=source,
            licence=licence,
        )
        typer.echo(f"{target}: {dict(counts)}")
    else:
        live = recorder.record_live(
            known,
            known.endpoints,
            target,
            keep=recorder.of_kinds(known, kinds.split(",")),
            licence=licence,
            seconds=seconds,
        )
        typer.echo(f"{target}: {asyncio.run(live)} payloads")
