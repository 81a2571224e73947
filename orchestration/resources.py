"""The resources that assets and jobs are given, made from the settings."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from assets.processes import LocalProcesses
from assets.store import Store
from assets.thresholds import Thresholds
from orchestration.settings import BARS_QUERY, REPOSITORY, Settings
from orchestration.values import read_settings, stack_settings
from stores.settings import CacheSettings, WarehouseSettings

if TYPE_CHECKING:
    from contracts.dataset import Dataset
    from quality.audit import AuditReport
    from quality.suites.results import DatasetRun
    from serving.vectors import Row
    from spark.comparison import Comparison


@dataclass(frozen=True)
class AuditResource:
    """Runs the audit of the stored data; its settings are values, so that a test hands in another."""

    settings: Settings

    def audit(self, day: date, on_progress: Callable[[str], None]) -> "AuditReport":
        """Compare tape, topics, ledger and tables of a day."""
        from assets.parity import run_audit  # brings Kafka's and the lake's clients along

        return run_audit(self.settings.streams, day=day, on_progress=on_progress)


@dataclass(frozen=True)
class RebuildResource:
    """Rebuilds days in a Spark session of the run's own process; see Rebuilder."""

    settings: Settings

    def rebuild(self, day: date, run_id: str, on_progress: Callable[[str], None]) -> "list[Comparison]":
        """Rebuild a day from the tape, compare it with what was streamed, and keep the outcome."""
        from assets.parity import run_rebuild  # brings Spark along

        settings = self.settings
        return run_rebuild(settings.streams, settings.spark, BARS_QUERY, day, run_id=run_id, on_progress=on_progress)


@dataclass(frozen=True)
class CheckResource:
    """Runs the suites of a day; Data Docs go below `data_dir`."""

    warehouse: WarehouseSettings
    data_dir: Path

    def check(
        self, day: date, datasets: "Sequence[Dataset]", run_id: str, on_progress: Callable[[str], None]
    ) -> "list[DatasetRun]":
        """Put the claims about datasets to a day, and keep what came of it."""
        from quality.suites.engine import Folders  # brings Great Expectations along
        from quality.suites.run import check_day

        folders = Folders.under(self.data_dir)
        return check_day(
            self.warehouse, day, run_id=run_id, datasets=datasets, folders=folders, on_progress=on_progress
        )


@dataclass(frozen=True)
class OnlineVectors:
    """Shows the latest features in Redis; see Vectors."""

    cache: CacheSettings

    def show(self, rows: "Iterable[Row]") -> int:
        """Set what is newer than what Redis holds and return how many rows that changed."""
        from serving.vectors import show

        return show(self.cache, rows)


def make_resources(settings: Settings | None = None) -> dict[str, object]:
    """Return the resources by name; TerminalError names a wrong setting."""
    settings = settings or read_settings()
    return {
        "store": Store(settings.warehouse, settings.lake, REPOSITORY / "sql" / "queries"),
        "processes": LocalProcesses(stack_settings(settings)),
        "auditor": AuditResource(settings),
        "rebuilder": RebuildResource(settings),
        "thresholds": Thresholds(Decimal(str(settings.min_score))),
        "checker": CheckResource(settings.warehouse, settings.data_dir),
        "health": settings.health,
        "wishes": settings.retention,
        "pages": settings.pages,
        "vectors": OnlineVectors(settings.cache),
    }
