"""Where reports lie: one page a day, replaced as a whole."""

import contextlib
import os
from datetime import date
from pathlib import Path

from contracts.errors import TerminalError


def report_path(folder: Path, day: date) -> Path:
    """Return where a day's page lies in the folder of reports."""
    return folder / f"report-{day.isoformat()}.html"


def write_page(path: Path, page: str) -> int:
    """Write the page, so that a reader sees the old or the new one, and return its bytes."""
    content = page.encode()
    # Of this process alone: a run of the asset and a command may write the same day at once.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise TerminalError(f"the report can't be written to {path}: {error.strerror}; name another --out") from error
    return len(content)
