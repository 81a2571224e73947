"""A system's script, driven round by round; see peers/rounds.py for its side."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from benchmarks.environments import PeerEnvironment
from benchmarks.peers.rounds import Job
from orchestration.settings import FILE_VARIABLE, REPOSITORY

LOGS = REPOSITORY / "var" / "bench" / "log"
ROUND = "ROUND "


class ScriptFailedError(Exception):
    """A script ended, or did not answer in time; the message ends with what it said last."""


class Script:
    """A running script. What it prints besides its answers, and its errors, goes to its log."""

    def __init__(self, module: str, environment: PeerEnvironment, job: Job, cores: Sequence[int] = ()) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{module.rpartition('.')[2]}.log"
        # Nobody's own settings reach a measurement.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TAPEHOUSE_")}
        ours = {FILE_VARIABLE: "", "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        self._written = self.log.open("w")
        bound = ["taskset", "--cpu-list", ",".join(map(str, cores))] if cores else []
        self._process = subprocess.Popen(
            [*bound, str(environment.python), "-m", module, json.dumps(asdict(job))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._written,
            text=True,
            cwd=REPOSITORY,
            env=inherited | ours | job.more.get("environment", {}),
        )
        self.process = psutil.Process(self._process.pid)
        self._answers: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(ROUND):
                self._answers.put(line.removeprefix(ROUND))
            else:
                self._written.write(line)
        self._answers.put(None)

    def round(self, number: int, deadline_s: float) -> dict[str, Any]:
        """Do a round and return what the script tells of it; ScriptFailedError when it does not."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()
            answer = self._answers.get(timeout=deadline_s)
        except queue.Empty:
            raise ScriptFailedError(f"no answer within {deadline_s:.0f} s; {self._said()}") from None
        except OSError:
            answer = None
        if answer is None:
            raise ScriptFailedError(f"it ended; {self._said()}")
        told: dict[str, Any] = json.loads(answer)
        return told

    def _said(self) -> str:
        self._written.flush()
        lines = [line.strip() for line in Path(self.log).read_text(errors="replace").splitlines() if line.strip()]
        told = f"its log ends: {' | '.join(lines[-3:])[-500:] or '(empty)'}; the whole log is {self.log}"
        # It may stand in a document: where the checkout lies is nobody's business.
        return told.replace(f"{REPOSITORY}/", "")

    def close(self) -> None:
        """End the script and all that it started."""
        started = [self.process, *self._below()]
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            sys.stderr.write(f"{self.log.stem} does not end by itself and is killed\n")
        for process in [*started, *self._below()]:
            try:
                process.kill()
            except psutil.Error:
                continue
        self._process.wait(timeout=20)
        self._written.close()

    def _below(self) -> list[psutil.Process]:
        try:
            return self.process.children(recursive=True)
        except psutil.Error:
            return []


class Progress:
    """Says on stderr what is going on: a line that changes on a terminal, elsewhere only what is done."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def now(self, text: str) -> None:
        """Show what is going on."""
        if self._terminal:
            sys.stderr.write(f"\r\033[K{self._since()} {text[:110]}")
            sys.stderr.flush()

    def done(self, text: str) -> None:
        """Show what has been done, for good."""
        sys.stderr.write(f"{chr(13) + chr(27) + '[K' if self._terminal else ''}{self._since()} {text}\n")
        sys.stderr.flush()

    def _since(self) -> str:
        return f"[{time.monotonic() - self._began:5.0f} s]"
