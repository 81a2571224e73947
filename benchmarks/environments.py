"""Each peer in an environment of its own, made when missing from what benchmarks/peers pins."""

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.setup.run import SetupError, run
from orchestration.settings import REPOSITORY

PINS = REPOSITORY / "benchmarks" / "peers"
ENVIRONMENTS = REPOSITORY / "var" / "bench" / "envs"
OURS = "ours"
STAMP = "stamp.sha256"


@dataclass(frozen=True)
class PeerEnvironment:
    """Where a peer's Python is, and its JVM jars if it needs any; `missing` says why it cannot be had."""

    python: Path
    jars: Path | None = None
    missing: str = ""


def environment_of(name: str) -> PeerEnvironment:
    """Return the environment of that name, making what is missing; `ours` is the repository's own."""
    if name == OURS:
        return PeerEnvironment(Path(sys.executable))
    folder, pins = ENVIRONMENTS / name, PINS / f"{name}.txt"
    pom = PINS / f"{name}.pom.xml"
    python = folder / "bin" / "python"
    jars = folder / "connectors" if pom.exists() else None
    if _stamp(folder) == _digest(pins, pom):
        return PeerEnvironment(python, jars)
    shutil.rmtree(folder, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    try:
        run(f"{name}: environment", [uv, "venv", "--python", sys.executable, str(folder)])
        install = [uv, "pip", "install", "--python", str(python), "--require-hashes", "-r", str(pins)]
        run(f"{name}: packages", install)
        if jars is not None:
            run(f"{name}: jars", ["mvn", "-B", "-C", "-f", str(pom), "prepare-package", f"-Djars.dir={jars}"])
    except SetupError as error:
        return PeerEnvironment(python, missing=str(error))
    (folder / STAMP).write_text(_digest(pins, pom))
    return PeerEnvironment(python, jars)


def _stamp(folder: Path) -> str:
    try:
        return (folder / STAMP).read_text()
    except OSError:
        return ""


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.exists())).hexdigest()
