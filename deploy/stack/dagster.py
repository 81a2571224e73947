"""Dagster's web server and daemon."""

import contextlib
import json
import urllib.request
from pathlib import Path
from typing import Any

from deploy.stack import health
from deploy.stack.files import write_text
from deploy.stack.service import PREPARED, Check, Service
from deploy.stack.settings import StackSettings

POOLS = {"warehouse": 2, "spark": 1}
"""How many runs at a time write to the warehouse, and how many start a Spark session.

One warehouse run starts its process while the other works; more only wait for the same engine. A second Spark session
would not find the memory.
"""

POSTGRES_VARIABLE = "DAGSTER_POSTGRES_URL"
"""The variable that holds the address of Dagster's PostgreSQL; its password never stands in a file."""

INSTANCE = """\
storage:
{storage}
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: run
    default_limit: 1
  runs:
    # Room for one that needs no pool, such as observing, beside those that do.
    max_concurrent_runs: 3
    # Two runs of one day would replace the same partitions.
    tag_concurrency_limits:
      - key: "dagster/partition"
        limit: 1
        value:
          applyLimitPerUniqueValue: true
# A run whose process has died is ended, and says so.
run_monitoring:
  enabled: true
"""
SQLITE = """\
  sqlite:
    base_dir: "{home}\""""
POSTGRES = f"""\
  postgres:
    postgres_url:
      env: {POSTGRES_VARIABLE}"""


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
    return program(settings, "dagster-daemon", ("run",), health.alive, (), after, pools_port=settings.ports["dagster"])


def program(
    settings: StackSettings,
    name: str,
    arguments: tuple[str, ...],
    check: Check,
    ports: tuple[int, ...],
    after: frozenset[str] = frozenset(),
    pools_port: int = 0,
) -> Service:
    """Describe one of Dagster's programs, run in the repository on its workspace.yaml.

    Before its start the web server at `pools_port`, if any, is told the limits of the pools.
    """
    home = home_of(settings)
    executable = settings.python.parent / name
    workspace = settings.repository / "workspace.yaml"

    def write() -> None:
        write_text(home / "dagster.yaml", instance(settings))
        if pools_port:
            # Without a web server the default limit holds, from the second time on that runs are queued.
            with contextlib.suppress(OSError, ValueError):
                limit_pools(f"http://{health.LOOPBACK}:{pools_port}")

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


def limit_pools(base_url: str) -> None:
    """Give the pools their limits, before a run is queued; one that has a limit keeps it, as the UI may have set it.

    The default limit is not enough: Dagster makes it hold only after the first runs of a pool were let in, all of them.
    """
    limited = _ask(base_url, "{ instance { concurrencyLimits { concurrencyKey } } }")["instance"]["concurrencyLimits"]
    for pool, limit in POOLS.items():
        if pool not in {one["concurrencyKey"] for one in limited}:
            _ask(base_url, f'mutation {{ setConcurrencyLimit(concurrencyKey: "{pool}", limit: {limit}) }}')


def _ask(base_url: str, query: str) -> Any:
    """Return the data that the web server answers a query with."""
    # No proxy of the environment may stand between us and loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    body, kind = json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{base_url}/graphql", body, kind)  # noqa: S310 - http, on loopback
    with opener.open(request, timeout=20) as answer:
        told = json.load(answer)
    if told.get("errors"):
        raise ValueError(f"Dagster refused {query}: {told['errors'][0].get('message')}")
    return told["data"]


def instance(settings: StackSettings) -> str:
    """Return dagster.yaml: runs and events in SQLite files, or in PostgreSQL when its address is among the settings."""
    storage = POSTGRES if settings.environment.get(POSTGRES_VARIABLE) else SQLITE.format(home=home_of(settings))
    return INSTANCE.format(storage=storage)


def home_of(settings: StackSettings) -> Path:
    """Return what DAGSTER_HOME has to say: where Dagster's instance lies."""
    return settings.data_dir / "dagster"
