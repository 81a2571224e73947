"""`python -m benchmarks`: the workloads, one after another; results in var/bench/latest.json, a table and a plot."""

import signal
import sys
from dataclasses import replace
from typing import Annotated

import typer

from benchmarks.events import Events, Shape, make_events
from benchmarks.oracle import Oracle, right_answer
from benchmarks.platform import Platform, scratch_platform
from benchmarks.report import write_report
from benchmarks.script import Progress
from benchmarks.statistics import Result
from benchmarks.table import OURS
from benchmarks.workloads import w1, w2, w3, w4, w5, w6

PORT_OFFSET = 36_000
WORKLOADS = ("w1", "w2", "w3", "w4", "w5", "w6")
W1_EVENTS, QUICK_W1_EVENTS = 5_000_000, 400_000
W4_EVENTS, QUICK_W4_EVENTS = 10_000_000, 500_000
W5_EVENTS, BACKLOG = 2_000_000, 10_000_000


def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="W1, W2 and W4 alone, smaller counts: under six minutes.")
    ] = False,
    only: Annotated[str, typer.Option(help=f"Workloads, separated by commas, of: {', '.join(WORKLOADS)}.")] = "",
    systems: Annotated[str, typer.Option(help="W1: systems by the beginnings of their names; empty: all.")] = "",
    events: Annotated[int, typer.Option(help="Trades of each workload; 0: as the workload has it.")] = 0,
    rounds: Annotated[int, typer.Option(help="Rounds of each system; 0: 3, quick 3 in W1 and 1 elsewhere.")] = 0,
    port_offset: Annotated[int, typer.Option(help="Added to each port of the scratch platform.")] = PORT_OFFSET,
) -> None:
    """Measure, and write down what came out."""
    # Told to end, we leave as by Ctrl-C: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    progress = Progress()
    wanted = [one.strip().lower() for one in (only or ("w1,w2,w4" if quick else ",".join(WORKLOADS))).split(",")]
    if unknown := set(wanted) - set(WORKLOADS):
        raise typer.BadParameter(f"no workload is called {', '.join(sorted(unknown))}; valid: {', '.join(WORKLOADS)}")
    few = rounds or (1 if quick else 3)
    # Written after each workload: what comes later may fail.
    with scratch_platform(port_offset) as platform:
        if "w1" in wanted or "w2" in wanted:
            made = make_events(Shape(events or (QUICK_W1_EVENTS if quick else W1_EVENTS)))
            oracle = right_answer(made)
            platform.load_tape(made, progress.now)
            # Fewer events a round warm a JVM less: two rounds then.
            warm = 2 if quick else 1
        if "w1" in wanted:
            write_report(_w1(platform, made, oracle, rounds or 3, warm, systems, progress), quick)
        if "w2" in wanted:
            write_report(w2.run_w2(platform, made, oracle, rounds or 3, warm, progress), quick)
        if "w3" in wanted:
            write_report(w3.run_w3(platform, quick, progress), quick)
        if "w4" in wanted:
            count = events or (QUICK_W4_EVENTS if quick else W4_EVENTS)
            write_report(w4.run_w4(platform, [count // 2, count], few, progress), quick)
        if "w5" in wanted:
            chosen = w5.cases(events or W5_EVENTS, events or BACKLOG)
            write_report(w5.run_w5(platform, chosen, few, progress), quick)
        if "w6" in wanted:
            count = events or (w6.QUICK_ROWS if quick else w6.ROWS)
            write_report(w6.run_w6(platform, count, few, progress), quick)


def _w1(
    platform: Platform, made: Events, oracle: Oracle, rounds: int, warm: int, systems: str, progress: Progress
) -> list[Result]:
    beginnings = tuple(systems.lower().split(",")) if systems else ("",)
    chosen = [system for system in w1.SYSTEMS if system.name.lower().startswith(beginnings)]
    platform.load_trades(made, progress.now)
    progress.done(f"{len(made):,} trades in Kafka, {len(oracle.exact):,} bars to be made of them")
    results = w1.run_w1(platform, made, oracle, rounds, warm, progress, chosen)
    if not any(one.system == OURS and one.rounds for one in results):
        return results
    more = {"bytes_an_event": platform.bytes_an_event(), "stages": w1.stages(platform, progress)}
    return [replace(one, details=one.details | more) if one.system == OURS else one for one in results]


if __name__ == "__main__":
    typer.run(main)
