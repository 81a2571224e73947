"""Write small files so that a reader or a crash never meets half of one."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replace the file as a whole, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def tail(path: Path, lines: int = 3, limit: int = 20_000) -> list[str]:
    """Return the last lines of a log that say something; empty when there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(log.tell() - limit, 0))
            text = log.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-lines:]
