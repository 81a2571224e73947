"""What the local platform is told about itself, as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class StackSettings:
    """Where the local platform lives and what its processes are given.

    `environment` is what every process gets beside the caller's own environment (TAPEHOUSE_* settings); `venues` have a
    collector each; `ports` names each service's port on loopback. Two stacks with other ports and another data_dir live
    side by side.
    A process that is alive but fails its health check for `unhealthy_seconds` is restarted.
    """

    data_dir: Path
    jars_dir: Path
    ports: Mapping[str, int]
    python: Path
    repository: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    live: bool = False
    venues: tuple[str, ...] = ()
    alert_stream: bool = False
    unhealthy_seconds: float = 60.0

    @property
    def run_dir(self) -> Path:
        """Hold generated configuration, the supervisor's socket and its pid."""
        return self.data_dir / "run"

    @property
    def log_dir(self) -> Path:
        """Hold one log a process."""
        return self.data_dir / "log"

    @property
    def marker(self) -> str:
        """Return what TAPEHOUSE_STACK says in the environment of each of this stack's processes."""
        return str(self.data_dir)

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.log_dir / f"{name}.log"

    def as_json(self, fingerprint: str) -> str:
        """Return what the watcher has to know; the environment, which may hold secrets, it inherits instead."""
        return json.dumps(
            {
                "fingerprint": fingerprint,
                "data_dir": str(self.data_dir),
                "jars_dir": str(self.jars_dir),
                "ports": dict(self.ports),
                "python": str(self.python),
                "repository": str(self.repository),
                "live": self.live,
                "venues": self.venues,
                "alert_stream": self.alert_stream,
                "unhealthy_seconds": self.unhealthy_seconds,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "StackSettings":
        """Return the settings that `as_json` wrote, without an environment."""
        read = json.loads(text)
        return cls(
            data_dir=Path(read["data_dir"]),
            jars_dir=Path(read["jars_dir"]),
            ports=read["ports"],
            python=Path(read["python"]),
            repository=Path(read["repository"]),
            live=read["live"],
            venues=tuple(read["venues"]),
            alert_stream=read["alert_stream"],
            unhealthy_seconds=read["unhealthy_seconds"],
        )
