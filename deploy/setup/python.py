"""Make `.venv` from requirements.lock, and mend it when an earlier set-up was interrupted."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.setup.run import run, say

JARS = "jars"


class Environment:
    """The virtual environment of a checkout and what its stamps say about it.

    A stamp is written when its step has ended, so a step that was interrupted is done again. While packages are being
    installed a mark stands there: who finds it makes the environment anew, since a half-installed package looks whole.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.lock = root / "requirements.lock"
        self.stamps = self.folder / "stamps"
        self.installing = self.stamps / "installing"

    def whole(self) -> bool:
        """Tell whether the environment exists, was not left half-made, and is where it was made."""
        if self.installing.exists() or self.stamped("place", str(self.root), absent=True) is False:
            return False
        try:
            asked = subprocess.run(
                [str(self.python), "-c", "import sys; print(*sys.version_info[:2])"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        except OSError:
            return False
        has_pip = any(self.folder.glob("lib/python3.11/site-packages/pip/__init__.py"))
        return asked.stdout.split() == ["3", "11"] and has_pip

    def has_packages(self) -> bool:
        """Tell whether what the lock file names is installed."""
        return self.stamped("packages", digest(self.lock))

    def has_project(self) -> bool:
        """Tell whether the project itself is installed, as its pyproject.toml says."""
        return (
            self.stamped("project", digest(self.root / "pyproject.toml"))
            and (self.folder / "bin" / "tapehouse").exists()
        )

    def stamped(self, name: str, value: str, absent: bool = False) -> bool:
        """Tell whether a stamp says `value`; `absent` is the answer when there is no such stamp."""
        try:
            return (self.stamps / name).read_text() == value
        except OSError:
            return absent

    def stamp(self, name: str, value: str) -> None:
        """Write down that a step has ended."""
        self.stamps.mkdir(parents=True, exist_ok=True)
        fresh = self.stamps / f"{name}.new"
        fresh.write_text(value)
        fresh.replace(self.stamps / name)

    def make(self) -> None:
        """Make the environment anew; the jars in it stay."""
        if self.folder.exists():
            say("the virtual environment is not whole: it is made anew")
            for inside in self.folder.iterdir():
                if inside.name == JARS:
                    continue
                if inside.is_dir() and not inside.is_symlink():
                    shutil.rmtree(inside)
                else:
                    inside.unlink()
        run("virtual environment", [sys.executable, "-m", "venv", str(self.folder)])
        self.stamp("place", str(self.root))

    def install_packages(self) -> None:
        """Install what the lock file names, every file checked against its hash."""
        text = self.lock.read_text()
        counter = Counter(len(re.findall(r"^\S+==", text, re.MULTILINE)))
        self.stamp("installing", "")
        # What pip was told by its user (index, mirror, cache, proxy) stays in force.
        self.pip("python packages", ["--require-hashes", "-r", str(self.lock)], counter)
        self.installing.unlink()
        self.stamp("packages", hashlib.sha256(text.encode()).hexdigest())

    def install_project(self) -> None:
        """Install the project itself, editable."""
        self.pip("tapehouse", ["--no-build-isolation", "--no-deps", "-e", str(self.root)])
        self.stamp("project", digest(self.root / "pyproject.toml"))

    def pip(self, title: str, arguments: list[str], counter: "Counter | None" = None) -> None:
        """Run pip of the environment."""
        quiet = ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--no-color"]
        describe = counter.describe if counter else lambda _: None
        command = [str(self.python), "-m", "pip", "install", *quiet, *arguments]
        run(title, command, describe=describe, directory=self.root)


class Counter:
    """Follow pip's output."""

    def __init__(self, total: int) -> None:
        self.total, self.found = total, 0

    def describe(self, line: str) -> str | None:
        """Return what pip is doing."""
        words = line.split()
        if words[:1] == ["Collecting"]:
            self.found += 1
            return f"{self.found} of {self.total} found, now {words[1].split('==')[0]}"
        if words[:3] == ["Building", "wheel", "for"]:
            return f"building {words[3]}"
        if words[:2] == ["Installing", "collected"]:
            return f"installing {self.found} packages"
        return None


def digest(path: Path) -> str:
    """Return the hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
