"""The demo: play the tape that ships through the running platform and say what became of it."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx2

from assets.parity import run_audit
from contracts.errors import RetryableError, TerminalError
from contracts.ledger import LEDGER
from jobs.names import DAILY, OBSERVE
from orchestration.launch import run_job, run_partitions
from orchestration.settings import Settings
from sources.demo import TAPE
from sources.events import Accepted
from sources.tape_file import read_tape
from sources.venues import venue
from stores.warehouse import Warehouse

Report = Callable[[str], None]
POLL_S = 0.5


@dataclass
class Summary:
    """What one run of the demo did; the counts are this run's, `bars` and the audit are the whole platform's."""

    events: int = 0
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0
    bars: int = 0
    audit: dict[str, int] = field(default_factory=dict)
    venues: dict[str, dict[str, int]] = field(default_factory=dict)
    assets: int = 0
    first_bar_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def balanced(self) -> bool:
        """Tell whether the audit found nothing missing and nothing twice."""
        return self.audit == {"missing": 0, "twice": 0}


def demo_days() -> list[date]:
    """Return the days of the events on the demo tape."""
    days = set()
    for record in read_tape(TAPE):
        for event in venue(record.venue).parse(record.endpoint, record.payload):
            if isinstance(event, Accepted):
                days.add(datetime.fromtimestamp(int(str(event.row["event_time"])) / 1e6, UTC).date())
    return sorted(days)


def play(settings: Settings, began: float, report: Report) -> Summary:
    """Play the tape, wait until it is delivered, audit, materialise the assets of its days.

    `began` is the monotonic time at which the user started waiting. Raises TerminalError when the flow stops.
    """
    warehouse = Warehouse(settings.warehouse)
    started = datetime.now(UTC)
    collector = f"http://127.0.0.1:{settings.port('collector')}/health"
    replay = f"http://127.0.0.1:{settings.port('replay')}"
    before = _get(collector)["events"]
    _post(f"{replay}/play", {"speed": settings.demo_speed})
    summary = Summary()
    _follow(settings, warehouse, started, summary, began, replay, report)
    report("audit: comparing tape, Kafka, ledger and tables; the archive's next commit is waited for")
    audit = run_audit(settings.streams, wait_s=150, on_progress=_now_and_then(report))
    summary.audit = {"missing": audit.missing, "twice": audit.twice}
    summary.venues = {name: {"events": int(_get(collector)["events"] - before)} for name in settings.venues}
    if summary.balanced:
        summary.assets = _materialise(f"http://127.0.0.1:{settings.port('dagster')}", report)
    _count(warehouse, started, summary)
    summary.seconds = round(time.monotonic() - began, 1)
    return summary


def _now_and_then(report: Report) -> Report:
    """Pass on what the audit still misses, not each of its steps."""

    def told(text: str) -> None:
        if text.endswith("looking again"):
            report(f"audit: {text}")

    return told


def _materialise(dagster: str, report: Report) -> int:
    """Observe streams and tables, make the bars of the tape's days, and return how many assets that made."""

    def told(text: str) -> None:
        report(f"assets: {text}")

    days = [str(day) for day in demo_days()]
    runs = run_partitions(dagster, DAILY, days, deadline_s=300, on_progress=told)
    run_job(dagster, OBSERVE, deadline_s=300, on_progress=told)
    return sum(len(run.materialised) for run in runs)


def _follow(
    settings: Settings,
    warehouse: Warehouse,
    started: datetime,
    summary: Summary,
    began: float,
    replay: str,
    report: Report,
) -> None:
    """Wait until everything that was played is in the ledger; TerminalError after two minutes without progress."""
    moved, last = time.monotonic(), (-1, -1)
    while True:
        status = _get(f"{replay}/status")
        _count(warehouse, started, summary)
        if not summary.first_bar_seconds and summary.events and summary.bars:
            summary.first_bar_seconds = round(time.monotonic() - began, 1)
            report(f"first bar after {summary.first_bar_seconds:.0f} s")
        now = (int(status["played"]), summary.events + summary.quarantined)
        if now != last:
            moved, last = time.monotonic(), now
            report(f"played {now[0]:,} of {status['records']:,}; delivered {summary.events:,}; {summary.bars} bars")
        if status["state"] == "finished" and summary.events >= int(status["played"]) and summary.bars:
            return
        if status["error"] or time.monotonic() - moved > 120:
            raise TerminalError(
                f"the demo stands still: played {now[0]}, delivered {now[1]}, {status['error'] or 'no progress'}; "
                f"tapehouse status and {settings.data_dir / 'log'} show why"
            )
        time.sleep(POLL_S)


def _count(warehouse: Warehouse, started: datetime, summary: Summary) -> None:
    rows = warehouse.rows(
        "SELECT topic, sum(read_count), sum(stored_count), sum(duplicate_count), sum(quarantined_count) "
        f"FROM {LEDGER.table} FINAL "
        "WHERE closed_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') GROUP BY topic",
        {"since": int(started.timestamp() * 1e6)},
    )
    counts = {str(topic): tuple(map(int, numbers)) for topic, *numbers in rows}
    read, stored, duplicates, _ = counts.get("market.trades", (0, 0, 0, 0))
    summary.events, summary.stored, summary.duplicates = read, stored, duplicates
    refused = counts.get("system.quarantine", (0, 0, 0, 0))[0]
    summary.quarantined = refused + sum(numbers[3] for numbers in counts.values())
    summary.bars = int(warehouse.value("SELECT count() FROM market_bars_current"))


def write_summary(summary: Summary, path: Path) -> None:
    """Write the summary as JSON for programs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(summary), indent=2) + "\n")


def _get(url: str) -> dict[str, Any]:
    return _ask("GET", url, None)


def _post(url: str, body: dict[str, object]) -> dict[str, Any]:
    return _ask("POST", url, body)


def _ask(method: str, url: str, body: dict[str, object] | None) -> dict[str, Any]:
    try:
        # The replay server answers /play only when the collector has subscribed.
        answer = httpx2.request(method, url, json=body, timeout=60.0, trust_env=False)
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        raise RetryableError(f"{url} does not answer: {error}; tapehouse status shows what runs") from error
    told: dict[str, Any] = answer.json()
    return told
