"""`tapehouse config`: which settings hold, and where each comes from."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(config)


def config(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not at its default.")] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a settings file that names every setting, and do nothing else.")
    ] = False,
) -> None:
    """Show every setting: its value, whether default, file or environment said so, and what it is for."""
    from orchestration import configuration

    if example:
        sys.stdout.write(configuration.example())
        return
    shown = configuration.effective(configuration.read_settings())
    if changed:
        shown = [one for one in shown if one.origin != "default"]
    if as_json:
        sys.stdout.write(json.dumps({one.name: asdict(one) for one in shown}, indent=2) + "\n")
        return
    from orchestration.cli.tables import plain, printer

    table = plain("setting", "value", "from", "what for")
    for one in shown:
        value = json.dumps(one.value) if not isinstance(one.value, str) else one.value
        source = one.source or one.origin
        table.add_row(one.name, value, source, one.description, style=None if one.origin == "default" else "bold")
    printer().print(table)
