"""The platform that a drill makes for itself and removes again; nobody else's is touched."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from contracts.errors import TerminalError
from deploy import stack
from deploy.stack.progress import Progress
from orchestration.drill.player import Player
from orchestration.drill.site import Site
from orchestration.drill.tape import endless, recorded, sections
from orchestration.prepare import prepare
from orchestration.settings import Settings
from orchestration.values import stack_settings

DAY = date(2024, 8, 9)
"""The day of everything that a drill plays."""

SECTION_S = 5.0
# Beside the user's platform: its usual ports and those of another offset stay free.
_PORTS_ABOVE = 400
_VENUE = "binance"


def own_settings(settings: Settings) -> Settings:
    """Return the settings of the drill's platform: the usual ones, whatever the user's say, in a place of its own.

    One venue is enough for every fault, and the lake is written often, because every audit waits for it.
    """
    usual = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    own = {
        "data_dir": settings.data_dir / "drill",
        "jars_dir": settings.jars_dir,
        "port_offset": settings.port_offset + _PORTS_ABOVE,
        "venues": (_VENUE,),
        "archive_interval_s": 5.0,
    }
    return Settings(**{**usual, **own})


def player_of(settings: Settings, folder: Path, day: date) -> Player:
    """Return who plays the endless tape on a platform's replay server; sections are written into `folder`."""
    following = sections(endless(recorded(), day), folder, SECTION_S)
    return Player(f"http://127.0.0.1:{settings.port('replay')}", following)


@contextlib.contextmanager
def own_platform(settings: Settings, progress: Progress) -> Iterator[Site]:
    """Start the platform and stop it in the end; its files stay until `remove`.

    Dagster is started for the one fault that concerns it.
    """
    described = stack_settings(settings)
    with _alone(settings.data_dir):
        stack.down(described)
        remove(settings)
        names = {name for name in stack.names(described) if not name.startswith("dagster-")}
        site = Site(settings, names, player_of(settings, settings.data_dir / "tape", DAY), progress)
        try:
            stack.up(described, only=names, prepare=lambda: prepare(settings), progress=progress)
            yield site
        finally:
            site.player.pause()
            stack.down(described, Progress())


def remove(settings: Settings, *, keep_logs: bool = False) -> None:
    """Remove the platform's files, its logs too unless they are to be looked into."""
    if settings.data_dir.is_dir():
        for found in settings.data_dir.iterdir():
            if keep_logs and found.name in ("log", "report.json"):
                continue
            if found.is_dir():
                shutil.rmtree(found, ignore_errors=True)
            else:
                found.unlink(missing_ok=True)
    if not keep_logs:
        shutil.rmtree(settings.data_dir, ignore_errors=True)


@contextlib.contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Hold the place for one drill at a time."""
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    path = data_dir.with_name(data_dir.name + ".lock")
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TerminalError(f"another drill is at work in {data_dir}: wait for it to end") from error
        yield
