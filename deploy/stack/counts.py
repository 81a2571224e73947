"""How often each process came back, written by the watcher and read by `tapehouse status`."""

import json
from collections.abc import Mapping

from deploy.stack.files import write_text
from deploy.stack.settings import StackSettings


def write(settings: StackSettings, restarts: Mapping[str, int]) -> None:
    """Keep the counts since supervisord was started."""
    write_text(settings.run_dir / "restarts.json", json.dumps(dict(restarts)))


def read(settings: StackSettings) -> dict[str, int]:
    """Return the counts by name; a process that never came back is not in them."""
    try:
        restarts = json.loads((settings.run_dir / "restarts.json").read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): int(count) for name, count in restarts.items()}
