"""Playing: the replay server sends the stretch to a collector, both in a thread of this process."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from contracts.errors import RetryableError, TerminalError
from orchestration.certify.stretch import Stretch
from orchestration.settings import Settings
from sources.collector.main import CollectorSettings
from sources.collector.main import run as run_collector
from sources.demo import replayed
from sources.replay.main import run as run_replay

STANDSTILL_S = 120.0
POLL_S = 0.2


@contextlib.contextmanager
def playing(settings: Settings, stretch: Stretch, speed: float | None) -> Iterator["Play"]:
    """Begin to play the stretch, as fast as it goes without a speed; in the end nobody listens any more."""
    play = Play(settings, stretch)
    play.start(speed)
    try:
        yield play
    finally:
        play.stop()


class Play:
    """The replay server and the collector at work."""

    def __init__(self, settings: Settings, stretch: Stretch) -> None:
        self._settings, self._stretch = settings, stretch
        self._replay = f"http://127.0.0.1:{settings.port('replay')}"
        self._collector = f"http://127.0.0.1:{settings.port(f'collector-{stretch.venue}')}"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="playing", daemon=True)

    def start(self, speed: float | None) -> None:
        """Start both, wait until the collector listens, and play; RetryableError when it does not in time."""
        self._thread.start()
        self._until(lambda: self._get(self._collector)["status"] == "running", "the collector listens")
        asked = {"tapes": [str(self._stretch.path)], "speed": speed or "max", "wait_s": STANDSTILL_S}
        answer = httpx2.post(f"{self._replay}/play", json=asked, timeout=STANDSTILL_S + 10, trust_env=False)
        if answer.status_code >= 400:
            raise RetryableError(f"the replay server does not play {self._stretch.path}: {answer.text.strip()}")

    def played(self) -> float:
        """Return which share of the stretch was played."""
        return int(self._get(self._replay, "/status")["played"]) / self._stretch.records

    def finish(self) -> None:
        """Wait until all was played and everything parsed from it is in Kafka."""
        self._until(self._finished, "the stretch is played", STANDSTILL_S + self._stretch.seconds)

    def _finished(self) -> bool:
        state = self._get(self._replay, "/status")
        if state["error"]:
            raise TerminalError(f"the replay server failed: {state['error']}")
        # Asked in this order: what was sent before the question is heard by now, or still to be waited for.
        told = self._get(self._collector)
        sent = sum(int(one["sent"]) for one in state["connections"])
        heard = sum(int(one["messages"]) for one in told["connections"])
        return bool(state["state"] == "finished" and heard >= sent and told["lag"] == 0)

    def stop(self) -> None:
        """End both; what the collector has taken is sent first."""
        if self._loop is not None and self._stopped is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(60)

    def _run(self) -> None:
        try:
            asyncio.run(self._both())
        except BaseException as error:  # told by whoever waits for it
            self._failure = error

    async def _both(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        settings, stretch = self._settings, self._stretch
        port = settings.port("replay")
        told = CollectorSettings(
            settings.broker,
            settings.registry,
            stretch.venue,
            replayed(stretch.venue, port, stretch.path),
            settings.port(f"collector-{stretch.venue}"),
        )
        replay_stopped = asyncio.Event()
        replay = asyncio.create_task(run_replay(port, (stretch.path,), replay_stopped))
        try:
            await run_collector(told, self._stopped)
        finally:
            replay_stopped.set()
            await replay

    def _get(self, url: str, path: str = "/health") -> dict[str, Any]:
        try:
            found: dict[str, Any] = httpx2.get(url + path, timeout=10, trust_env=False).json()
        except (httpx2.HTTPError, ValueError) as error:
            raise RetryableError(f"{url}{path} does not answer: {error!r}") from error
        return found

    def _until(self, claim: Callable[[], bool], what: str, seconds: float = STANDSTILL_S) -> None:
        end = time.monotonic() + seconds
        while True:
            if self._failure is not None or not self._thread.is_alive():
                raise TerminalError(f"playing ended before {what}: {self._failure!r}")
            try:
                if claim():
                    return
            except RetryableError:
                pass
            if time.monotonic() > end:
                raise RetryableError(f"not within {seconds:.0f} s: {what}")
            time.sleep(POLL_S)
