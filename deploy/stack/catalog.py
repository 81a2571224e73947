"""The processes of the local platform, in the order of their start."""

from collections.abc import Collection
from pathlib import Path

from contracts.errors import TerminalError
from deploy.stack import dagster, kafka, redis, registry, rooms
from deploy.stack.service import Service
from deploy.stack.settings import StackSettings

NAMES = (
    "kafka",
    "registry",
    "warehouse",
    "redis",
    "replay",
    "collector",
    "streams",
    "dagster-webserver",
    "dagster-daemon",
)
"""Every process, in the order in which `status` shows them."""

PREPARED_AFTER = frozenset({"kafka", "registry", "warehouse"})
"""What must be healthy before topics, schemas and tables can be made."""

STOP_ORDER = (
    ("collector",),
    ("streams",),
    ("dagster-daemon", "dagster-webserver"),
    ("replay", "warehouse", "redis", "registry"),
    ("kafka",),
)
"""Who produces stops before who consumes, and Kafka last: nothing is left half-way."""


def services(settings: StackSettings, java: Path) -> dict[str, Service]:
    """Return every service by name, described for these settings."""
    described = (
        kafka.kafka(settings, java),
        registry.registry(settings, java),
        rooms.warehouse(settings),
        redis.redis(settings),
        rooms.replay(settings),
        rooms.collector(settings),
        rooms.streams(settings),
        dagster.webserver(settings),
        dagster.daemon(settings),
    )
    return {service.name: service for service in described}


def chosen(only: Collection[str] | None, live: bool = False) -> tuple[str, ...]:
    """Return the names to start: those of `only`, else all; a live platform has no use for the replay server."""
    if only is None:
        return tuple(name for name in NAMES if not (live and name == "replay"))
    unknown = sorted(set(only) - set(NAMES))
    if unknown:
        raise TerminalError(f"no such service: {', '.join(unknown)}; there are: {', '.join(NAMES)}")
    return tuple(name for name in NAMES if name in only)
