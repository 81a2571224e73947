"""The platform that a variant makes for itself and removes again: Kafka, registry, warehouse and streams, empty."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from contracts.errors import TerminalError
from deploy import stack
from deploy.stack.progress import Progress
from orchestration.prepare import apply_migrations, topics
from orchestration.settings import Settings
from orchestration.values import stack_settings
from stores import broker, registry
from stores.warehouse import patiently

SERVICES = frozenset({"kafka", "registry", "warehouse", "streams"})
# Beside the user's platform and the drill's: the usual ports and those of another offset stay free.
_PORTS_ABOVE = 700


def own_settings(settings: Settings, venue: str) -> Settings:
    """Return the settings of the variants' platforms: the usual ones, whatever the user's say, in a place of its own.

    The lake is written often, because every audit waits for it.
    """
    usual = {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}
    own = {
        "data_dir": settings.data_dir / "certify",
        "jars_dir": settings.jars_dir,
        "port_offset": settings.port_offset + _PORTS_ABOVE,
        "venues": (venue,),
        "archive_interval_s": 2.0,
        "alert_stream": False,
    }
    return Settings(**{**usual, **own})


@contextlib.contextmanager
def own_platform(settings: Settings, partitions: int, progress: Progress) -> Iterator[None]:
    """Start an empty platform whose topics have so many partitions; stop it in the end.

    Its files are removed, unless something failed: the logs say why.
    """
    described = stack_settings(settings)
    stack.down(described)
    shutil.rmtree(settings.data_dir, ignore_errors=True)
    try:
        stack.up(described, only=SERVICES, prepare=lambda: _prepare(settings, partitions), progress=progress)
        yield
    finally:
        stack.down(described, Progress())
    shutil.rmtree(settings.data_dir, ignore_errors=True)


def _prepare(settings: Settings, partitions: int) -> None:
    """Make topics of so many partitions instead of their contracts', then schemas and tables."""
    made = topics(settings.venues)
    wanted = [replace(topic, partitions=partitions) for _, topic in made]
    if differences := patiently(lambda: broker.ensure_topics(settings.broker, wanted), give_up_after_s=60):
        raise TerminalError(f"the certificate's topics are not new: {'; '.join(map(str, differences))}")
    for dataset, topic in made:
        patiently(partial(registry.register, settings.registry, dataset, topic.name), give_up_after_s=60)
    patiently(lambda: apply_migrations(settings), give_up_after_s=60)


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the place for one certificate at a time."""
    settings.data_dir.parent.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir.with_name(settings.data_dir.name + ".lock")
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TerminalError(f"another certificate is made in {settings.data_dir}: wait for it to end") from error
        yield
