"""Questions in SQL, asked read-only."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from contracts.errors import TerminalError
from stores.settings import WarehouseSettings
from stores.warehouse import classified, make_client

# A question has to end; who needs longer asks with a client of their own.
LONGEST_S = 120
# 2: reading only, while the client may still set how it reads.
READ_ONLY = {"readonly": 2, "max_execution_time": LONGEST_S}

_FORMAT = re.compile(r"\sFORMAT\s+\w+\s*$", re.IGNORECASE)

# Of what ClickHouse says: not the list of all words that it knows, nor where it was asked.
_REFUSAL = re.compile(
    r"DB::Exception: (?:\w+: )?(.*?)(?: Expected one of: .*)?(?: \(version .*)?(?: \(for url .*)?$", re.DOTALL
)

T = TypeVar("T")
Answer = tuple[tuple[str, ...], tuple[str, ...], list[tuple[Any, ...]]]


def ask(settings: WarehouseSettings, sql: str, options: Mapping[str, Any]) -> Answer:
    """Return the names and types of a query's columns and its rows; `options` are ClickHouse's settings."""
    with make_client(settings, **READ_ONLY) as client:
        found = _answered(lambda: client.query(_checked(sql), settings=dict(options)))
        types = tuple(kind.name for kind in found.column_types)
        return tuple(found.column_names), types, [tuple(row) for row in found.result_rows]


def stream(settings: WarehouseSettings, sql: str, form: str, options: Mapping[str, Any]) -> Iterator[bytes]:
    """Return a query's answer piece by piece in one of ClickHouse's formats."""
    with make_client(settings, **READ_ONLY) as client:
        body = iter(_answered(lambda: client.raw_stream(_checked(sql), fmt=form, settings=dict(options))))
        while (piece := _answered(lambda: next(body, None))) is not None:
            yield piece


def _answered(call: Callable[[], T]) -> T:
    try:
        return classified("answer", call)
    except TerminalError as error:
        said = _REFUSAL.search(str(error))
        raise TerminalError(f"the warehouse refused the question: {said[1]}" if said else str(error)) from error


def _checked(sql: str) -> str:
    if found := _FORMAT.search(sql):
        raise TerminalError(f"the question ends with {found[0].strip()}: leave that out, the caller chooses the format")
    return sql
