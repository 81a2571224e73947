"""Tell on a terminal or in a log what the platform is doing, without a silence longer than a few seconds."""

import time
from collections.abc import Collection

from rich.console import Console
from rich.status import Status

SILENCE_SECONDS = 2.0


class Progress:
    """Lines for what is done; what is waited for is a spinner on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.began = time.monotonic()
        self.spoke = self.began
        self.spinner: Status | None = None

    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self.began

    def line(self, text: str) -> None:
        """Say that something is done."""
        self.spoke = time.monotonic()
        self.console.print(text, markup=False, soft_wrap=True)

    def waiting(self, names: Collection[str]) -> None:
        """Say what is being waited for."""
        text = f"waiting for {', '.join(names)} ({self.seconds():.0f} s)"
        if self.console.is_terminal:
            if self.spinner is None:
                self.spinner = self.console.status(text)
                self.spinner.start()
            self.spinner.update(text)
        elif time.monotonic() - self.spoke >= SILENCE_SECONDS:
            self.line(text)

    def finish(self) -> None:
        """Take the spinner away."""
        if self.spinner is not None:
            self.spinner.stop()
            self.spinner = None
