"""The platform's own services: the warehouse server, the pages, the replay server, the collector, the streams."""

from deploy.stack import health
from deploy.stack.service import PREPARED, Service
from deploy.stack.settings import StackSettings


def warehouse(settings: StackSettings) -> Service:
    """Describe the server that owns the ClickHouse engine's directory."""
    return served(settings, "warehouse", "/ping", stop_seconds=30)


def pages(settings: StackSettings) -> Service:
    """Describe the server that shows reports and Data Docs."""
    return served(settings, "pages", "/health")


def replay(settings: StackSettings) -> Service:
    """Describe the server that plays recorded venues."""
    return served(settings, "replay", "/health")


def collector_name(venue: str) -> str:
    """Name the process that collects from a venue."""
    return f"collector-{venue}"


def collector(settings: StackSettings, venue: str) -> Service:
    """Describe a venue's collector; it waits for the venue it is to listen to."""
    after = {PREPARED} if settings.live else {PREPARED, "replay"}
    return served(settings, collector_name(venue), "/health", after=frozenset(after), stop_seconds=30)


def streams(settings: StackSettings) -> Service:
    """Describe the Spark queries; Spark takes a while to start and to finish its batch.

    They start with everything else, since Spark's own start takes longest, and wait for topics and tables themselves.
    """
    return served(settings, "streams", "/health", start_seconds=300, stop_seconds=45)


def alert_stream(settings: StackSettings) -> Service:
    """Describe the real-time query. It starts last, so that its Spark does not delay the streams'."""
    return served(settings, "alert-stream", "/health", after=frozenset({PREPARED, "streams"}), stop_seconds=45)


def latest(settings: StackSettings) -> Service:
    """Describe the consumer that carries latest values to Redis and alerts to their receivers."""
    return served(settings, "latest", "/health", after=frozenset({PREPARED, "redis"}))


def served(
    settings: StackSettings,
    name: str,
    path: str,
    after: frozenset[str] = frozenset(),
    start_seconds: float = 120,
    stop_seconds: int = 15,
) -> Service:
    """Describe a service that `tapehouse serve` runs and that tells its health over HTTP."""
    port = settings.ports[name]
    program = settings.python.parent / "tapehouse"
    return Service(
        name=name,
        command=(str(program), "serve", name),
        check=health.http(port, path),
        directory=settings.repository,
        ports=(port,),
        after=after,
        start_seconds=start_seconds,
        stop_seconds=stop_seconds,
        needs=(program,),
    )
