"""`tapehouse latest`: the last price and the best bid and ask of every instrument, from Redis."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer

SHOWN = ("price", "side", "trade_time", "bid_price", "bid_quantity", "ask_price", "ask_quantity", "quote_time")


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(latest)


def latest(
    venue: Annotated[str | None, typer.Option(help="Only this venue.")] = None,
    instrument: Annotated[str | None, typer.Option(help="Only this instrument, in the venue's symbols.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs; decimals are text.")] = False,
) -> None:
    """Show the latest price and the best bid and ask of every instrument."""
    from orchestration.values import read_settings
    from serving.latest import read

    found = read(read_settings().cache, venue, instrument)
    if as_json:
        rows = [{name: _plain(value) for name, value in asdict(one).items()} for one in found]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    if not found:
        typer.echo(
            "no values: nothing was heard lately, or the process latest does not run (tapehouse status)", err=True
        )
        return
    from orchestration.cli.tables import plain, printer

    table = plain("venue", "instrument", *SHOWN, right=[name for name in SHOWN if name.endswith(("price", "quantity"))])
    for one in found:
        values = (_plain(getattr(one, name)) for name in SHOWN)
        table.add_row(one.venue, one.instrument, *("" if value is None else value for value in values))
    printer().print(table)


def _plain(value: object) -> str | None:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return None if value is None else str(value)
