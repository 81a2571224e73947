"""The venue replay server: the venues' protocols in front of recorded tapes, and a control API beside them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from aiohttp import ClientConnectionResetError, WSMsgType, web
from aiohttp.typedefs import Handler

from contracts.errors import RetryableError, TapehouseError
from sources.logs import say, until_told_to_stop
from sources.replay.binance import BinanceSession
from sources.replay.clients import Client, Hall
from sources.replay.control import Control
from sources.replay.player import Player
from sources.replay.stage import Stage, stages

_log = logging.getLogger(__name__)
_LARGEST_REQUEST = 64 * 1024 * 1024
PING_S = 20.0
# How often heartbeats that are due are looked for.
_BEAT_S = 0.1


class ReplayServer:
    """Serve each venue's WebSocket at `/<venue>/<endpoint>`, and its REST side at `/<venue>/<endpoint>/rest/...`.

    Binance's addresses continue: `.../ws`, `.../ws/<stream>`, `.../stream?streams=a/b`. A subscription to a book of
    Coinbase or Kraken begins with a snapshot of what was played of it. REST tells what was played so far, from the
    tapes that are played, and answers that were recorded.

    Control, on the same port:
    - GET /health, /status, /streams (what the tapes given at start hold, by venue and endpoint), /faults;
    - POST /play `{"tapes": [path], "speed": 30 | "max", "loop": false, "align": false, "wait_s": 30, "partial": false,
      "faults": []}`: answers when the clock runs, 409 when nobody subscribed in time; tapes default to those given at
      start, `align` lets all begin at the same moment;
    - POST /stop;
    - POST /inject `{"endpoint": "binance/spot", "payload_base64": ..., "stream": null, "repeat": 1}`: sends any bytes
      in a text frame, to the stream's subscribers, or to all of the endpoint when no stream is named;
    - POST /faults `{"endpoint": "binance/spot", "kind": ..., "stream": null, "after": N, "count": N, "seconds": S,
      "ms": M}`, also in the list of /play, where `after` counts from the play's first payload:
      drop, duplicate, reorder (hold back and send in reversed order), corrupt: the next `count` payloads after `after`
      more; disconnect, stall (send nothing, pings neither, to those now connected, for `seconds`): after N payloads,
      0 for now; refuse: the next `count` connections; rate_limit (429), rest_down (503): the next `count` REST
      requests, or all for `seconds`; skew: server time off by `ms`, until told otherwise.

    After the last payload connections stay open and pings and heartbeats go on: a live venue never ends.
    """

    def __init__(self, tapes: Sequence[Path] = (), *, ping_s: float = PING_S) -> None:
        self._ping_s = ping_s
        self._stages = stages()
        self._hall = Hall()
        self._player = Player(self._hall, self._stages)
        self._control = Control(tapes, self._stages, self._hall, self._player)

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(client_max_size=_LARGEST_REQUEST, middlewares=[_errors])
        control = self._control
        app.router.add_get("/health", control.health)
        app.router.add_get("/status", control.status)
        app.router.add_get("/streams", control.streams)
        app.router.add_get("/faults", control.faults)
        app.router.add_post("/play", control.play)
        app.router.add_post("/stop", control.stop)
        app.router.add_post("/inject", control.inject)
        app.router.add_post("/faults", control.add_fault)
        app.router.add_get("/{venue}/{endpoint}/rest/{path:.*}", control.rest.get)
        app.router.add_get("/{venue}/{endpoint}", self._connect)
        app.router.add_get("/{venue}/{endpoint}/", self._connect)
        app.router.add_get("/binance/{endpoint}/{path:ws(?:/.+)?|stream}", self._connect)
        app.on_shutdown.append(self._close)
        return app

    async def _close(self, _: web.Application) -> None:
        await self._player.stop()
        for client in self._hall.clients():
            client.cut()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        name = f"{request.match_info.get('venue', 'binance')}/{request.match_info['endpoint']}"
        stage = self._stages.get(name)
        if stage is None:
            raise web.HTTPNotFound(text=f"no endpoint {name}; valid: {', '.join(self._stages)}\n")
        if self._hall.faults.refuses(name):
            raise web.HTTPServiceUnavailable(text="refused, as asked\n")
        session = stage.feed.session(stage.memory)
        if isinstance(session, BinanceSession):
            session.enter(request.match_info.get("path", "ws"), request.query)
        socket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_REQUEST)
        await socket.prepare(request)
        transport = request.transport if isinstance(request.transport, asyncio.Transport) else None
        client = self._hall.enter(name, socket, transport, session)
        say(_log, "connected", endpoint=name, client=client.number)
        for payload in session.greeting():
            await client.send(payload)
        alive = (asyncio.create_task(self._ping(client)), asyncio.create_task(self._beat(client)))
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data.encode() if isinstance(message.data, str) else message.data
                    await self._hear(stage, client, data)
        except ConnectionError:
            pass  # it left in the middle of an answer
        finally:
            for task in alive:
                task.cancel()
            self._hall.leave(client)
            say(_log, "disconnected", endpoint=name, client=client.number, sent=client.sent)
        return socket

    async def _hear(self, stage: Stage, client: Client, request: bytes) -> None:
        answered = client.session.answer(request)
        # Until its snapshot is sent, what is played of a stream waits.
        opening = [stream for stream in dict.fromkeys(answered.begun) if stage.feed.shelf(stream) is not None]
        for stream in opening:
            client.wait(stream)
        for reply in answered.replies:
            await client.send(reply)
        self._hall.changed.set()
        for stream in opening:
            first = await stage.memory.opening(stream, partial(client.cut_off, stream))
            await client.opened(stream, first)

    async def _ping(self, client: Client) -> None:
        with contextlib.suppress(ClientConnectionResetError, ConnectionError):
            while True:
                await asyncio.sleep(self._ping_s)
                if not client.stalled:
                    await client.socket.ping(str(time.time_ns() // 1_000_000).encode())

    async def _beat(self, client: Client) -> None:
        while not client.gone.is_set():
            await asyncio.sleep(_BEAT_S)
            if not client.stalled:
                for payload in client.session.beat(time.monotonic(), client.sent_at):
                    await client.send(payload)


async def run(port: int, tapes: Sequence[Path], stop: asyncio.Event, *, ping_s: float = PING_S) -> None:
    """Serve on loopback until `stop` is set."""
    runner = web.AppRunner(ReplayServer(tapes, ping_s=ping_s).app(), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        say(_log, "replay server up", port=port)
        await stop.wait()
    finally:
        await runner.cleanup()


def serve(port: int, tapes: Sequence[Path]) -> int:
    """Run the replay server until SIGTERM or SIGINT; return the exit code. `tapes` is what /play plays by default."""
    return until_told_to_stop(lambda stop: run(port, tapes, stop), _log)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except RetryableError as error:
        raise web.HTTPConflict(text=f"{error}\n") from error
    except (TapehouseError, OSError) as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    return answer
