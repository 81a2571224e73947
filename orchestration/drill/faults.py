"""How each kind of fault is brought about: one function a kind.

Each returns when the fault is over as far as it lies in our hand, with the moment at which it happened and with what
must hold, beyond a healthy platform, before it can count as recovered.
"""

import shutil
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import NewPartitions

from deploy import stack
from orchestration.drill.plan import Fault
from orchestration.drill.site import COLLECTOR, CannotInjectError, Site, now
from stores import broker

FROZEN_S = 30.0
FULL_S = 20.0
# How long the query goes on after its checkpoint has gone before it is killed.
_BARE_S = 3.0
_ENDPOINT = "binance/spot"
_DAGSTER = {"dagster-webserver", "dagster-daemon"}
# More than any disk has.
_ALL_BYTES = 1 << 60


@dataclass(frozen=True)
class Injected:
    """A fault that has happened: when (monotonic seconds), and what must hold before it is over."""

    at: float
    settled: Callable[[], bool] = lambda: True


def kill(site: Site, fault: Fault) -> Injected:
    """Kill a process and its children with SIGKILL; another one must stand in its place."""
    if fault.target in _DAGSTER:
        site.progress.line("starting Dagster, to kill its daemon")
        stack.up(site.stack, only=_DAGSTER, progress=site.progress)
        began = now()
        site.wait(lambda: site.daemons_beat(began), "Dagster's daemons give signs of life", 300)
    if site.pid(fault.target) is None:
        raise CannotInjectError(f"{fault.target} does not run on this platform")
    at, clock = time.monotonic(), now()
    killed = stack.kill(site.stack, fault.target)

    def replaced() -> bool:
        again = site.pid(fault.target) not in (None, killed)
        return again and (fault.target != "dagster-daemon" or site.daemons_beat(clock))

    return Injected(at, replaced)


def freeze(site: Site, fault: Fault) -> Injected:
    """Stop a process for FROZEN_S: it keeps its connections and answers none."""
    at = time.monotonic()
    stack.kill(site.stack, fault.target, signal.SIGSTOP)
    try:
        _pass(site, at + FROZEN_S, f"{fault.target} to be frozen")
    finally:
        stack.kill(site.stack, fault.target, signal.SIGCONT)
    return Injected(at)


def disconnect(site: Site, fault: Fault) -> Injected:
    """Let the venue cut its connections without goodbye."""
    return _venue(site, {"kind": "disconnect", "endpoint": fault.target})


def gap(site: Site, fault: Fault) -> Injected:
    """Let the venue lose the stream's next messages."""
    return _venue(site, _of_stream("drop", fault))


def duplicate(site: Site, fault: Fault) -> Injected:
    """Let the venue send the stream's next messages twice."""
    return _venue(site, _of_stream("duplicate", fault))


def reorder(site: Site, fault: Fault) -> Injected:
    """Let the venue send the stream's next messages in reversed order."""
    return _venue(site, _of_stream("reorder", fault))


def corrupt(site: Site, fault: Fault) -> Injected:
    """Let the venue damage the stream's next messages."""
    return _venue(site, _of_stream("corrupt", fault))


def skew(site: Site, fault: Fault) -> Injected:
    """Set the venue's clock wrong; a gap makes sure that times are compared, and the clock stays wrong until then."""
    at = time.monotonic()
    site.player.post("/faults", {"kind": "skew", "endpoint": fault.target, "ms": fault.size})
    try:
        lost = _venue(site, {"kind": "drop", "endpoint": fault.target, "stream": "btcusdt@trade", "count": 5})
        site.wait(lost.settled, "the venue to lose trades", 60)
        site.wait(lambda: site.gaps() > 0, "the loss to be noticed", 120)
        site.wait(lambda: site.gaps() == 0, "the loss to be repaired by a venue whose clock is wrong", 240)
    finally:
        site.player.post("/faults", {"kind": "skew", "endpoint": fault.target, "ms": 0})
    return Injected(at)


def partitions(site: Site, fault: Fault) -> Injected:
    """Add partitions to a topic, and restart the collector in good order.

    Its producer would find them within five minutes by itself; restarted it uses them at once.
    """
    admin = broker.make_admin(site.settings.broker)
    wanted = len(broker.end_offsets(site.settings.broker, fault.target)) + fault.size
    at = time.monotonic()
    try:
        admin.create_partitions([NewPartitions(fault.target, wanted)], request_timeout=30)[fault.target].result(30)
    except (KafkaException, TimeoutError) as error:
        raise CannotInjectError(f"Kafka adds no partitions to {fault.target}: {error}") from error
    stack.stop_one(site.stack, COLLECTOR)
    stack.start_one(site.stack, COLLECTOR, site.progress)
    return Injected(at, lambda: len(broker.end_offsets(site.settings.broker, fault.target)) == wanted)


def checkpoint(site: Site, fault: Fault) -> Injected:
    """Remove the checkpoints under the running queries, then kill their process."""
    at = time.monotonic()
    shutil.rmtree(site.settings.streams.scratch_dir / "checkpoints", ignore_errors=True)
    _pass(site, at + _BARE_S, "the queries to go on without a checkpoint")
    before = site.pid(fault.target)
    if before is not None:  # it may have ended by itself meanwhile
        stack.kill(site.stack, fault.target)
    return Injected(at, lambda: site.pid(fault.target) not in (None, before))


def topic(site: Site, fault: Fault) -> Injected:
    """Delete a topic; the collector makes it again.

    The tape's own is deleted in a pause, once the lake holds all of it: what is nowhere else nobody can tell again.
    """
    settings = site.settings.broker
    is_tape = fault.target.startswith("tape.")
    if is_tape:
        site.player.pause()
        _all_stored(site)
    old = broker.topic_id(settings, fault.target)
    at = time.monotonic()
    broker.delete_topic(settings, fault.target)

    def made_again() -> bool:
        return fault.target in broker.topic_names(settings) and broker.topic_id(settings, fault.target) != old

    if is_tape:
        site.wait(made_again, f"{fault.target} to be made again", 300)
        site.player.resume()
    return Injected(at, made_again)


def disk(site: Site, fault: Fault) -> Injected:  # noqa: ARG001 - there is one warehouse
    """Let the engine find no room for inserts for FULL_S, as it does on a full disk.

    Filling the disk itself would hit everything else on the machine. The engine reserves room before it writes; told
    to leave more free than there is, it refuses with the same code (243) as when the disk is full.
    """
    warehouse = site.warehouse()
    found = warehouse.rows(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    names = [str(name) for (name,) in found]
    setting = "min_free_disk_bytes_to_perform_insert"
    at = time.monotonic()
    try:
        for name in names:
            warehouse.run(f"ALTER TABLE {name} MODIFY SETTING {setting} = {_ALL_BYTES}")
        _pass(site, at + FULL_S, "the disk to be full")
    finally:
        for name in names:
            warehouse.run(f"ALTER TABLE {name} RESET SETTING {setting}")
    return Injected(at)


FAULTS: Mapping[str, Callable[[Site, Fault], Injected]] = {
    "kill": kill,
    "freeze": freeze,
    "disconnect": disconnect,
    "gap": gap,
    "duplicate": duplicate,
    "reorder": reorder,
    "corrupt": corrupt,
    "skew": skew,
    "partitions": partitions,
    "checkpoint": checkpoint,
    "topic": topic,
    "disk": disk,
}


def _of_stream(kind: str, fault: Fault) -> dict[str, object]:
    return {"kind": kind, "endpoint": _ENDPOINT, "stream": fault.target, "count": fault.size}


def _venue(site: Site, asked: dict[str, object]) -> Injected:
    """Ask the replay server for a fault; it is over once that says so."""
    at = time.monotonic()
    number = site.player.post("/faults", asked)["number"]

    def done() -> bool:
        listed: list[dict[str, Any]] = site.get("replay", "/faults")["faults"]
        return any(one["number"] == number and one["state"] == "done" for one in listed)

    return Injected(at, done)


def _all_stored(site: Site) -> None:
    ends = site.ends()
    site.wait(lambda: site.stored(ends), "everything to be stored", 300)


def _pass(site: Site, until: float, what: str) -> None:
    """Let time pass."""
    while (left := until - time.monotonic()) > 0:
        site.player.check()
        site.progress.waiting([what])
        time.sleep(min(left, 0.2))
