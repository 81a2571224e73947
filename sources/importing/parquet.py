"""Parquet files as lines of text: their own bytes can't be cut, so their rows are written out, exactly."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from contracts.errors import TerminalError

_MAGIC = b"PAR1"
_ROWS_AT_ONCE = 50_000


def is_parquet(path: Path) -> bool:
    """Tell by the first bytes whether it is a Parquet file."""
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def names(path: Path) -> list[str]:
    """Return the columns' names."""
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (OSError, ValueError) as error:
        raise TerminalError(f"{path} is no readable Parquet file ({error}); make or fetch it again") from error


def lines(path: Path, columns: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the rows of these columns as lines of CSV: floats with the digits that mean them, times in UTC."""
    import polars as pl
    import pyarrow.parquet as pq

    from sources.history.generic import as_text

    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=list(columns)):
                frame = pl.DataFrame(pl.from_arrow(batch)).select(columns)
                texts = [as_text(frame[name]).to_list() for name in columns]
                yield from map(_line, zip(*texts, strict=True))
    except (OSError, ValueError) as error:
        raise TerminalError(f"{path} can't be read to its end ({error}); make or fetch it again") from error


def _line(cells: tuple[str, ...]) -> bytes:
    if not any(mark in cell for cell in cells for mark in ',"\r\n'):
        return ",".join(cells).encode()
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([" ".join(cell.splitlines()) for cell in cells])
    return text.getvalue().encode()
