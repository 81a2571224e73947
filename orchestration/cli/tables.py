"""How commands print tables: cut to the width of a terminal, never to that of a pipe or a file."""

import sys
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 160


def printer(width: int = WIDE) -> "Console":
    """Print to a terminal at its width, to a pipe or file at one that cuts nothing."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(width=width, highlight=False)


def plain(*columns: str, right: Collection[str] = (), title: str | None = None) -> "Table":
    """Return an empty table with these columns; those in `right` hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table
