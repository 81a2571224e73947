"""The REST side of a replayed endpoint: what was played so far, in the venue's own words."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from sources.replay.faults import Faults
from sources.replay.protocol import Answer, Asked
from sources.replay.stage import Stage, asked_by

_RETRY_AFTER_S = 1.0


class RestSide:
    """Answer GET /<venue>/<endpoint>/rest/<the venue's own path>, unless a fault says otherwise.

    What moves is answered from memory; what does not, such as instruments, as it was recorded for the same path.
    """

    def __init__(self, stages: Mapping[str, Stage], faults: Faults, learn: Callable[[], Awaitable[None]]) -> None:
        """`learn` reads what the tapes given at start tell of instruments."""
        self._stages = stages
        self._faults = faults
        self._learn = learn
        self.requests: Counter[str] = Counter()
        self.answers: dict[str, Counter[int]] = {}

    async def get(self, request: web.Request) -> web.Response:
        """Answer a request."""
        name = f"{request.match_info['venue']}/{request.match_info['endpoint']}"
        stage = self._stages.get(name)
        if stage is None:
            raise web.HTTPNotFound(text=f"no endpoint {name}; valid: {', '.join(self._stages)}\n")
        self.requests[name] += 1
        answer = self._fault(stage) or await self._answered(stage, request.raw_path.removeprefix(f"/{name}/rest"))
        self.answers.setdefault(name, Counter())[answer.status] += 1
        return web.Response(
            body=answer.body, status=answer.status, headers=answer.headers, content_type="application/json"
        )

    def _fault(self, stage: Stage) -> Answer | None:
        fault = self._faults.on_rest(stage.name)
        if fault is None:
            return None
        if fault.kind == "rest_down":
            return Answer(stage.feed.refusal(503, "down, as asked"), 503)
        left = _RETRY_AFTER_S if fault.ends is None else max(fault.ends - time.monotonic(), _RETRY_AFTER_S)
        headers = {"Retry-After": str(-int(-left // 1))}
        return Answer(stage.feed.refusal(429, "too many requests, as asked"), 429, headers)

    async def _answered(self, stage: Stage, target: str) -> Answer:
        asked = asked_by(target, time.time_ns() // 1000 + self._faults.skew_us(stage.name))
        if asked.path.rpartition("/")[2].lower() == "time":
            self._faults.skewed(stage.name)
        memory = stage.memory
        try:
            answer = await stage.feed.rest(asked, memory)
        except ValueError as error:
            return Answer(stage.feed.refusal(400, str(error)), 400)
        if answer is not None:
            return answer
        if stage.feed.is_reference(asked.path):
            return await self._reference(stage, asked)
        recorded = memory.answers.get(target)
        if recorded is not None:
            return Answer(recorded)
        return Answer(stage.feed.refusal(404, f"nothing was recorded of {asked.path}"), 404)

    async def _reference(self, stage: Stage, asked: Asked) -> Answer:
        found = stage.feed.reference(asked, stage.memory.references)
        if found is None:
            await self._learn()
            found = stage.feed.reference(asked, stage.memory.references)
        if found is None:
            return Answer(stage.feed.refusal(404, f"nothing was recorded of {asked.path}"), 404)
        return Answer(found)
