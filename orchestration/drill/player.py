"""Plays the endless tape section by section, beside whatever else happens, and stops between two of them."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from contracts.errors import TapehouseError, TerminalError

_POLL_S = 0.2


class Player:
    """Let a replay server play one section after another at the recorded speed, until paused.

    It never stops amid a section: what is not played the venue could not tell by REST, so it would never be found.
    """

    def __init__(self, replay_url: str, following: Callable[[], Path]) -> None:
        self._url = replay_url
        self._following = following
        self._thread: threading.Thread | None = None
        self._pausing = threading.Event()
        self._error = ""

    def resume(self) -> None:
        """Begin to play, or go on."""
        if self._thread is None:
            self._pausing.clear()
            self._thread = threading.Thread(target=self._play, name="drill-player", daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """Stop once the present section has been played; returns then."""
        if self._thread is not None:
            self._pausing.set()
            self._thread.join()
            self._thread = None

    def check(self) -> None:
        """Raise what ended the play."""
        if self._error:
            raise TerminalError(f"the tape can't be played: {self._error}")

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """Tell the replay server something."""
        answer = httpx2.post(f"{self._url}{path}", json=body, timeout=60.0, trust_env=False)
        answer.raise_for_status()
        told: dict[str, object] = answer.json()
        return told

    def _play(self) -> None:
        try:
            while not self._pausing.is_set():
                self.post("/play", {"tapes": [str(self._following())], "speed": 1.0, "partial": True})
                while (state := self._state()) == "playing":
                    time.sleep(_POLL_S)
                if state != "finished":
                    raise TerminalError(f"the replay server is {state}")
        except (TapehouseError, httpx2.HTTPError, OSError) as error:
            self._error = str(error)

    def _state(self) -> str:
        answer = httpx2.get(f"{self._url}/status", timeout=30.0, trust_env=False)
        answer.raise_for_status()
        return str(answer.json()["state"])
