"""W2: W1's trades, many to a record: read, decoded and judged alone, then the whole exact path."""

from dataclasses import replace

from benchmarks.environments import OURS
from benchmarks.events import Events
from benchmarks.measure import Watch
from benchmarks.oracle import Oracle
from benchmarks.platform import Platform
from benchmarks.script import Progress, ScriptFailedError
from benchmarks.statistics import Result, Round
from benchmarks.workloads.w1 import ROUND_DEADLINE_S, System, run_w1, started
from contracts.dataset import BATCH_EVENTS

WORKLOAD, FORMAT = "W2", f"arrow, {BATCH_EVENTS} a record"
READING = System(
    "tapehouse-batched, read",
    "w2_read",
    OURS,
    "every trade read from Kafka, decoded, held against the contract's rules",
)
WHOLE = System(
    "tapehouse-batched, whole path",
    "w1_ours",
    OURS,
    "W1's whole exact path, the tape archived beside it",
    warms_up=True,
    more={"batched": True},
)


def run_w2(
    platform: Platform, events: Events, oracle: Oracle, rounds: int, warm_rounds: int, progress: Progress
) -> list[Result]:
    """Put the events into the trades' topic as batches and measure both; the topic is left empty."""
    platform.make_trades_anew(events.shape.partitions)
    records = platform.load_batches(events, progress.now)
    progress.done(f"{WORKLOAD}: {len(events):,} trades in Kafka in {records:,} records")
    reading = _reading(platform, events, rounds, warm_rounds, progress)
    (whole,) = run_w1(platform, events, oracle, rounds, warm_rounds, progress, [WHOLE])
    platform.make_trades_anew(events.shape.partitions)
    return [reading, replace(whole, workload=WORKLOAD, format=FORMAT)]


def _reading(platform: Platform, events: Events, rounds: int, warm_rounds: int, progress: Progress) -> Result:
    done: list[Round] = []
    absent = ""
    script = started(READING, platform)
    try:
        for number in range(-warm_rounds, rounds):
            progress.now(f"{WORKLOAD} {READING.name}: {'warm-up' if number < 0 else f'round {number + 1}'}")
            with Watch([script.process], [platform.process("kafka")]) as watch:
                told = script.round(number, ROUND_DEADLINE_S)
            correct = (told["rows"], told["total"]) == (len(events), int(events.sequence.sum()))
            note = "exact" if correct else f"{told['rows']:,} trades of {len(events):,}, or their numbers differ"
            seconds = told["ended"] - told["began"]
            one = Round(len(events), seconds, watch.cpu_s, watch.apart_cpu_s, watch.peak_mb, correct, note)
            progress.done(f"{WORKLOAD} {READING.name}: {len(events) / seconds:,.0f}/s, {note}")
            if number >= 0:
                done.append(one)
    except ScriptFailedError as error:
        absent = str(error)
    finally:
        script.close()
    return Result(WORKLOAD, READING.name, FORMAT, True, tuple(done), absent, READING.note)
