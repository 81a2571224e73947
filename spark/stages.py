"""How long the stages of a write take."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Stages:
    """Adds up seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is done within."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add({name: time.monotonic() - began})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count what was measured elsewhere, too."""
        for name, more in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + more
