"""Install the Debian packages that are missing, if one may; otherwise say which."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.java import JavaProblemError, find_java
from deploy.setup.run import SetupError, run

JAVA_PACKAGE = "openjdk-17-jre-headless"


def missing(need_venv: bool, need_maven: bool) -> dict[str, str]:
    """Return the packages that are missing, each with why."""
    found: dict[str, str] = {}
    if need_venv and not has_ensurepip():
        found["python3-venv"] = "this Python has no ensurepip"
    try:
        find_java(os.environ)
    except JavaProblemError as error:
        found[JAVA_PACKAGE] = str(error)
    if need_maven and shutil.which("mvn") is None:
        found["maven"] = "mvn is missing"
    if shutil.which("redis-server") is None:
        found["redis-server"] = "redis-server is missing"
    return found


def has_ensurepip() -> bool:
    """Tell whether this Python can make virtual environments with pip; Debian's cannot without python3-venv."""
    try:
        import ensurepip
    except ImportError:
        return False
    return bool(ensurepip.version())


def install(packages: dict[str, str], need_venv: bool, need_maven: bool) -> None:
    """Install the packages as root or by passwordless sudo, and check that nothing is missing any more."""
    names = sorted(packages)
    command = f"apt-get install {' '.join(names)}"
    why = "; ".join(packages.values())
    prefix = privilege()
    if prefix is None or shutil.which("apt-get") is None:
        raise SetupError(f"{why}. Not root and no passwordless sudo, so please install: {command}; then run again")
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]
    run("package lists", [*apt, "update"])
    run(
        f"packages {' '.join(names)}",
        [*apt, "install", "-y", "--no-install-recommends", *names],
        describe=lambda line: line.strip()[:60] if line.startswith(("Get:", "Unpacking", "Setting up")) else None,
    )
    if "redis-server" in names:
        stop_redis_service(prefix)
    left = missing(need_venv, need_maven)
    if left:
        raise SetupError("; ".join(left.values()))


def privilege() -> list[str] | None:
    """Return what to put before a command to run it as root: nothing, sudo, or None when one may not."""
    if answer(["id", "-u"]) == "0":
        return []
    return ["sudo", "-n"] if answer(["sudo", "-n", "id", "-u"]) == "0" else None


def answer(command: Sequence[str]) -> str:
    """Return what a short program prints, empty when it fails."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def stop_redis_service(prefix: Sequence[str]) -> None:
    """End the system service that Debian's package has just started: the platform runs its own Redis."""
    if Path("/run/systemd/system").is_dir():
        answer([*prefix, "systemctl", "disable", "--now", "redis-server"])
