"""What a run of the demo came to: for programs as JSON, for people as text."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from orchestration.settings import Settings


@dataclass
class VenueSummary:
    """One venue's part of a run. Gaps are those of this run; `open` are the ones that nothing filled yet."""

    events: int = 0
    gaps_found: int = 0
    gaps_filled: int = 0
    gaps_open: int = 0
    rows_recovered: int = 0
    checksums_matched: int = 0
    checksums_failed: int = 0
    books: int = 0


@dataclass
class Summary:
    """What one run of the demo did; the counts are this run's, `bars` and the audit are the whole platform's."""

    events: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    bars: int = 0
    by_table: dict[str, int] = field(default_factory=dict)
    audit: dict[str, int] = field(default_factory=dict)
    venues: dict[str, VenueSummary] = field(default_factory=dict)
    assets: int = 0
    first_bar_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def balanced(self) -> bool:
        """Tell whether the audit found nothing missing and nothing twice."""
        return self.audit == {"missing": 0, "twice": 0}

    def write(self, path: Path) -> None:
        """Write it as JSON for programs."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def shown(summary: Summary, settings: Settings) -> str:
    """Return the summary as people read it, and where to look next."""
    port = settings.port
    verdict = "balanced" if summary.balanced else "NOT BALANCED"
    tables = ", ".join(f"{name} {count:,}" for name, count in sorted(summary.by_table.items()))
    header = f"{'':13}{'events':>9}{'gaps':>7}{'filled':>8}{'open':>6}{'rows back':>11}{'books':>7}{'checksums':>16}"
    rows = "\n".join(
        f"{name:13}{one.events:>9,}{one.gaps_found:>7}{one.gaps_filled:>8}{one.gaps_open:>6}{one.rows_recovered:>11,}"
        f"{one.books:>7}{_checksums(one):>16}"
        for name, one in summary.venues.items()
    )
    return f"""
events       {summary.events:>9,}   read from Kafka: {tables}
rows stored  {summary.stored:>9,}   new in this run
duplicates   {summary.duplicates:>9,}   stored before, counted
quarantined  {summary.quarantined:>9,}
bars         {summary.bars:>9,}   first one after {summary.first_bar_seconds:.0f} s
audit        {verdict}: missing {summary.audit["missing"]}, twice {summary.audit["twice"]}
assets       {summary.assets:>9,}   materialised
seconds      {summary.seconds:>9,.0f}

{header}
{rows}

Where to look
  Dagster     {settings.dagster_url}   assets, partitions, checks, lineage
  pages       {settings.pages.base_url}   reports and Data Docs; tapehouse report --day 2024-08-08 writes one
  warehouse   curl 'http://127.0.0.1:{port("warehouse")}/?query=SELECT+*+FROM+market_bars_current+FORMAT+PrettyCompact'
  gaps        the table system_gaps_current: what was missing, and how it was repaired
  platform    tapehouse status | audit | rebuild --day 2024-08-08 | topics      (in .venv/bin)
  files       {settings.data_dir}   (logs in log/, the lake in lake/, this summary in run/summary.json)
  stop        make stop"""


def _checksums(one: VenueSummary) -> str:
    if not one.checksums_matched and not one.checksums_failed:
        return "-"
    return f"{one.checksums_matched:,} of {one.checksums_matched + one.checksums_failed:,}"
