"""The control API of the replay server: play, stop, inject, let things go wrong, and tell how it goes."""

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
from aiohttp import web

from contracts.errors import TapehouseError
from sources.replay.clients import Hall
from sources.replay.faults import KINDS, Fault
from sources.replay.player import Play, Player, Survey, survey
from sources.replay.rest import RestSide
from sources.replay.stage import ENDPOINTS, Stage

_LONGEST_S = 7 * 24 * 3600.0


class Control:
    """Handlers of the control API; ReplayServer lists them."""

    def __init__(self, tapes: Sequence[Path], stages: Mapping[str, Stage], hall: Hall, player: Player) -> None:
        self._tapes = tuple(tapes)
        self._stages = stages
        self._hall = hall
        self._player = player
        self._survey: asyncio.Task[Survey] | None = None
        self.rest = RestSide(stages, hall.faults, self._learn)

    async def _surveyed(self) -> Survey:
        if self._survey is None:
            self._survey = asyncio.create_task(asyncio.to_thread(survey, self._tapes))
        return await asyncio.shield(self._survey)

    async def _learn(self) -> None:
        try:
            self._player.know(await self._surveyed())
        except (TapehouseError, OSError):
            return  # the tapes given at start can't be read; /streams says why

    async def health(self, _: web.Request) -> web.Response:
        """Tell that the server is up."""
        return _json({"status": "up", "state": self._player.state})

    async def status(self, _: web.Request) -> web.Response:
        """Tell how far the play is, who is connected, and what happened by endpoint."""
        player = self._player
        return _json(
            {
                "state": player.state,
                "error": player.error,
                "records": player.records,
                "played": player.played,
                "sent": player.sent,
                "unheard": player.unheard,
                "kept": player.kept,
                "seconds": round(player.seconds, 3),
                "connections": [
                    {
                        "number": client.number,
                        "endpoint": client.endpoint,
                        "combined": client.session.combined,
                        "streams": list(client.session.streams),
                        "sent": client.sent,
                    }
                    for client in self._hall.clients()
                ],
                "endpoints": {name: self._endpoint(name) for name in self._stages},
            }
        )

    def _endpoint(self, name: str) -> dict[str, object]:
        answers = {str(status): count for status, count in sorted(self.rest.answers.get(name, {}).items())}
        return {
            "rest_requests": self.rest.requests[name],
            "rest_answers": answers,
            "faults": self._hall.faults.told(name),
        }

    async def streams(self, _: web.Request) -> web.Response:
        """Tell what the tapes given at start hold."""
        found = await self._surveyed()
        return _json({endpoint: sorted(names) for endpoint, names in sorted(found.streams.items())})

    async def play(self, request: web.Request) -> web.Response:
        """Begin to play."""
        asked = await _asked(request)
        speed = asked.get("speed", 1.0)
        if speed != "max" and (isinstance(speed, bool) or not isinstance(speed, int | float) or speed <= 0):
            raise web.HTTPBadRequest(text=f'speed is {speed!r}; valid: a number above 0, or "max"\n')
        play = Play(
            tuple(Path(str(name)) for name in _list(asked.get("tapes"))) or self._tapes,
            None if speed == "max" else float(speed),
            loop=asked.get("loop") is True,
            wait_s=_number(asked, "wait_s", Play.wait_s),
            longest_silence_s=_number(asked, "longest_silence_s", Play.longest_silence_s),
            partial=asked.get("partial") is True,
            align=asked.get("align") is True,
            faults=tuple(_fault(entry) for entry in _list(asked.get("faults"))),
        )
        known = await self._surveyed() if play.tapes == self._tapes else None
        await self._player.start(play, known)
        return await self.status(request)

    async def stop(self, request: web.Request) -> web.Response:
        """End the play."""
        await self._player.stop()
        return await self.status(request)

    async def inject(self, request: web.Request) -> web.Response:
        """Send any bytes."""
        asked = await _asked(request)
        try:
            payload = base64.b64decode(str(asked.get("payload_base64", "")), validate=True)
        except binascii.Error as error:
            raise web.HTTPBadRequest(text=f"payload_base64: {error}\n") from None
        endpoint, named = _endpoint_name(asked), asked.get("stream")
        stream = named if isinstance(named, str) else None
        if named == "auto":
            stream = self._stages[endpoint].stream_of(payload)
        reached = 0
        for _ in range(int(_number(asked, "repeat", 1))):
            reached += await self._hall.broadcast(endpoint, stream, payload)
        return _json({"reached": reached})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Let something go wrong."""
        fault = _fault(await _asked(request))
        await self._hall.add(fault)
        return _json(fault.told())

    async def faults(self, _: web.Request) -> web.Response:
        """Tell what was to go wrong and what did."""
        return _json({"faults": self._hall.faults.told()})


def _fault(asked: object) -> Fault:
    if not isinstance(asked, dict):
        raise web.HTTPBadRequest(text="a fault is not a JSON object\n")
    endpoint, kind = _endpoint_name(asked), asked.get("kind")
    if kind not in KINDS:
        raise web.HTTPBadRequest(text=f"kind is {kind!r}; valid: {', '.join(KINDS)}\n")
    valid = {"endpoint", "kind", "stream"} | KINDS[kind]
    if unknown := asked.keys() - valid:
        raise web.HTTPBadRequest(
            text=f"{kind} knows no {', '.join(sorted(unknown))}; valid: {', '.join(sorted(valid))}\n"
        )
    stream, ms = asked.get("stream"), asked.get("ms", 0)
    if stream is not None and not isinstance(stream, str):
        raise web.HTTPBadRequest(text=f"stream is {stream!r}; valid: a stream's name, or none for all\n")
    if isinstance(ms, bool) or not isinstance(ms, int | float) or abs(ms) > _LONGEST_S * 1000:
        raise web.HTTPBadRequest(text=f"ms is {ms!r}; valid: milliseconds, up to a week either way\n")
    seconds = _number(asked, "seconds", 0) if "seconds" in asked else None
    return Fault(
        kind,
        endpoint,
        stream,
        after=int(_number(asked, "after", 0)),
        count=int(_number(asked, "count", 1, least=1)),
        seconds=seconds,
        ms=ms,
    )


def _endpoint_name(asked: Mapping[str, object]) -> str:
    name = asked.get("endpoint")
    if name not in ENDPOINTS:
        raise web.HTTPBadRequest(text=f"endpoint is {name!r}; valid: {', '.join(ENDPOINTS)}\n")
    return str(name)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _number(asked: Mapping[str, object], name: str, default: float, least: float = 0) -> float:
    value = asked.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        raise web.HTTPBadRequest(text=f"{name} is {value!r}; valid: a number from {least:.0f}\n")
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
