"""What a claim about a venue's day came to, and how it is kept in the warehouse."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.check_results import CHECK_RESULTS
from quality.suites.claims import Level

if TYPE_CHECKING:
    from stores.warehouse import Warehouse

SAMPLE_SIZE = 20
Sample = tuple[dict[str, str], ...]


@dataclass(frozen=True)
class CheckResult:
    """One claim, one venue, one day. `sample` has keys and values of the first rows that speak against it, as text."""

    day: date
    venue: str
    dataset: str
    check_name: str
    level: Level
    says: str
    checked_count: int
    unexpected_count: int = 0
    sample: Sample = ()

    @property
    def passed(self) -> bool:
        """Tell whether nothing speaks against the claim; where nothing was looked at, nothing does."""
        return self.unexpected_count == 0

    @property
    def detail(self) -> str:
        """Say what is claimed and what was found."""
        if not self.checked_count:
            return f"{self.says} Nothing to look at."
        found = f"{self.unexpected_count:,}" if self.unexpected_count else "none"
        verb = "speaks" if self.unexpected_count < 2 else "speak"
        return f"{self.says} Of {self.checked_count:,} rows {found} {verb} against it."


@dataclass(frozen=True)
class DatasetRun:
    """All claims about one dataset and day. `page` is what Data Docs say of them, where they were written."""

    dataset: str
    day: date
    results: tuple[CheckResult, ...]
    seconds: float
    page: Path | None = None


def store_results(warehouse: "Warehouse", results: Sequence[CheckResult], *, run_id: str) -> None:
    """Add outcomes to system.check_results; they all became known now."""
    if not results:
        return
    import pyarrow as pa

    from stores.arrow import arrow_schema

    known_time = datetime.now(UTC)
    rows = [
        {
            "day_time": datetime(one.day.year, one.day.month, one.day.day, tzinfo=UTC),
            "venue": one.venue,
            "dataset": one.dataset,
            "check_name": one.check_name,
            "level": one.level,
            "passed": int(one.passed),
            "checked_count": one.checked_count,
            "unexpected_count": one.unexpected_count,
            "sample": json.dumps(one.sample),
            "detail": one.detail,
            "run_id": run_id,
            "known_time": known_time,
        }
        for one in results
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(CHECK_RESULTS.columns))
    warehouse.insert(CHECK_RESULTS.table, table, token=f"{run_id}:{known_time.isoformat()}")
