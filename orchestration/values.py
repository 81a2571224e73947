"""Turn the one settings object into what the rooms below take as values."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.stack.dagster import POSTGRES_VARIABLE
from deploy.stack.settings import StackSettings
from orchestration.configuration import read_settings
from orchestration.settings import FILE_VARIABLE, REPOSITORY, Settings

__all__ = ["environment_of", "read_settings", "stack_settings"]


def stack_settings(settings: Settings, live: bool | None = None) -> StackSettings:
    """Return what the local platform needs; every process of it reads the same settings as we did."""
    live = settings.live if live is None else live
    data_dir, jars_dir = settings.data_dir.resolve(), settings.jars_dir.resolve()
    environment = environment_of(settings) | {
        "TAPEHOUSE_DATA_DIR": str(data_dir),
        "TAPEHOUSE_JARS_DIR": str(jars_dir),
        "TAPEHOUSE_LIVE": json.dumps(live),
    }
    if settings.dagster_postgres_url:
        # Which of PostgreSQL's drivers is meant has to be said: SQLAlchemy's usual one is not the one Dagster brings.
        environment[POSTGRES_VARIABLE] = settings.dagster_postgres_url.replace("://", "+psycopg2://", 1)
    return StackSettings(
        data_dir=data_dir,
        jars_dir=jars_dir,
        ports=settings.ports,
        # Not resolved: the interpreter's real path would lose the virtual environment that it stands in.
        python=Path(sys.executable),
        repository=REPOSITORY,
        environment=environment,
        live=live,
        venues=settings.venues,
        alert_stream=settings.alert_stream,
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment variables from which another process reads just these settings, and no file."""
    told: Mapping[str, object] = settings.model_dump(mode="json", exclude_defaults=True)
    return {FILE_VARIABLE: ""} | {
        f"TAPEHOUSE_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in told.items()
    }
