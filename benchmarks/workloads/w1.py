"""W1: from trades in Kafka to stored one-minute bars. Ours does all it does in production, the peers make bars only."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psutil

from benchmarks.environments import OURS, environment_of
from benchmarks.events import VENUE, Events
from benchmarks.measure import Watch
from benchmarks.oracle import Bar, Bars, Oracle, as_bar
from benchmarks.peers.rounds import Job, out_topic
from benchmarks.peers.w1_stages import STAGES
from benchmarks.platform import Platform
from benchmarks.script import Progress, Script, ScriptFailedError
from benchmarks.statistics import Result, Round
from contracts.trades import TRADES
from stores import broker
from stores.warehouse import Warehouse

WORKLOAD, FORMAT = "W1", "avro"
ROUND_DEADLINE_S = 900.0


@dataclass(frozen=True)
class System:
    """A system that takes part: its script, its environment, how it is said to work, whether it must warm up.

    `cores` are those it is bound to; empty: none. `more` is what its script alone is told.
    """

    name: str
    script: str
    environment: str
    note: str
    warms_up: bool = False
    processes: int = 2
    exact_decimals: bool = True
    cores: tuple[int, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


SYSTEMS = (
    System(
        "tapehouse",
        "w1_ours",
        OURS,
        "whole exact path: validated, deduplicated, stored, in the ledger, bars recomputed, tape archived beside it",
        warms_up=True,
    ),
    System("hand loop", "w1_hand", OURS, "confluent-kafka, numpy, polars; one loop, bars only", True, processes=1),
    System(
        "PyFlink 2.2",
        "w1_flink",
        "flink",
        "SQL, bars only; decimals end at 38 digits, so price and quantity are cast to 18",
        warms_up=True,
    ),
    System("Bytewax 0.21", "w1_bytewax", "bytewax", "fastavro, folded a batch, bars only, two processes"),
    System(
        "Quix 3.28", "w1_quix", "quix", "fastavro, its windows, state in changelog topics, bars only, two processes"
    ),
)


def run_w1(
    platform: Platform,
    events: Events,
    oracle: Oracle,
    rounds: int,
    warm_rounds: int,
    progress: Progress,
    systems: Sequence[System] = SYSTEMS,
) -> list[Result]:
    """Let the systems do their rounds in turn and return what each needed; who cannot take part is there, too."""
    scripts: dict[str, Script] = {}
    done: dict[str, list[Round]] = {system.name: [] for system in systems}
    absent: dict[str, str] = {}
    details: dict[str, dict[str, Any]] = {}
    try:
        for number in range(-warm_rounds, rounds):
            # What a round leaves behind is named by its number: these count from 0.
            index = number + warm_rounds
            for system in systems:
                if system.name in absent or (number < 0 and not system.warms_up):
                    continue
                progress.now(f"{WORKLOAD} {system.name}: {'warm-up' if number < 0 else f'round {number + 1}'}")
                try:
                    if system.name not in scripts:
                        scripts[system.name] = started(system, platform)
                    one = _round(system, scripts[system.name], platform, index, oracle, len(events))
                except ScriptFailedError as error:
                    absent[system.name] = str(error)
                    progress.done(f"{WORKLOAD} {system.name}: {error}")
                    continue
                said = f"{one.events / one.seconds:,.0f}/s, {one.cpu_s / one.events * 1e6:.1f} CPU-s/M, {one.note}"
                progress.done(f"{WORKLOAD} {system.name} {'warm-up' if number < 0 else number + 1}: {said}")
                if number >= 0:
                    done[system.name].append(one)
                    details[system.name] = one.details
    finally:
        for script in scripts.values():
            script.close()
    return [
        Result(
            WORKLOAD,
            system.name,
            FORMAT,
            system.exact_decimals,
            tuple(done[system.name]),
            absent.get(system.name, ""),
            system.note,
            details.get(system.name, {}),
        )
        for system in systems
    ]


def started(system: System, platform: Platform) -> Script:
    """Start a system's script; ScriptFailedError where its environment cannot be had."""
    environment = environment_of(system.environment)
    if environment.missing:
        raise ScriptFailedError(environment.missing)
    settings = platform.settings
    more: dict[str, Any] = {}
    if environment.jars is not None:
        more["jars"] = str(environment.jars)
    if system.environment == OURS:
        more |= {"data_dir": str(settings.data_dir), "port_offset": settings.port_offset, "venues": [VENUE]}
    more |= system.more
    job = Job(
        system=system.script.removeprefix("w1_"),
        bootstrap=settings.broker.bootstrap,
        registry=settings.registry.url,
        topic=TRADES.name,
        ends=broker.end_offsets(settings.broker, TRADES.name),
        processes=system.processes,
        port=platform.peer_port,
        more=more,
    )
    return Script(f"benchmarks.peers.{system.script}", environment, job, system.cores)


def _round(system: System, script: Script, platform: Platform, number: int, oracle: Oracle, count: int) -> Round:
    ours = system.script == "w1_ours"
    out = out_topic(system.script.removeprefix("w1_"), number)
    if not ours:
        platform.drop(out)
        platform.topic(out, 1)
    # What the warehouse does for us is part of our cost; the broker's is told apart for everybody.
    roots: list[psutil.Process] = [script.process] + ([platform.process("warehouse")] if ours else [])
    with Watch(roots, [platform.process("kafka")]) as watch:
        told = script.round(number, ROUND_DEADLINE_S)
    found = stored_bars(platform) if ours else written_bars(platform, out)
    closing = {key for key in found if key[0].startswith("END")}
    verdict = oracle.verdict({key: bar for key, bar in found.items() if key not in closing})
    seconds = told.pop("ended") - told.pop("began")
    parts = ("streams", "warehouse")
    told["cpu_s_per_million"] = {
        part: round(cpu / count * 1e6, 2) for part, cpu in zip(parts, watch.each_cpu_s, strict=False)
    }
    told["memory_mb"] = [(round(at, 1), round(used)) for at, used in watch.memory]
    return Round(
        count, seconds, watch.cpu_s, watch.apart_cpu_s, watch.peak_mb, verdict.correct, verdict.note, details=told
    )


def stages(platform: Platform, progress: Progress) -> dict[str, float]:
    """Return the CPU seconds that a million events cost our path's first stages, by probes of their own."""
    script = started(System("stages", "w1_stages", OURS, ""), platform)
    costs = []
    try:
        for number in range(2 * len(STAGES)):  # the first pass warms up
            progress.now(f"{WORKLOAD} stages: {STAGES[number % len(STAGES)]}")
            with Watch([script.process]) as watch:
                script.round(number, ROUND_DEADLINE_S)
            costs.append(watch.cpu_s)
    finally:
        script.close()
    events = sum(broker.end_offsets(platform.settings.broker, TRADES.name).values())
    found = shares(dict(zip(STAGES, [cost / events * 1e6 for cost in costs[len(STAGES) :]], strict=True)))
    progress.done(f"{WORKLOAD} stages, CPU-s/M: {found}")
    return found


def shares(reached: Mapping[str, float]) -> dict[str, float]:
    """Turn what it costs to come as far as a stage, in their order, into what each stage adds; never less than 0."""
    found, before = {}, 0.0
    for stage, cost in reached.items():
        found[stage] = round(max(cost - before, 0.0), 2)
        before = max(cost, before)
    return found


def stored_bars(platform: Platform) -> Bars:
    """Return the bars that our own table holds now."""
    names = ", ".join(f"toString({name})" for name in Bar._fields)
    found = Warehouse(platform.settings.warehouse).rows(
        f"SELECT instrument, toUnixTimestamp64Micro(bar_time), {names} FROM market_bars_current"
    )
    return {(str(row[0]), int(row[1])): as_bar(dict(zip(Bar._fields, row[2:], strict=True))) for row in found}


def written_bars(platform: Platform, topic: str) -> Bars:
    """Return the bars that a topic holds, of each minute the last."""
    settings = platform.settings.broker
    ranges = {partition: (0, end) for partition, end in broker.end_offsets(settings, topic).items()}
    values = (message.value() for message in broker.read_ranges(settings, topic, ranges))
    return _newest(value for value in values if value)


def _newest(values: Iterable[bytes]) -> Bars:
    bars = {}
    for value in values:
        told = json.loads(value, parse_float=Decimal)
        bars[told["instrument"], told["minute"]] = as_bar(told)
    return bars
