"""What runs all the time: venues, their collectors and the streams. Observed, never materialised."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from assets.processes import Processes, ProcessView
from assets.specs import OWNERS, SOURCES, STREAMS, dataset_spec, observable
from contracts.alerts import MARKET_ALERTS
from contracts.catalog import DELIVERED, MARKET
from contracts.dataset import Dataset
from contracts.gaps import GAPS, MARKS
from contracts.imports import IMPORT
from contracts.tape import tape_topic
from sources.venues import VENUES

STREAM_PROCESS = "streams"
ALERT_PROCESS = "alert-stream"
ALERT_KEY = dg.AssetKey(["streams", "real_time_alerts"])
RESTART_HINT = "Restart it with the job `restart_process`: it goes on where the ledger ends, nothing is lost or twice."


def venue_key(venue: str) -> dg.AssetKey:
    """Name the venue's asset."""
    return dg.AssetKey(["venue", venue])


def collector_process(venue: str) -> str:
    """Name the process that collects from a venue, as the supervisor does."""
    return f"collector-{venue}"


def collector_key(venue: str) -> dg.AssetKey:
    """Name the asset of a venue's collector."""
    return dg.AssetKey(["collector", venue])


def stream_key(topic: str) -> dg.AssetKey:
    """Name the asset of the stream that reads a topic."""
    return dg.AssetKey(["streams", topic.replace(".", "_")])


TAPE_TOPICS = {venue: tape_topic(venue).name for venue in VENUES}
IMPORT_TOPIC = tape_topic(IMPORT).name
TABLE_TOPICS = {d.topic.name: d for d in DELIVERED if d.topic is not None}
TOPIC_OF_KEY = {stream_key(topic): topic for topic in (*TAPE_TOPICS.values(), IMPORT_TOPIC, *TABLE_TOPICS)}

VENUE_ASSETS = [
    dg.AssetSpec(
        venue_key(name),
        description=f"The venue {name}: its feeds {', '.join(e.name for e in venue.endpoints)}, over WebSocket. "
        "On one machine the replay server may stand in for it, speaking the same protocol.",
        group_name=SOURCES,
        owners=OWNERS,
        kinds={"websocket"},
        metadata={"feeds": {e.name: e.base_url for e in venue.endpoints}},
    )
    for name, venue in sorted(VENUES.items())
]


def _collector_spec(venue: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        collector_key(venue),
        deps=[venue_key(venue)],
        description=f"Writes every payload of {venue} to the topic `{TAPE_TOPICS[venue]}` as it came, and only when "
        f"Kafka has it, what was parsed from it to {', '.join(f'`{d.name}`' for d in MARKET)}; holes and silences that "
        f"it notices to `{GAPS.name}`. {RESTART_HINT}",
        group_name=SOURCES,
        owners=OWNERS,
        kinds={"python", "kafka"},
        metadata={"process": collector_process(venue)},
    )


def _stream_spec(topic: str, deps: list[dg.AssetKey], to: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        stream_key(topic),
        deps=deps,
        description=f"The Spark query that carries the topic `{topic}` {to}. Holds no state and no watermark; every "
        f"range of offsets is entered in the ledger last. {RESTART_HINT}",
        group_name=STREAMS,
        owners=OWNERS,
        kinds={"spark", "kafka"},
        metadata={"process": STREAM_PROCESS, "topic": topic},
    )


_COLLECTORS = [collector_key(venue) for venue in sorted(VENUES)]
COLLECTOR_OF_KEY = {collector_key(venue): collector_process(venue) for venue in VENUES}

MARKS_ASSET = dataset_spec(
    MARKS,
    group=SOURCES,
    kinds={"kafka"},
    deps=_COLLECTORS,
    description="Lies in a compacted topic alone.",
    table_name=f"kafka.{MARKS.name}",
)


def _before(dataset: Dataset) -> list[dg.AssetKey]:
    return [ALERT_KEY] if dataset is MARKET_ALERTS else _COLLECTORS


_SPECS = [
    *(_collector_spec(venue) for venue in sorted(VENUES)),
    dg.AssetSpec(
        ALERT_KEY,
        deps=_COLLECTORS,
        description="The Spark query in Real-Time Mode that holds trades and quotes against the alert rules and tells "
        f"what breaks them in the topic `{MARKET_ALERTS.name}`, event by event; docs/real-time.md.",
        group_name=STREAMS,
        owners=OWNERS,
        kinds={"spark", "kafka"},
        metadata={"process": ALERT_PROCESS},
    ),
    *(_stream_spec(t, _before(d), f"to the table `{d.table}`") for t, d in TABLE_TOPICS.items()),
    *(_stream_spec(t, [collector_key(v)], "to the lake's tape") for v, t in sorted(TAPE_TOPICS.items())),
    _stream_spec(IMPORT_TOPIC, [], "to the lake's tape (`tapehouse import` fills it)"),
]


@observable("observe_processes", _SPECS)
def observe_processes(
    context: dg.AssetExecutionContext, processes: dg.ResourceParam[Processes]
) -> Iterator[dg.ObserveResult]:
    """Note how collectors and streams are; one that does not run is noted as that."""
    views = processes.view({*COLLECTOR_OF_KEY.values(), STREAM_PROCESS, ALERT_PROCESS})
    # Dagster wants what follows after what it follows from; the specs stand in that order.
    for key in (spec.key for spec in _SPECS if spec.key in context.selected_asset_keys):
        topic = TOPIC_OF_KEY.get(key)
        name = ALERT_PROCESS if key == ALERT_KEY else COLLECTOR_OF_KEY.get(key, STREAM_PROCESS)
        view = views.get(name, ProcessView(name, "unknown", "the platform on this machine does not carry it"))
        if key == ALERT_KEY:
            told = _alert_numbers(view.health)
        else:
            told = _stream_numbers(view.health, topic) if topic else _collector_numbers(view.health)
        yield dg.ObserveResult(asset_key=key, metadata=_process_numbers(view) | told)


def _process_numbers(view: ProcessView) -> dict[str, Any]:
    told: dict[str, Any] = {"state": view.state, "restarts": view.restarts}
    if view.uptime_s is not None:
        told["uptime_s"] = view.uptime_s
    if view.memory_bytes:
        told["memory_mib"] = round(view.memory_bytes / 2**20)
    if reason := view.reason or view.health.get("detail", ""):
        told["reason"] = str(reason)
    return told


def _stream_numbers(health: Mapping[str, Any], topic: str) -> dict[str, Any]:
    stream = health.get("streams", {}).get(topic, {})
    told: dict[str, Any] = {}
    if "lag" in stream:
        told["lag"] = int(stream["lag"])
    if stream:
        told |= {
            "rows_per_s": float(stream.get("rows_per_s") or 0.0),
            "rows_since_start": int(stream["rows"]),
            "batches_since_start": int(stream["batches"]),
            "next_offsets": {str(p): int(offset) for p, offset in stream.get("offsets", {}).items()},
        }
    if stream.get("last_batch"):
        told["last_batch"] = dg.MetadataValue.timestamp(datetime.fromisoformat(stream["last_batch"]))
    return told


def _alert_numbers(health: Mapping[str, Any]) -> dict[str, Any]:
    counts = ("batches", "references", "references_age_s", "seconds_since_batch")
    return {name: health[name] for name in counts if health.get(name) is not None}


def _collector_numbers(health: Mapping[str, Any]) -> dict[str, Any]:
    counts = ("lag", "messages", "taped", "events", "reconnects", "recovered")
    told: dict[str, Any] = {name: int(health[name]) for name in counts if health.get(name) is not None}
    for name in ("rejected", "ignored"):
        if health.get(name):
            told[name] = dict(health[name])
    if health.get("last_message_age_s") is not None:
        told["last_message_age_s"] = float(health["last_message_age_s"])
    uptime = float(health.get("uptime_s") or 0)
    if uptime and "messages" in told:
        told["messages_per_s"] = round(told["messages"] / uptime, 1)
    return told
