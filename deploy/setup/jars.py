"""Fetch the JVM jars that deploy/jars/pom.xml pins, by Maven's own client."""

import hashlib
import shutil
from pathlib import Path

from deploy.setup.run import run

STAMP = "pom.sha256"


def has_jars(root: Path) -> bool:
    """Tell whether the jars of just this pom are there."""
    try:
        return (folder(root) / STAMP).read_text() == pom_digest(root)
    except OSError:
        return False


def fetch(root: Path) -> None:
    """Fetch all jars beside the old ones and then take their place, so that no half-filled folder is ever used."""
    fresh, old = folder(root).with_name("jars.new"), folder(root).with_name("jars.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    downloaded = 0

    def describe(line: str) -> str | None:
        nonlocal downloaded
        if "Downloaded from" not in line:
            return None
        downloaded += 1
        return f"{downloaded} files fetched"

    # -C: a file whose checksum differs is an error. The pom names no repository: Maven's own settings do.
    command = ["mvn", "-B", "-C", "-f", str(pom(root)), "prepare-package", f"-Djars.dir={fresh}"]
    run("JVM jars", command, describe=describe, directory=root)
    (fresh / STAMP).write_text(pom_digest(root))
    if folder(root).exists():
        folder(root).rename(old)
    fresh.rename(folder(root))
    shutil.rmtree(old, ignore_errors=True)


def folder(root: Path) -> Path:
    """Return where the jars lie."""
    return root / ".venv" / "jars"


def pom(root: Path) -> Path:
    """Return the file that pins them."""
    return root / "deploy" / "jars" / "pom.xml"


def pom_digest(root: Path) -> str:
    """Return the hash of that file."""
    return hashlib.sha256(pom(root).read_bytes()).hexdigest()
