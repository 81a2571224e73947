"""The processes of the local platform, in the order of their start."""

from collections.abc import Collection
from pathlib import Path

from contracts.errors import TerminalError
from deploy.stack import dagster, kafka, redis, registry, rooms
from deploy.stack.service import Service
from deploy.stack.settings import StackSettings

PREPARED_AFTER = frozenset({"kafka", "registry", "warehouse"})
"""What must be healthy before topics, schemas and tables can be made."""


def names(settings: StackSettings) -> tuple[str, ...]:
    """Name every process, in the order in which `status` shows them: one collector a venue, so that none slows another.

    A platform of one's own may lack venues; the names of its collectors follow.
    """
    return (
        "kafka",
        "registry",
        "warehouse",
        "redis",
        "pages",
        "replay",
        *map(rooms.collector_name, settings.venues),
        "streams",
        *_alert_stream(settings),
        "latest",
        "dagster-webserver",
        "dagster-daemon",
    )


def _alert_stream(settings: StackSettings) -> tuple[str, ...]:
    """Name the real-time process, unless settings do without it."""
    return ("alert-stream",) if settings.alert_stream else ()


def stop_order(settings: StackSettings) -> tuple[tuple[str, ...], ...]:
    """Group the processes by when they stop.

    Who produces stops before who consumes, and Kafka last: nothing is left half-way.
    """
    return (
        tuple(map(rooms.collector_name, settings.venues)),
        ("streams", *_alert_stream(settings), "latest"),
        ("dagster-daemon", "dagster-webserver"),
        ("replay", "pages", "warehouse", "redis", "registry"),
        ("kafka",),
    )


def services(settings: StackSettings, java: Path) -> dict[str, Service]:
    """Return every service by name, described for these settings."""
    described = (
        kafka.kafka(settings, java),
        registry.registry(settings, java),
        rooms.warehouse(settings),
        redis.redis(settings),
        rooms.pages(settings),
        rooms.replay(settings),
        *(rooms.collector(settings, venue) for venue in settings.venues),
        rooms.streams(settings),
        *(rooms.alert_stream(settings) for _ in _alert_stream(settings)),
        rooms.latest(settings),
        dagster.webserver(settings),
        dagster.daemon(settings),
    )
    return {service.name: service for service in described}


def chosen(settings: StackSettings, only: Collection[str] | None) -> tuple[str, ...]:
    """Return the names to start: those of `only`, else all; a live platform has no use for the replay server."""
    known = names(settings)
    if only is None:
        return tuple(name for name in known if not (settings.live and name == "replay"))
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise TerminalError(f"no such service: {', '.join(unknown)}; there are: {', '.join(known)}")
    return tuple(name for name in known if name in only)
