"""The demo: play the tapes that ship through the running platform and say what became of them."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import httpx2

from assets.parity import run_audit
from contracts.catalog import MARKET
from contracts.errors import RetryableError, TerminalError
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.trades import TRADES
from jobs.names import DAILY, OBSERVE
from orchestration.launch import run_job, run_partitions
from orchestration.settings import Settings
from orchestration.summary import Summary, VenueSummary
from sources.demo import TAPES
from sources.demo.faults import FAULTS
from sources.events import Accepted
from sources.tape_file import read_tape
from sources.venues import venue
from stores.warehouse import Warehouse

Report = Callable[[str], None]
Health = dict[str, Any]
POLL_S = 0.5
STANDSTILL_S = 120.0
# How long the repair of a gap is waited for once everything was played; what is open then is told as open.
REPAIR_S = 30.0
# Six days' runs, each with its audit and a hundred claims, on a machine that may have other work.
MATERIALISE_S = 900.0


def demo_days(venues: tuple[str, ...]) -> list[date]:
    """Return the days of the trades on the demo tapes."""
    days = set()
    for name in venues:
        parse = venue(name).parse
        for record in read_tape(TAPES[name]):
            for event in parse(record.endpoint, record.payload, record.request):
                if isinstance(event, Accepted) and event.dataset == TRADES.name:
                    days.add(datetime.fromtimestamp(int(str(event.row["event_time"])) / 1e6, UTC).date())
    return sorted(days)


@dataclass
class Run:
    """One run of the demo, and what the collectors had counted when it began."""

    settings: Settings
    began: float
    report: Report
    warehouse: Warehouse
    started: datetime
    before: dict[str, Health] = field(default_factory=dict)
    summary: Summary = field(default_factory=Summary)
    told: set[tuple[str, str, int]] = field(default_factory=set)
    dagster: Future[None] | None = None

    def collectors(self) -> dict[str, Health]:
        """Ask every collector how it is."""
        return {name: _get(f"{self._collector(name)}/health") for name in self.settings.venues}

    def forget(self) -> None:
        """Tell the collectors that a recording begins anew: repeated ids are no gaps, and dropped ones are."""
        for name in self.settings.venues:
            _post(f"{self._collector(name)}/forget", {})

    def _collector(self, name: str) -> str:
        return f"http://127.0.0.1:{self.settings.port(f'collector-{name}')}"


def play(settings: Settings, began: float, report: Report, start_dagster: Callable[[], Future[None]]) -> Summary:
    """Play the tapes, wait until everything is delivered and repaired, audit, materialise the assets of their days.

    `began` is the monotonic time at which the user started waiting; `start_dagster` is called at the first bar. Raises
    TerminalError when the flow stops.
    """
    run = Run(settings, began, report, Warehouse(settings.warehouse), datetime.now(UTC))
    run.forget()
    run.before = run.collectors()
    replay = f"http://127.0.0.1:{settings.port('replay')}"
    _post(f"{replay}/play", {"speed": settings.demo_speed, "align": True, "faults": FAULTS})
    _follow(run, replay, start_dagster)
    report("audit: comparing tape, Kafka, ledger and tables; the archive's next commit is waited for")
    audit = run_audit(settings.streams, wait_s=150, on_progress=_now_and_then(report))
    summary = run.summary
    summary.audit = {"missing": audit.missing, "twice": audit.twice}
    if run.dagster is not None:
        run.dagster.result()
    if summary.balanced:
        summary.assets = _materialise(settings, report)
    _count(run)
    summary.seconds = round(time.monotonic() - began, 1)
    return summary


def _now_and_then(report: Report) -> Report:
    """Pass on what the audit still misses, not each of its steps."""

    def told(text: str) -> None:
        if text.endswith("looking again"):
            report(f"audit: {text}")

    return told


def _materialise(settings: Settings, report: Report) -> int:
    """Observe streams and tables, make the bars of the tapes' days, and return how many assets that made."""

    def told(text: str) -> None:
        report(f"assets: {text}")

    dagster = settings.dagster_url
    days = [str(day) for day in demo_days(settings.venues)]
    runs = run_partitions(dagster, DAILY, days, deadline_s=MATERIALISE_S, on_progress=told)
    run_job(dagster, OBSERVE, deadline_s=MATERIALISE_S, on_progress=told)
    return sum(len(run.materialised) for run in runs)


def _follow(run: Run, replay: str, start_dagster: Callable[[], Future[None]]) -> None:
    """Wait until everything that was played is in the ledger and repaired; TerminalError without any progress."""
    summary, report = run.summary, run.report
    moved, last = time.monotonic(), (-1, -1)
    played_at: float | None = None
    while True:
        status = _get(f"{replay}/status")
        health = run.collectors()
        _count(run)
        _venues(run, health)
        _tell_gaps(run)
        if not summary.first_bar_seconds and summary.events and summary.bars:
            summary.first_bar_seconds = round(time.monotonic() - run.began, 1)
            report(f"first bar after {summary.first_bar_seconds:.0f} s")
            run.dagster = start_dagster()
        now = (int(status["played"]), summary.events + summary.quarantined)
        if now != last:
            moved, last = time.monotonic(), now
            report(f"played {now[0]:,} of {status['records']:,}; delivered {summary.events:,}; {summary.bars} bars")
        if status["state"] == "finished":
            played_at = played_at or time.monotonic()
            repaired = all(not one.gaps_open for one in summary.venues.values())
            if _delivered(run, health) and (repaired or time.monotonic() - played_at > REPAIR_S):
                return
        if status["error"] or time.monotonic() - moved > STANDSTILL_S:
            raise TerminalError(
                f"the demo stands still: played {now[0]}, delivered {now[1]}, {status['error'] or 'no progress'}; "
                f"tapehouse status and {run.settings.data_dir / 'log'} show why"
            )
        time.sleep(POLL_S)


def _delivered(run: Run, health: dict[str, Health]) -> bool:
    """Tell whether every event that the collectors have parsed is in the ledger."""
    parsed = sum(told["events"] - run.before[name]["events"] for name, told in health.items())
    resting = all(told["lag"] == 0 for told in health.values())
    return resting and run.summary.events >= parsed and run.summary.bars > 0


def _venues(run: Run, health: dict[str, Health]) -> None:
    """Take what the collectors tell of this run."""
    for name, told in health.items():
        gaps, books = told["gaps"], told["books"]
        run.summary.venues[name] = VenueSummary(
            events=told["events"] - run.before[name]["events"],
            gaps_found=gaps["found"],
            gaps_filled=gaps["filled"] + gaps["resynced"],
            gaps_open=gaps["open"] + gaps["unfillable"],
            rows_recovered=gaps["recovered"],
            checksums_matched=books["checksums"]["matched"],
            checksums_failed=books["checksums"]["failed"],
            books=books["complete"],
        )


def _tell_gaps(run: Run) -> None:
    """Report every gap of this run that was closed, once."""
    closed = run.warehouse.rows(
        "SELECT venue, instrument, id_space, gap_number, kind, state, recovered_count, repair_ms "
        "FROM system_gaps_current WHERE state IN ('filled', 'resynced') AND gap_number >= {since:Int64} "
        "ORDER BY gap_number",
        {"since": int(run.started.timestamp() * 1e6)},
    )
    for name, instrument, id_space, number, kind, state, recovered, repair_ms in closed:
        key = (str(instrument), str(id_space), int(number))
        if key in run.told:
            continue
        run.told.add(key)
        how = f"{recovered} back" if state == "filled" else "a new snapshot"
        run.report(f"gap {state}: {name} {instrument} {id_space} ({kind}), {how} after {int(repair_ms) / 1000:.1f} s")


def _count(run: Run) -> None:
    summary = run.summary
    rows = run.warehouse.rows(
        "SELECT topic, sum(read_count), sum(stored_count), sum(duplicate_count), sum(quarantined_count) "
        f"FROM {LEDGER.table} FINAL "
        "WHERE closed_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') GROUP BY topic",
        {"since": int(run.started.timestamp() * 1e6)},
    )
    counts = {str(topic): tuple(map(int, numbers)) for topic, *numbers in rows}
    market = {d.name: counts[d.topic.name] for d in MARKET if d.topic is not None and d.topic.name in counts}
    summary.by_table = {name: numbers[0] for name, numbers in market.items()}
    summary.events, summary.stored, summary.duplicates = (
        sum(numbers[index] for numbers in market.values()) for index in range(3)
    )
    refused = counts.get(QUARANTINE.name, (0, 0, 0, 0))[0]
    summary.quarantined = refused + sum(numbers[3] for numbers in counts.values())
    summary.bars = int(run.warehouse.value("SELECT count() FROM market_bars_current"))


def _get(url: str) -> dict[str, Any]:
    return _ask("GET", url, None)


def _post(url: str, body: dict[str, object]) -> dict[str, Any]:
    return _ask("POST", url, body)


def _ask(method: str, url: str, body: dict[str, object] | None) -> dict[str, Any]:
    try:
        # The replay server answers /play only when the collectors have subscribed.
        answer = httpx2.request(method, url, json=body, timeout=60.0, trust_env=False)
        answer.raise_for_status()
    except httpx2.HTTPError as error:
        raise RetryableError(f"{url} does not answer: {error}; tapehouse status shows what runs") from error
    told: dict[str, Any] = answer.json()
    return told
