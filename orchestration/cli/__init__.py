"""The command `tapehouse`. Each module of GROUPS adds its commands and imports what they need when they are called."""

import errno
import os
import sys

import typer

from contracts.errors import TapehouseError
from orchestration.cli import (
    backfill,
    certify,
    check,
    checks,
    configuration,
    data,
    demonstration,
    drill,
    explore,
    features,
    imports,
    incidents,
    latest,
    maintenance,
    parse,
    platform,
    proof,
    quality,
    report,
    serve,
    tapes,
)

# A new group of commands is one module with `add(app)`, and one name here.
GROUPS = (
    demonstration,
    platform,
    data,
    proof,
    drill,
    certify,
    quality,
    checks,
    check,
    imports,
    incidents,
    report,
    backfill,
    maintenance,
    explore,
    latest,
    features,
    tapes,
    parse,
    configuration,
    serve,
)

app = typer.Typer(
    name="tapehouse",
    help="Tapehouse: many feeds in, one trustworthy history out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
for group in GROUPS:
    group.add(app)


def main() -> None:
    """Run the command line: an error is one red line and exit code 1, a wrong usage 2, Ctrl-C 130.

    TAPEHOUSE_DEBUG=1 shows the traceback of an error as well.
    """
    # A switch for whoever looks for a bug in us, also in how settings are read; so it is no setting.
    debug = os.environ.get("TAPEHOUSE_DEBUG") == "1"
    try:
        app()
    except TapehouseError as error:
        if debug:
            raise
        fail(str(error))
    except OSError as error:
        if debug or error.errno != errno.ENOSPC:
            raise
        fail(f"the disk is full ({error.filename or 'no file named'}): free some room and try again")


def fail(message: str) -> None:
    """Say on stderr in one line what is wrong, and exit with 1."""
    typer.secho(" ".join(message.split()), fg="red", err=True)
    sys.exit(1)
