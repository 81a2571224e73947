"""The resources that assets and jobs are given, made from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from assets.processes import LocalProcesses
from assets.store import Store
from orchestration.settings import REPOSITORY, Settings
from orchestration.values import read_settings, stack_settings

if TYPE_CHECKING:
    from quality.audit import AuditReport


@dataclass(frozen=True)
class AuditResource:
    """Runs the audit of the stored data; its settings are values, so that a test hands in another."""

    settings: Settings

    def audit(self, day: date, on_progress: Callable[[str], None]) -> "AuditReport":
        """Compare tape, topics, ledger and tables of a day."""
        from assets.parity import run_audit  # brings Kafka's and the lake's clients along

        return run_audit(self.settings.streams, day=day, on_progress=on_progress)


def make_resources(settings: Settings | None = None) -> dict[str, object]:
    """Return the resources by name; TerminalError names a wrong setting."""
    settings = settings or read_settings()
    return {
        "store": Store(settings.warehouse, settings.lake, REPOSITORY / "sql" / "queries"),
        "processes": LocalProcesses(stack_settings(settings)),
        "auditor": AuditResource(settings),
    }
