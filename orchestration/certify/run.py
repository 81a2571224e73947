"""Make a certificate: each variant on an empty platform, an audit after it, and its tables hashed."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from assets.parity import run_audit
from contracts.errors import RetryableError, TerminalError
from contracts.ledger import LEDGER
from deploy import stack
from deploy.stack.progress import Progress
from orchestration.certify.hashes import LEFT_OUT, read_tables, roll_up
from orchestration.certify.platform import own_platform
from orchestration.certify.playing import Play, playing
from orchestration.certify.producing import produce, records_of
from orchestration.certify.stretch import Stretch
from orchestration.certify.variants import PLAYED, Variant
from orchestration.settings import REPOSITORY, Settings
from orchestration.values import stack_settings
from quality.certificate import Certificate, Outcome
from stores.warehouse import Warehouse

ROLLUP_QUERY = REPOSITORY / "sql" / "queries" / "rollup.sql"
PATIENCE_S = 240.0
POLL_S = 0.2
Report = Callable[[str], None]


def certify(
    settings: Settings,
    stretch: Stretch,
    variants: Sequence[Variant],
    seed: int,
    report: Report,
) -> Certificate:
    """Replay the stretch in every variant, one after the other, on platforms made by `settings`."""
    began, started = datetime.now(UTC), time.monotonic()
    outcomes = []
    for number, variant in enumerate(variants, 1):
        report(f"{number} of {len(variants)}: {variant.name} ({variant.described})")
        began_variant = time.monotonic()
        with own_platform(settings, variant.partitions, Progress()):
            replay(settings, stretch, variant, seed, report)
            outcome = judge(settings, variant, time.monotonic() - began_variant, report)
        outcomes.append(outcome)
        report(f"{variant.name}: {_told(outcome)}")
    return Certificate(
        tape=stretch.tape,
        stretch_s=stretch.seconds,
        records=stretch.records,
        seed=seed,
        began=began,
        seconds=round(time.monotonic() - started, 1),
        variants=tuple(outcomes),
        left_out=LEFT_OUT,
    )


def _told(outcome: Outcome) -> str:
    rows = sum(table.rows for table in outcome.tables.values())
    return f"{rows:,} rows, {outcome.missing} missing, {outcome.twice} twice, after {outcome.seconds:.0f} s"


def replay(settings: Settings, stretch: Stretch, variant: Variant, seed: int, report: Report) -> None:
    """Bring the stretch to a running platform as the variant says, and return when Kafka has all of it."""
    if variant.how == PLAYED:
        with playing(settings, stretch, variant.speed) as play:
            for number, name in enumerate(variant.killed, 1):
                share = number / (len(variant.killed) + 1)
                _until(partial(_played, play, share), f"{share:.0%} of the stretch played")
                _kill(settings, name, report)
            play.finish()
        return
    records = records_of(settings, stretch, seed if variant.shuffled else None)
    size = -(-len(records) // (len(variant.killed) + 1))
    for number, name in enumerate(("", *variant.killed)):
        if name:
            # The last part is being written, and the next one comes while its writer is dead.
            _until(partial(_delivered, settings, size * (number - 1) // 2 + 1), "the streams write")
            _kill(settings, name, report)
        produce(settings, records[number * size : (number + 1) * size])


def _played(play: Play, share: float) -> bool:
    return play.played() >= share


def _delivered(settings: Settings, records: int) -> bool:
    """Tell whether the ledger has closed so many records."""
    return int(Warehouse(settings.warehouse).value(f"SELECT sum(read_count) FROM {LEDGER.table} FINAL")) >= records


def _kill(settings: Settings, name: str, report: Report) -> None:
    stack.kill(stack_settings(settings), name)
    report(f"{name} killed")


def judge(settings: Settings, variant: Variant, seconds: float, report: Report) -> Outcome:
    """Wait until everything is delivered, audit, and hash the tables."""
    audit = _audited(settings, report)
    warehouse = Warehouse(settings.warehouse)
    roll_up(warehouse, ROLLUP_QUERY.read_text())
    return Outcome(
        name=variant.name,
        described=variant.described,
        seconds=round(seconds, 1),
        missing=audit[0],
        twice=audit[1],
        killed=variant.killed,
        tables=read_tables(warehouse, asked=variant.how != PLAYED, on_progress=lambda _: None),
    )


def _audited(settings: Settings, report: Report) -> tuple[int, int]:
    """Audit, again while the warehouse is away: it may have been killed a moment ago."""
    end = time.monotonic() + PATIENCE_S
    report("auditing, once everything answers and nothing is under way")
    while True:
        try:
            found = run_audit(settings.streams, wait_s=max(end - time.monotonic(), 1.0))
        except RetryableError:
            if time.monotonic() > end:
                raise
            time.sleep(1.0)
        else:
            return found.missing, found.twice


def _until(claim: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            if claim():
                return
        except RetryableError:
            pass
        if time.monotonic() > end:
            raise TerminalError(f"the certificate stands still: not within {PATIENCE_S:.0f} s: {what}")
        time.sleep(POLL_S)
