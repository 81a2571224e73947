"""Mends what watching found missing, in the background: trades by REST, books by a new snapshot; tape first."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from contracts.errors import RetryableError, TapehouseError, TerminalError
from sources.collector.pipeline import Pipeline
from sources.collector.rest import RestClient
from sources.collector.watching import Answered, Series, Watcher, now_micros
from sources.connection import Connection
from sources.endpoints import Missing, Request, Venue
from sources.logs import say
from sources.watch.gap import GapKey, OpenGap

_log = logging.getLogger(__name__)
_LOOK_S = 0.2
# Out of order by less than this is no loss.
_GRACE_US = 500_000
_AT_ONCE = 4
_MOST_PAGES = 1000
_AGAIN_FIRST_S, _AGAIN_LONGEST_S = 0.5, 60.0
_CLOCK_S = 60.0
# Reference data is asked for once the venue's instruments were heard, and then now and then.
_INSTRUMENTS_FIRST_S, _INSTRUMENTS_S = 15.0, 6 * 3600.0

Job = GapKey | Series
Ask = Callable[[str], Awaitable[None]]


@dataclass
class Later:
    """When a job is tried again."""

    tries: int = 0
    at: float = 0.0

    def after_failure(self, now: float) -> None:
        """Wait longer each time, with full jitter."""
        self.at = now + random.uniform(0.1, min(_AGAIN_FIRST_S * 2**self.tries, _AGAIN_LONGEST_S))  # noqa: S311
        self.tries += 1


class Repairer:
    """Repair one venue's gaps and books until cancelled. Never in the way of what is heard: it only adds payloads."""

    def __init__(self, venue: Venue, clients: Mapping[str, RestClient], watcher: Watcher, pipeline: Pipeline) -> None:
        self._venue = venue
        self._clients = clients
        self._watcher = watcher
        self._pipeline = pipeline
        self._later: dict[Job, Later] = {}
        self._at_work: dict[Job, asyncio.Task[None]] = {}
        self.connections: list[Connection] = []

    async def run(self) -> None:
        """Look for work and do it."""
        regular = [
            asyncio.create_task(self._regularly(_CLOCK_S, 1.0, self._ask_clocks)),
            asyncio.create_task(self._regularly(_INSTRUMENTS_S, _INSTRUMENTS_FIRST_S, self._ask_instruments)),
        ]
        try:
            while True:
                self._start_due()
                for task in regular:
                    if task.done():
                        task.result()
                await asyncio.sleep(_LOOK_S)
        finally:
            for task in (*regular, *self._at_work.values()):
                task.cancel()
            await asyncio.gather(*regular, *self._at_work.values(), return_exceptions=True)

    def _start_due(self) -> None:
        now = asyncio.get_running_loop().time()
        for job, task in list(self._at_work.items()):
            if task.done():
                del self._at_work[job]
                task.result()
        noticed_before = now_micros() - _GRACE_US
        due: list[Job] = [
            gap.key
            for gap in self._watcher.gaps.open_gaps()
            if gap.kind in ("trade_ids", "silence") and gap.state == "open" and gap.key.gap_number < noticed_before
        ]
        due += self._watcher.books.incomplete()
        self._later = {job: self._later[job] for job in due if job in self._later}
        for job in due:
            if len(self._at_work) >= _AT_ONCE:
                break
            if job not in self._at_work and self._later.setdefault(job, Later()).at <= now:
                self._at_work[job] = asyncio.create_task(self._do(job))

    async def _do(self, job: Job) -> None:
        try:
            done = await (self._trades(job) if isinstance(job, GapKey) else self._book(job))
        except TapehouseError as error:
            done = False
            if isinstance(job, GapKey):
                away = isinstance(error, RetryableError) and not isinstance(error, _RefusedError)
                self._watcher.gaps.attempted(job, now_micros(), 0, error=str(error)[:300], answered=not away)
            say(_log, "repair failed", job=job, why=error)
        if not done and job in self._later:
            self._later[job].after_failure(asyncio.get_running_loop().time())

    async def _trades(self, key: GapKey) -> bool:
        """Ask page by page until nothing is missing, or a page brings nothing; return whether the gap is closed."""
        gaps = self._watcher.gaps
        for _ in range(_MOST_PAGES):
            gap = next((one for one in gaps.open_gaps() if one.key == key), None)
            if gap is None:
                return True
            endpoint, request = self._request(gap)
            answered = await self._ask(endpoint, request)
            progress = answered.new > 0 if not gap.ranges else _filled_some(gap, self._open(key))
            further = gap.kind == "silence" and answered.newest > gap.from_time and answered.new > 0
            through = answered.newest if further else gap.to_time
            left = gaps.attempted(key, now_micros(), answered.new, through)
            say(
                _log,
                "refilled",
                instrument=gap.instrument,
                id_space=gap.id_space,
                kind=gap.kind,
                trades=answered.trades,
                new=answered.new,
                left=0 if left is None else sum(b - a + 1 for a, b in left.ranges),
            )
            if left is None:
                return True
            if not progress:
                return False
        return False

    def _open(self, key: GapKey) -> OpenGap | None:
        return next((one for one in self._watcher.gaps.open_gaps() if one.key == key), None)

    def _request(self, gap: OpenGap) -> tuple[str, Request]:
        first: int | None = None
        last: int | None = None
        if gap.ranges:
            first, last = gap.ranges[0]
        elif gap.id_space in self._venue.counted:
            heard = self._watcher.gaps.heard(gap.instrument, gap.id_space)
            first = heard[0] + 1 if heard is not None and heard[0] >= 0 else None
        missing = Missing(gap.instrument, gap.id_space, first, last, gap.from_time, gap.to_time)
        for endpoint in self._clients:
            request = self._venue.rests[endpoint].trades(missing)
            if request is not None:
                return endpoint, request
        raise TerminalError(f"{self._venue.name} offers no way to ask for trades of {gap.id_space}")

    async def _ask(self, endpoint: str, request: Request) -> Answered:
        """Ask, write the answer to the tape, wait until it was parsed and heard."""
        record = await self._clients[endpoint].record(request)
        await self._pipeline.room()
        answered = self._watcher.expect(record)
        try:
            await self._pipeline.through(record)
        finally:
            self._watcher.settle(record)
        if answered.refused:
            raise _RefusedError(f"the venue refused {request.target}: {record.payload[:200]!r}")
        return answered

    async def _book(self, series: Series) -> bool:
        """Get a new snapshot: by REST where update ids tell how deltas follow on it, else by subscribing again."""
        instrument, id_space = series
        endpoint, stream = self._watcher.book_streams.get(series, ("", ""))
        if not endpoint:
            return False
        if self._watcher.books.books[series].chain == "":
            request = self._venue.rests[endpoint].book(instrument)
            if request is None:
                raise TerminalError(f"{self._venue.name}/{endpoint} offers no snapshot of books")
            await self._ask(endpoint, request)
        else:
            connection = next(
                (c for c in self.connections if c.endpoint.name == endpoint and stream in c.streams), None
            )
            if connection is None or not await connection.renew((stream,)):
                return False
            # The snapshot comes in a moment; asking again at once would only bring another.
            await asyncio.sleep(2.0)
        say(_log, "book asked for anew", instrument=instrument, id_space=id_space)
        return series not in self._watcher.books.incomplete()

    async def _regularly(self, seconds: float, first_s: float, ask: Ask) -> None:
        await asyncio.sleep(first_s)
        while True:
            for endpoint in self._clients:
                try:
                    await ask(endpoint)
                except (RetryableError, TerminalError) as error:
                    say(_log, "not told", endpoint=endpoint, why=error)
            await asyncio.sleep(seconds)

    async def _ask_clocks(self, endpoint: str) -> None:
        rest = self._venue.rests[endpoint]
        sent = now_micros()
        body = await self._clients[endpoint].get(rest.time())
        try:
            self._watcher.skew.exchanged(sent, rest.server_time(body), now_micros())
        except ValueError as error:
            raise TerminalError(f"the venue's clock can't be read: {error}") from error

    async def _ask_instruments(self, endpoint: str) -> None:
        instruments = tuple(sorted(self._watcher.instruments.get(endpoint, ())))
        if instruments:
            await self._ask(endpoint, self._venue.rests[endpoint].instruments(instruments))


class _RefusedError(RetryableError):
    """The venue answered, and gave nothing: unlike silence, that counts towards giving up."""


def _filled_some(before: OpenGap, after: OpenGap | None) -> bool:
    return after is None or after.ranges != before.ranges
