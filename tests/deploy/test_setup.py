"""The set-up: what it says when it cannot go on, and what it leaves alone or mends."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.setup import __main__ as command
from deploy.setup import debian, jars, steps
from deploy.setup.python import Environment, digest
from deploy.setup.run import SetupError, Shown, reason, run
from orchestration.settings import REPOSITORY

JAVA_17 = "#!/bin/sh\necho 'openjdk version \"17.0.15\" 2025-04-15' >&2\n"


def program(folder: Path, name: str, text: str = "#!/bin/sh\nexit 0\n") -> None:
    """Put a stand-in for a program of the system into a folder of PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without anything set up: only what the set-up reads."""
    root = tmp_path / "checkout"
    for name in ("deploy/__init__.py", "deploy/java.py", "deploy/jars/pom.xml", "requirements.lock", "pyproject.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, root / name)
    shutil.copytree(REPOSITORY / "deploy" / "setup", root / "deploy" / "setup")
    return root


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that is all of PATH: an ordinary user, no sudo, nothing installed."""
    folder = tmp_path / "programs"
    program(folder, "id", "#!/bin/sh\necho 1000\n")
    program(folder, "sudo", "#!/bin/sh\nexit 1\n")
    program(folder, "apt-get")
    return folder


def set_up(checkout: Path, programs: Path) -> subprocess.CompletedProcess[str]:
    """Run the set-up as the Makefile does, with that PATH alone."""
    environment = {key: value for key, value in os.environ.items() if key != "JAVA_HOME"}
    return subprocess.run(
        [sys.executable, "-m", "deploy.setup"],
        cwd=checkout,
        env={**environment, "PATH": str(programs)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def the_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that a refused set-up prints."""
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_an_ordinary_user_without_java_maven_and_redis_is_told_what_to_install(checkout: Path, programs: Path) -> None:
    said = the_line(set_up(checkout, programs))
    assert "apt-get install maven openjdk-17-jre-headless redis-server" in said
    assert "no passwordless sudo" in said
    assert not (checkout / ".venv").exists()


def test_only_what_is_missing_is_asked_for(checkout: Path, programs: Path) -> None:
    program(programs, "java", JAVA_17)
    program(programs, "redis-server")
    said = the_line(set_up(checkout, programs))
    assert "mvn is missing" in said
    assert "apt-get install maven;" in said


def test_a_java_that_is_too_old_is_named_with_its_place(checkout: Path, programs: Path) -> None:
    program(programs, "java", "#!/bin/sh\necho 'openjdk version \"11.0.22\"' >&2\n")
    program(programs, "redis-server")
    program(programs, "mvn")
    said = the_line(set_up(checkout, programs))
    assert f"Java at {programs}/java is version 11, needed is 17 or newer" in said


def test_root_with_an_old_java_first_on_path_is_told_so_after_the_installation(checkout: Path, programs: Path) -> None:
    program(programs, "id", "#!/bin/sh\necho 0\n")
    program(programs, "env", "#!/bin/sh\nexit 0\n")
    program(programs, "java", "#!/bin/sh\necho 'openjdk version \"11.0.22\"' >&2\n")
    program(programs, "redis-server")
    program(programs, "mvn")
    done = set_up(checkout, programs)
    assert done.returncode == 1
    assert "is version 11, needed is 17 or newer: install" in done.stderr.splitlines()[-1]


def test_packages_are_installed_by_passwordless_sudo(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    program(programs, "java", JAVA_17)
    program(programs, "mvn")
    program(
        programs,
        "sudo",
        f'#!/bin/sh\necho "$@" >> {asked}\n[ "$2" = id ] && echo 0\n'
        f'case "$*" in *install*) echo > {programs}/redis-server; /bin/chmod +x {programs}/redis-server;; esac\n',
    )
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    absent = debian.missing(need_venv=False, need_maven=True)
    assert set(absent) == {"redis-server"}
    debian.install(absent, need_venv=False, need_maven=True)
    commands = asked.read_text()
    assert "apt-get -o DPkg::Lock::Timeout=120 update" in commands
    assert "install -y --no-install-recommends redis-server" in commands


def test_another_python_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2, "final", 0))
    assert command.main() == 1
    assert "needs Python 3.11" in capsys.readouterr().err


def test_nothing_is_done_and_nothing_said_when_nothing_is_missing(checkout: Path, programs: Path) -> None:
    environment = Environment(checkout)
    made(environment)
    environment.stamp("packages", digest(environment.lock))
    environment.stamp("project", digest(checkout / "pyproject.toml"))
    program(environment.folder / "bin", "tapehouse")
    jars.folder(checkout).mkdir()
    (jars.folder(checkout) / jars.STAMP).write_text(jars.pom_digest(checkout))
    program(programs, "java", JAVA_17)
    program(programs, "redis-server")
    began = time.monotonic()
    done = set_up(checkout, programs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - began < 5


def test_a_changed_lock_file_asks_for_an_installation(checkout: Path) -> None:
    environment = Environment(checkout)
    made(environment)
    environment.stamp("packages", digest(environment.lock))
    assert environment.has_packages()
    environment.lock.write_text(environment.lock.read_text() + "# changed\n")
    assert not environment.has_packages()


def test_an_interrupted_installation_is_made_anew_and_the_jars_stay(checkout: Path) -> None:
    environment = Environment(checkout)
    made(environment)
    assert environment.whole()
    environment.stamp("installing", "")
    assert not environment.whole()
    jars.folder(checkout).mkdir()
    (jars.folder(checkout) / "kept.jar").touch()
    environment.make()
    assert environment.whole()
    assert (jars.folder(checkout) / "kept.jar").exists()


def test_an_environment_that_was_moved_or_half_made_is_not_whole(checkout: Path, tmp_path: Path) -> None:
    environment = Environment(checkout)
    made(environment)
    environment.stamp("place", "/elsewhere")
    assert not environment.whole()
    environment.stamp("place", str(checkout))
    assert environment.whole()
    environment.python.unlink()
    assert not environment.whole()


def test_a_full_disk_is_told_before_anything_is_written(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    with pytest.raises(SetupError, match=r"has 1\.0 GiB free, the set-up needs 4\.5"):
        steps.set_up(checkout)
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("[ERROR] Could not transfer artifact x from/to central: Unknown host repo", "network does not answer"),
        ("E: Failed to fetch http://deb/x  Temporary failure resolving 'deb'", "network does not answer"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "DO NOT MATCH THE HASHES"),
    ],
)
def test_the_reason_of_a_failure_is_one_line(line: str, said: str) -> None:
    with pytest.raises(SetupError, match=said):
        run("step", ["sh", "-c", 'echo before; echo "$0"; echo after; exit 1', line])


def test_pip_without_a_network_is_one_clear_line(tmp_path: Path) -> None:
    unreachable = ["--index-url", "http://127.0.0.1:9/simple", "--retries", "1", "--isolated", "--no-cache-dir"]
    with pytest.raises(SetupError, match="python packages: the network does not answer"):
        run("python packages", [sys.executable, "-m", "pip", "download", *unreachable, "-d", str(tmp_path), "six"])


def test_a_step_that_takes_long_shows_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown("step")
    shown.tick()
    assert capsys.readouterr().err == ""
    shown.began -= 10
    shown.what = "at the second file"
    shown.tick()
    shown.tick()
    assert capsys.readouterr().err == "step: at the second file (10 s)\n"
    shown.said -= 5
    shown.tick()
    assert capsys.readouterr().err == "step: at the second file (10 s)\n"


def test_the_last_words_stand_in_for_a_missing_error() -> None:
    assert reason([], ["something", "went wrong", ""]) == "went wrong"
    assert reason([], []) == "it says nothing"


def made(environment: Environment) -> None:
    """Make an environment without the 3 s that a pip of its own takes."""
    (environment.folder / "bin").mkdir(parents=True)
    environment.python.symlink_to(Path(sys.executable).resolve())
    pip = environment.folder / "lib" / "python3.11" / "site-packages" / "pip"
    pip.mkdir(parents=True)
    (pip / "__init__.py").touch()
    environment.stamp("place", str(environment.root))
