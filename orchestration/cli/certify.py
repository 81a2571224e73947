"""`tapehouse certify`: one tape, replayed in many ways, leaves the same rows in every table."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from quality.certificate import Certificate


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(certify)


def certify(
    tape: Annotated[str, typer.Argument(help="A tape file, or the name of a demo tape.")] = "binance",
    seconds: Annotated[float, typer.Option(min=1, help="How much of the tape, in seconds of its own clock.")] = 90.0,
    variant: Annotated[
        list[str] | None, typer.Option(help="Only this way to replay it; may be given several times.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the order in which shuffled records arrive.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Replay a tape at recorded and full speed, over 1, 4 and 8 partitions, shuffled, with kills; compare every table.

    Each way has an empty platform of its own, removed afterwards. Writes a page and its JSON into certificates/ of the
    data directory. Exit code 0 only if every table's content hash is the same throughout and every audit balances.
    """
    from rich.console import Console

    from orchestration.certify.platform import alone, own_settings
    from orchestration.certify.run import certify as made
    from orchestration.certify.stretch import cut
    from orchestration.certify.variants import chosen
    from orchestration.cli.tables import printer
    from orchestration.values import read_settings
    from quality.certificate import FOLDER, write

    variants = chosen(variant or ())
    settings = read_settings()
    folder = settings.data_dir / FOLDER
    stretch = cut(tape, seconds, folder / "stretch.tape.zst")
    own = own_settings(settings, stretch.venue)
    told = Console(stderr=True, highlight=False)
    with alone(own):
        certificate = made(own, stretch, variants, seed, lambda text: told.print(text, markup=False, soft_wrap=True))
    document, page = write(folder, certificate)
    if as_json:
        sys.stdout.write(json.dumps(certificate.told(), indent=2) + "\n")
    else:
        printer().print(shown(certificate))
        for difference in certificate.differences:
            printer().print(difference, markup=False)
        printer().print(f"{document}\n{page}", markup=False)
    if not certificate.equal:
        raise typer.Exit(1)


def shown(certificate: "Certificate") -> "Table":
    """Return the certificate as a table for people: a row a variant and table."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    verdict = "[green]equal[/]" if certificate.equal else "[red]not equal[/]"
    found = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{certificate.tape}: {verdict}", title_justify="left")
    for name in ("table", "variant", "rows", "hash"):
        found.add_column(name, justify="right" if name == "rows" else "left")
    for name in certificate.names:
        for number, one in enumerate(v for v in certificate.variants if name in v.tables):
            table = one.tables[name]
            found.add_row("" if number else name, one.name, f"{table.rows:,}", table.hash)
    return found
