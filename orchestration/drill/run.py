"""Hold a drill: play, hurt, wait until recovered, audit; in the end rebuild."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date
from functools import partial

from assets.parity import run_audit
from contracts.errors import RetryableError, TapehouseError, TerminalError
from deploy import stack
from orchestration.drill.faults import FAULTS, Injected
from orchestration.drill.plan import Fault
from orchestration.drill.report import DrillReport, Outcome, Refused
from orchestration.drill.site import COLLECTOR, CannotInjectError, Site, holds
from spark.comparison import Comparison

Rebuild = Callable[[date], list[Comparison]]

RECOVERY_S = 600.0
# How long a gap is waited for once all else is well; what is open then is told as open.
REPAIR_S = 45.0
AUDIT_S = 150.0
# What flows before a fault comes.
FLOWING = 100


def hold(site: Site, plan: Sequence[Fault], seed: int, day: date, rebuild: Rebuild) -> DrillReport:
    """Bring each fault of the plan and return what became of them; `rebuild` compares the played day with the tape.

    A platform that does not recover ends the drill; the report says so.
    """
    report = DrillReport(seed)
    tell = site.progress.line
    try:
        site.wait(site.heard, "the collector to hear its venue", 120)
        for number, fault in enumerate(plan, 1):
            name = f"{number}/{len(plan)} {fault.kind} {fault.target}"
            tell(f"{name}{f' ({fault.size:,})' if fault.size else ''}")
            try:
                seconds = strike(site, fault)
            except CannotInjectError as error:
                report.not_injected.append(Refused(fault.kind, fault.target, str(error)))
                tell(f"{name}: can't be injected: {error}")
                continue
            finally:
                site.player.pause()
                _rest(site)
            audited = run_audit(site.settings.streams, wait_s=AUDIT_S)
            report.faults.append(Outcome(fault.kind, fault.target, round(seconds, 1), audited.missing, audited.twice))
            tell(f"{name}: recovered after {seconds:.1f} s; missing {audited.missing}, twice {audited.twice}")
            for row in audited.rows:
                if row.missing or row.twice:
                    report.findings.append(f"after {fault.kind} {fault.target}: {row}")
                    tell(str(row))
        tell(f"rebuilding {day}")
        report.compared = rebuild(day)
        report.open_gaps = site.open_gaps()
    except TapehouseError as error:
        report.failure = str(error)
        tell(f"the drill ends: {error}")
    finally:
        site.progress.finish()
    return report


def strike(site: Site, fault: Fault) -> float:
    """Bring one fault while the tape plays; return the seconds until everything heard is stored again."""
    site.wait(site.healthy, "all to be healthy before the fault", RECOVERY_S)
    site.player.resume()
    heard = int(site.get(COLLECTOR)["messages"])
    site.wait(lambda: int(site.get(COLLECTOR)["messages"]) > heard + FLOWING, "the tape to flow", 60)
    injected = FAULTS[fault.kind](site, fault)
    return recovered(site, injected, fault)


def recovered(site: Site, injected: Injected, fault: Fault) -> float:
    """Wait until all is healthy, all that was heard by then is stored, and gaps are repaired; return the seconds.

    TerminalError when that takes longer than RECOVERY_S.
    """
    deadline = time.monotonic() + RECOVERY_S
    name = f"{fault.kind} {fault.target}"

    def left() -> float:
        return max(deadline - time.monotonic(), 0)

    while True:
        site.wait(injected.settled, f"{name} to be over", left())
        site.wait(site.healthy, f"{name}: all to be healthy", left())
        with suppress(RetryableError, KeyError):
            flow = site.get(COLLECTOR)
            taken = int(flow["messages"])
            site.wait(partial(_sent, site, taken), f"{name}: what was heard to be in Kafka", left())
            ends = site.ends()
            site.wait(partial(site.stored, ends), f"{name}: what was heard to be stored", left())
            with suppress(TerminalError):
                site.wait(lambda: site.gaps() == 0, f"{name}: gaps to be repaired", min(REPAIR_S, left()))
            if holds(site.healthy):
                return time.monotonic() - injected.at


def _sent(site: Site, messages: int) -> bool:
    """Tell whether the events of so many messages are acknowledged; a collector that began anew has heard fewer."""
    flow = site.get(COLLECTOR)
    return int(flow["done"]) >= messages or int(flow["messages"]) < messages


def _rest(site: Site) -> None:
    """Stop what was started for one fault alone."""
    extra = {one.name for one in stack.status(site.stack).services if one.pid} - site.processes
    for name in sorted(extra):
        stack.stop_one(site.stack, name)
