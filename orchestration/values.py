"""Turn the one settings object into what the rooms below take as values."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from contracts.errors import TerminalError
from deploy.stack.settings import StackSettings
from orchestration.settings import REPOSITORY, Settings


def read_settings() -> Settings:
    """Read the settings of this process, or raise one line that names the wrong ones."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"TAPEHOUSE_{'_'.join(str(part) for part in one['loc']).upper()}={one['input']!r}: {one['msg']}"
            for one in error.errors()
        )
        raise TerminalError(f"wrong settings: {wrong}") from error


def stack_settings(settings: Settings, live: bool | None = None) -> StackSettings:
    """Return what the local platform needs; every process of it reads the same settings as we did."""
    live = settings.live if live is None else live
    data_dir, jars_dir = settings.data_dir.resolve(), settings.jars_dir.resolve()
    environment = environment_of(settings) | {
        "TAPEHOUSE_DATA_DIR": str(data_dir),
        "TAPEHOUSE_JARS_DIR": str(jars_dir),
        "TAPEHOUSE_LIVE": json.dumps(live),
    }
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
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment variables from which another process reads just these settings."""
    told: Mapping[str, object] = settings.model_dump(mode="json", exclude_defaults=True)
    return {
        f"TAPEHOUSE_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in told.items()
    }
