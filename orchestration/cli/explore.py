"""`tapehouse sql`: ask the warehouse; no data can be changed by it."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

TABLE = "table"
# As ClickHouse names them. Decimals are text in JSON, since a JSON number is read as a float.
FORMATS = {"csv": "CSVWithNames", "json": "JSONEachRow", "jsonl": "JSONEachRow", "parquet": "Parquet", "arrow": "Arrow"}
BINARY = ("parquet", "arrow")
SHOWN = 100
EXACT = {"output_format_json_quote_decimals": 1, "output_format_json_quote_64bit_integers": 0}


def add(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(sql)


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT, SHOW, DESCRIBE or EXPLAIN; - reads it from stdin.")],
    form: Annotated[str, typer.Option("--format", help=f"One of {', '.join((TABLE, *FORMATS))}.")] = TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs: --format json.")] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"Rows at most; a table shows {SHOWN} unless told otherwise.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file, not to stdout.")] = None,
) -> None:
    """Ask the warehouse a question, as ClickHouse SQL. It is asked read-only: no data can be changed."""
    form = "json" if as_json else form
    if form not in (TABLE, *FORMATS):
        raise typer.BadParameter(f"{form!r} is no format; valid: {', '.join((TABLE, *FORMATS))}", param_hint="--format")
    if form in BINARY and output is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{form} is not for a terminal; name a file with --output", param_hint="--format")
    if form == TABLE and output is not None:
        raise typer.BadParameter("a table goes to stdout; choose a --format for a file", param_hint="--output")
    text = (sys.stdin.read() if query == "-" else query).strip().rstrip(";")
    if form == TABLE:
        _print(text, limit or SHOWN)
    else:
        _write(text, form, limit, output)


def _print(text: str, limit: int) -> None:
    from orchestration.cli.tables import plain, printer
    from orchestration.values import read_settings
    from serving.question import ask

    # One row more than is shown tells whether there are more.
    names, types, rows = ask(read_settings().warehouse, text, {"limit": limit + 1})
    if not names:
        # The wire carries no columns when there is no row.
        typer.echo("no rows", err=True)
        return
    numbers = [
        name for name, kind in zip(names, types, strict=True) if kind.startswith(("Int", "UInt", "Float", "Dec"))
    ]
    table = plain(*names, right=numbers)
    for row in rows[:limit]:
        table.add_row(*map(_cell, row))
    printer().print(table)
    if len(rows) > limit:
        typer.echo(f"the first {limit:,} rows; --limit shows more, --format csv all", err=True)


def _cell(value: object) -> str:
    from rich.markup import escape

    if value is None:
        return ""
    return escape(json.dumps(value, default=str) if isinstance(value, list | dict | tuple) else str(value))


def _write(text: str, form: str, limit: int | None, output: Path | None) -> None:
    from contracts.errors import TerminalError
    from orchestration.values import read_settings
    from serving.question import stream

    options = EXACT | ({"limit": limit} if limit else {})
    if form == "json":
        options["output_format_json_array_of_rows"] = 1
    pieces = stream(read_settings().warehouse, text, FORMATS[form], options)
    # The first piece comes before a file is made: a question that is refused leaves none.
    first = next(pieces, b"")
    if output is None:
        for piece in (first, *pieces):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    try:
        with output.open("wb") as file:
            file.write(first)
            file.writelines(pieces)
    except OSError as error:
        raise TerminalError(f"{output} can't be written: {error.strerror}") from error
