"""Dagster's web server and daemon."""

from pathlib import Path

from deploy.stack import health
from deploy.stack.files import write_text
from deploy.stack.service import PREPARED, Check, Service
from deploy.stack.settings import StackSettings

INSTANCE = """\
storage:
  sqlite:
    base_dir: "{home}"
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
    # Two runs of one day would replace the same partitions.
    tag_concurrency_limits:
      - key: "dagster/partition"
        limit: 1
        value:
          applyLimitPerUniqueValue: true
"""


def webserver(settings: StackSettings) -> Service:
    """Describe the web server."""
    port = settings.ports["dagster"]
    arguments = ("-h", "127.0.0.1", "-p", str(port))
    return program(settings, "dagster-webserver", arguments, health.http(port, "/server_info"), (port,))


def daemon(settings: StackSettings) -> Service:
    """Describe the daemon, which begins at once to run sensors on tables.

    It listens nowhere, and asking for its heartbeat costs a process of 3 s: that it is alive has to be enough.
    """
    # Not beside the web server on an empty home: both would make the storage's tables at once, and one fails.
    after = frozenset({PREPARED, "dagster-webserver"})
    return program(settings, "dagster-daemon", ("run",), health.alive, (), after)


def program(
    settings: StackSettings,
    name: str,
    arguments: tuple[str, ...],
    check: Check,
    ports: tuple[int, ...],
    after: frozenset[str] = frozenset(),
) -> Service:
    """Describe one of Dagster's programs, run in the repository on its workspace.yaml."""
    home = home_of(settings)
    executable = settings.python.parent / name
    workspace = settings.repository / "workspace.yaml"

    def write() -> None:
        write_text(home / "dagster.yaml", INSTANCE.format(home=home))

    return Service(
        name=name,
        # Its start costs as much as Kafka's and must not hold up the way to the first bar.
        command=("nice", "-n", "5", str(executable), *arguments, "-w", str(workspace)),
        check=check,
        directory=settings.repository,
        ports=ports,
        after=after,
        write=write,
        start_seconds=180,
        stop_group=True,
        needs=(executable, workspace),
    )


def home_of(settings: StackSettings) -> Path:
    """Return what DAGSTER_HOME has to say: where Dagster's instance lies."""
    return settings.data_dir / "dagster"
