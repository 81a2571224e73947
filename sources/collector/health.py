"""What the collector tells of itself over HTTP."""

import time
from dataclasses import asdict, dataclass, field

import orjson
from aiohttp import web

from sources.collector.pipeline import Flow
from sources.collector.recovery import Recovered
from sources.collector.rest import Asked
from sources.collector.watching import Watcher
from sources.collector.wire import Wire
from sources.connection import Heard


@dataclass
class Health:
    """The parts whose numbers make the report; each is filled in when it exists."""

    venue: str
    status: str = "starting"  # recovering, running, stopping
    began: float = field(default_factory=time.monotonic)
    connections: list[Heard] = field(default_factory=list)
    flow: Flow | None = None
    wire: Wire | None = None
    recovered: Recovered | None = None
    committed: dict[int, int] = field(default_factory=dict)
    commit_error: str = ""
    watcher: Watcher | None = None
    rest: dict[str, Asked] = field(default_factory=dict)

    def report(self) -> dict[str, object]:
        """Return the numbers as plain values. `lag` counts payloads whose events are not all acknowledged."""
        now = time.monotonic()
        flow, wire, recovered = self.flow or Flow(), self.wire, self.recovered or Recovered()
        last = max((heard.last_message for heard in self.connections), default=0.0)
        return {
            "status": self.status,
            "venue": self.venue,
            "uptime_s": round(now - self.began, 1),
            "messages": flow.received,
            "taped": flow.taped,
            "done": flow.done,
            "lag": flow.in_flight,
            "queue_bytes": flow.in_flight_bytes,
            "pauses": flow.pauses,
            "events": sum(wire.accepted.values()) if wire else 0,
            "accepted": dict(wire.accepted) if wire else {},
            "rejected": dict(wire.rejected) if wire else {},
            "ignored": dict(wire.ignored) if wire else {},
            "reconnects": sum(heard.reconnects for heard in self.connections),
            "last_message_age_s": round(now - last, 3) if last else None,
            "recovered": recovered.sent,
            "recovery": {name: value for name, value in asdict(recovered).items() if name != "positions"},
            "committed": {str(partition): offset for partition, offset in self.committed.items()},
            "commit_error": self.commit_error,
            "connections": [_told(heard, now) for heard in self.connections],
            "rest": {name: asdict(asked) for name, asked in self.rest.items()},
            **(self.watcher.report() if self.watcher else {}),
        }


def _told(heard: Heard, now: float) -> dict[str, object]:
    told = asdict(heard)
    last = told.pop("last_message")
    return {**told, "last_message_age_s": round(now - last, 3) if last else None}


async def serve_health(health: Health, port: int) -> web.AppRunner:
    """Answer GET /health on loopback, and POST /forget: begin anew to watch; the caller cleans the runner up.

    A recording that is played again is not the venue going on: whoever plays one says so first.
    """

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=orjson.dumps(health.report()) + b"\n", content_type="application/json")

    async def forget(_: web.Request) -> web.Response:
        if health.watcher is None:
            raise web.HTTPConflict(text="the collector is still starting\n")
        health.watcher.forget()
        return web.Response(body=b"{}\n", content_type="application/json")

    app = web.Application()
    app.router.add_get("/health", answer)
    app.router.add_post("/forget", forget)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
