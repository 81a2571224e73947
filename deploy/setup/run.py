"""Run a program of the set-up: show that it goes on, and say in one line why it did not."""

import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

QUIET_SECONDS = 2.0
LINE_SECONDS = 5.0

DISK_FULL = re.compile(r"no space left on device|errno 28|disk quota exceeded|not enough free space", re.IGNORECASE)
NO_NETWORK = re.compile(
    r"name resolution|name or service not known|network is unreachable|no route to host|connection refused|"
    r"connect(ion)? timed out|connecttimeout|newconnectionerror|max retries exceeded|unknown host|"
    r"could not resolve|could not transfer artifact|failed to fetch|nodename nor servname|proxyerror|"
    r"could not connect|read timed out|readtimeout|unable to connect",
    re.IGNORECASE,
)


class SetupError(Exception):
    """A step of the set-up cannot be done; the message is one line that says why and what to do."""


def run(
    title: str,
    command: Sequence[str],
    *,
    describe: Callable[[str], str | None] = lambda _: None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> None:
    """Run a program to its end, or raise SetupError with the reason.

    `describe` is given each line of output and returns what is going on, or None. What takes longer than two seconds
    shows it: on a terminal in one line that changes, elsewhere in a line every five seconds.
    """
    shown = Shown(title)
    kept: deque[str] = deque(maxlen=400)
    telling: list[str] = []
    try:
        program = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
            cwd=directory,
        )
    except OSError as error:
        raise SetupError(f"{title}: {command[0]} cannot be started ({error.strerror})") from error

    def read() -> None:
        assert program.stdout is not None
        for line in program.stdout:
            kept.append(line.rstrip())
            if DISK_FULL.search(line) or NO_NETWORK.search(line):
                telling.append(line.strip())
            told = describe(line)
            if told:
                shown.what = told

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while program.poll() is None:
            shown.tick()
            time.sleep(0.1)
    except BaseException:
        program.terminate()
        program.wait(timeout=30)
        raise
    reader.join(timeout=10)
    shown.end(program.returncode == 0)
    if program.returncode != 0:
        raise SetupError(f"{title}: {reason(telling, kept)}")


def reason(telling: Sequence[str], kept: Sequence[str]) -> str:
    """Return why a program failed, from its output: disk, network, or the last error that it told."""
    if any(DISK_FULL.search(line) for line in telling):
        return "the disk is full: free some room (a first set-up needs 5 GiB in all), then run again"
    if telling:
        return f"the network does not answer: check connection and proxy, then run again ({telling[-1][:200]})"
    errors = [line for line in kept if re.match(r"\s*(\[?ERROR\]?|E:|error:)\s*\S", line, re.IGNORECASE)]
    said = (errors[0] if errors else next((line for line in reversed(kept) if line.strip()), "it says nothing")).strip()
    return said[:400]


class Shown:
    """What is seen of one running step."""

    def __init__(self, title: str) -> None:
        self.title, self.what = title, ""
        self.began = self.said = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.drawn = False

    def tick(self) -> None:
        """Show progress when it is time to."""
        now = time.monotonic()
        if now - self.began < QUIET_SECONDS:
            return
        text = f"{self.title}: {self.what or 'at work'} ({now - self.began:.0f} s)"
        if self.terminal:
            sys.stderr.write(f"\r\033[K{text[:110]}")
            sys.stderr.flush()
            self.drawn = True
        elif not self.drawn or now - self.said >= LINE_SECONDS:
            say(text)
            self.drawn, self.said = True, now

    def end(self, done: bool) -> None:
        """Show how long it took."""
        if self.terminal and self.drawn:
            sys.stderr.write("\r\033[K")
        if done:
            say(f"{self.title}: done in {time.monotonic() - self.began:.1f} s")


def say(text: str) -> None:
    """Print one line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
