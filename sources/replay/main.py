"""The venue replay server: a venue's WebSocket protocol in front of recorded tapes, and a control API beside it."""

import asyncio
import base64
import binascii
import contextlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import orjson
from aiohttp import ClientConnectionResetError, WSMsgType, web
from aiohttp.typedefs import Handler

from contracts.errors import RetryableError, TapehouseError
from sources.logs import say, until_told_to_stop
from sources.replay.binance import Subscriptions, stream_of
from sources.replay.clients import Client, Hall
from sources.replay.player import Play, Player, tape_streams
from sources.venues import VENUES

_log = logging.getLogger(__name__)
_LARGEST_REQUEST = 64 * 1024 * 1024
PING_S = 20.0


class ReplayServer:
    """Serve `/<venue>/<endpoint>/ws`, `.../ws/<stream>` and `.../stream?streams=a/b` as the venue does.

    Control, on the same port:
    - GET /health, /status, /streams (what the tapes given at start hold, by venue and endpoint);
    - POST /play `{"tapes": [path], "speed": 30 | "max", "loop": false, "wait_s": 30, "partial": false}`: answers
      when the clock runs, 409 when nobody subscribed in time; tapes default to those given at start;
    - POST /stop;
    - POST /inject `{"endpoint": "binance/spot", "payload_base64": ..., "stream": null, "repeat": 1}`: sends any bytes
      in a text frame, to the stream's subscribers, or to all of the endpoint when no stream is named;
    - POST /faults `{"endpoint": "binance/spot", "kind": "drop" | "refuse" | "stall", "after": N, "count": N,
      "seconds": S}`: cut the connection after N payloads (0: now), refuse the next N connections, send nothing, pings
      neither, to those now connected for S seconds.

    After the last payload connections stay open and pings go on: a live venue never ends.
    """

    def __init__(self, tapes: Sequence[Path] = (), *, ping_s: float = PING_S) -> None:
        self._tapes = tuple(tapes)
        self._ping_s = ping_s
        self._hall = Hall()
        self._player = Player(self._hall)

    def app(self) -> web.Application:
        """Return the web application."""
        app = web.Application(client_max_size=_LARGEST_REQUEST, middlewares=[_errors])
        app.router.add_get("/health", self._health)
        app.router.add_get("/status", self._status)
        app.router.add_get("/streams", self._streams)
        app.router.add_post("/play", self._play)
        app.router.add_post("/stop", self._stop)
        app.router.add_post("/inject", self._inject)
        app.router.add_post("/faults", self._fault)
        app.router.add_get("/{venue}/{endpoint}/ws", self._connect)
        app.router.add_get("/{venue}/{endpoint}/ws/{streams:.+}", self._connect)
        app.router.add_get("/{venue}/{endpoint}/stream", self._connect)
        app.on_shutdown.append(self._close)
        return app

    async def _close(self, _: web.Application) -> None:
        await self._player.stop()
        for client in self._hall.clients():
            client.cut()

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        endpoint = f"{request.match_info['venue']}/{request.match_info['endpoint']}"
        if endpoint not in _endpoints():
            raise web.HTTPNotFound(text=f"no endpoint {endpoint}; valid: {', '.join(_endpoints())}\n")
        faults = self._hall.faults_of(endpoint)
        if faults.refuse > 0:
            faults.refuse -= 1
            raise web.HTTPServiceUnavailable(text="refused, as asked\n")
        named = request.match_info.get("streams") or request.query.get("streams") or ""
        subscriptions = Subscriptions(request.path.endswith("/stream"), dict.fromkeys(filter(None, named.split("/"))))
        socket = web.WebSocketResponse(compress=False, max_msg_size=_LARGEST_REQUEST)
        await socket.prepare(request)
        transport = request.transport if isinstance(request.transport, asyncio.Transport) else None
        client = self._hall.enter(endpoint, socket, transport, subscriptions)
        say(_log, "connected", endpoint=endpoint, client=client.number)
        pings = asyncio.create_task(self._ping(client))
        try:
            async for message in socket:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    data = message.data.encode() if isinstance(message.data, str) else message.data
                    await socket.send_str(subscriptions.answer(data).decode())
                    self._hall.changed.set()
        except ConnectionError:
            pass  # it left in the middle of an answer
        finally:
            pings.cancel()
            self._hall.leave(client)
            say(_log, "disconnected", endpoint=endpoint, client=client.number, sent=client.sent)
        return socket

    async def _ping(self, client: Client) -> None:
        with contextlib.suppress(ClientConnectionResetError, ConnectionError):
            while True:
                await asyncio.sleep(self._ping_s)
                if client.stalled_until <= time.monotonic():
                    await client.socket.ping(str(time.time_ns() // 1_000_000).encode())

    async def _health(self, _: web.Request) -> web.Response:
        return _json({"status": "up", "state": self._player.state})

    async def _status(self, _: web.Request) -> web.Response:
        player = self._player
        return _json(
            {
                "state": player.state,
                "error": player.error,
                "records": player.records,
                "played": player.played,
                "sent": player.sent,
                "unheard": player.unheard,
                "seconds": round(player.seconds, 3),
                "connections": [
                    {
                        "number": client.number,
                        "endpoint": client.endpoint,
                        "combined": client.subscriptions.combined,
                        "streams": list(client.subscriptions.streams),
                        "sent": client.sent,
                    }
                    for client in self._hall.clients()
                ],
            }
        )

    async def _streams(self, _: web.Request) -> web.Response:
        streams = await asyncio.to_thread(tape_streams, self._tapes)
        return _json({endpoint: sorted(names) for endpoint, names in sorted(streams.items())})

    async def _play(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        speed = asked.get("speed", 1.0)
        if speed != "max" and (isinstance(speed, bool) or not isinstance(speed, int | float) or speed <= 0):
            raise web.HTTPBadRequest(text=f'speed is {speed!r}; valid: a number above 0, or "max"\n')
        tapes = tuple(Path(str(name)) for name in _list(asked.get("tapes"))) or self._tapes
        play = Play(
            tapes,
            None if speed == "max" else float(speed),
            loop=asked.get("loop") is True,
            wait_s=_number(asked, "wait_s", Play.wait_s),
            longest_silence_s=_number(asked, "longest_silence_s", Play.longest_silence_s),
            partial=asked.get("partial") is True,
        )
        await self._player.start(play)
        return await self._status(request)

    async def _stop(self, request: web.Request) -> web.Response:
        await self._player.stop()
        return await self._status(request)

    async def _inject(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        try:
            payload = base64.b64decode(str(asked.get("payload_base64", "")), validate=True)
        except binascii.Error as error:
            raise web.HTTPBadRequest(text=f"payload_base64: {error}\n") from None
        named = asked.get("stream")
        stream = named if isinstance(named, str) else None
        if named == "auto":
            stream = stream_of(payload)
        reached = 0
        for _ in range(int(_number(asked, "repeat", 1))):
            reached += await self._hall.broadcast(_endpoint(asked), stream, payload)
        return _json({"reached": reached})

    async def _fault(self, request: web.Request) -> web.Response:
        asked = await _asked(request)
        endpoint = _endpoint(asked)
        faults, kind = self._hall.faults_of(endpoint), asked.get("kind")
        if kind == "drop":
            after = int(_number(asked, "after", 0))
            if after:
                faults.drop_after = after
            else:
                for client in self._hall.clients(endpoint):
                    client.cut()
        elif kind == "refuse":
            faults.refuse = int(_number(asked, "count", 1))
        elif kind == "stall":
            for client in self._hall.clients(endpoint):
                client.stalled_until = time.monotonic() + _number(asked, "seconds", 1)
        else:
            raise web.HTTPBadRequest(text=f"kind is {kind!r}; valid: drop, refuse, stall\n")
        return _json({"endpoint": endpoint, "kind": kind})


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


def _endpoints() -> list[str]:
    return [f"{venue.name}/{endpoint.name}" for venue in VENUES.values() for endpoint in venue.endpoints]


def _endpoint(asked: dict[str, object]) -> str:
    name = asked.get("endpoint")
    if name not in _endpoints():
        raise web.HTTPBadRequest(text=f"endpoint is {name!r}; valid: {', '.join(_endpoints())}\n")
    return str(name)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(asked: dict[str, object], name: str, default: float) -> float:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise web.HTTPBadRequest(text=f"{name} is {value!r}; valid: a number from 0\n")
    return float(value)


async def _asked(request: web.Request) -> dict[str, object]:
    body = await request.read()
    try:
        found = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise web.HTTPBadRequest(text=f"the body is not JSON: {error}\n") from None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text="the body is not a JSON object\n")
    return found


def _json(value: object) -> web.Response:
    return web.Response(body=orjson.dumps(value) + b"\n", content_type="application/json")


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except RetryableError as error:
        raise web.HTTPConflict(text=f"{error}\n") from error
    except (TapehouseError, OSError) as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    return answer
