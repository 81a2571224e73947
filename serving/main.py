"""The process `latest`: carries latest values to Redis and alerts to their receivers, and answers for both."""

import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from serving.latest import carry
from serving.reader import Progress, keep_running
from serving.settings import LatestSettings, TellingSettings
from serving.telling import Send, tell

END_S = 10.0


class Loops:
    """Loops in threads of their own. One that ends by an error which does not pass ends them all."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._threads: list[threading.Thread] = []
        self.progress: list[Progress] = []
        self.error: BaseException | None = None

    def start(self, name: str, run: Callable[[Progress], None]) -> None:
        """Start a loop."""
        progress = Progress(name)
        self.progress.append(progress)

        def loop() -> None:
            try:
                keep_running(lambda: run(progress), self._stopping, progress)
            except BaseException as error:  # the main thread raises it
                self.error = error
                self._stopping.set()

        thread = threading.Thread(target=loop, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Wait for all to end and raise what ended one."""
        for thread in self._threads:
            thread.join(END_S)
        if self.error is not None:
            raise self.error

    def health(self) -> dict[str, Any]:
        """Return what each tells; degraded while one waits for something that does not answer."""
        waiting = [one.problem for one in self.progress if one.problem]
        return {
            "status": "degraded" if waiting else "ok",
            "detail": "; ".join(waiting),
            "lag": sum(one.lag for one in self.progress),
            "loops": {one.name: asdict(one) for one in self.progress},
        }


def _answer(port: int, loops: Loops) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            # Degraded is no reason to restart: what is waited for would not come sooner.
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(orjson.dumps(loops.health()))

        def log_message(self, *_: object) -> None:
            """Say nothing: a line for every health check would bury the others."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True, name="health").start()


def serve(latest: LatestSettings, telling: TellingSettings, senders: Mapping[str, Send], port: int) -> None:
    """Run until told to stop. `senders` are the receivers of alerts by name."""
    stopping = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stopping.set())
    loops = Loops(stopping)
    loops.start("latest", lambda progress: carry(latest, stopping, progress))
    for name, send in senders.items():
        loops.start(name, _teller(telling, name, send, stopping))
    _answer(port, loops)
    stopping.wait()
    loops.join()


def _teller(settings: TellingSettings, name: str, send: Send, stopping: threading.Event) -> Callable[[Progress], None]:
    return lambda progress: tell(settings, name, send, stopping, progress)
