"""Plays tapes to whoever is connected: several tapes, several endpoints, one clock."""

import asyncio
import contextlib
import heapq
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from contracts.errors import RetryableError, TapehouseError, TerminalError
from sources.logs import say
from sources.replay.binance import stream_of
from sources.replay.clients import Hall
from sources.tape_file import TapeRecord, read_header, read_tape

_log = logging.getLogger(__name__)
_TURN = 200  # payloads sent at full speed before others get their turn


@dataclass(frozen=True)
class Play:
    """What to play and how.

    `speed` is a multiple of the recorded speed, None as fast as clients take it. A silence longer than
    `longest_silence_s` (on the tape's clock) is cut to it, so that recordings of different years make one tape.
    The clock starts once every stream of the tapes has a subscriber, at most `wait_s` from now.
    """

    tapes: tuple[Path, ...]
    speed: float | None = 1.0
    loop: bool = False
    wait_s: float = 30.0
    longest_silence_s: float = 5.0
    # Start although nobody listens to some of the tapes' streams.
    partial: bool = False


def tape_streams(tapes: Sequence[Path]) -> dict[str, set[str]]:
    """Return the streams of the tapes by venue/endpoint, by reading them through."""
    found: dict[str, set[str]] = {}
    for path in tapes:
        for record in read_tape(path):
            names = found.setdefault(f"{record.venue}/{record.endpoint}", set())
            if (stream := stream_of(record.payload)) is not None:
                names.add(stream)
    return found


class Player:
    """One play at a time. `state` is idle, waiting, playing, finished, stopped or failed."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._task: asyncio.Task[None] | None = None
        self.state = "idle"
        self.error = ""
        self.records = 0
        self.played = 0
        self.sent = 0
        self.unheard = 0
        self.seconds = 0.0

    async def start(self, play: Play) -> None:
        """Begin to play; returns when the clock runs. RetryableError when subscribers don't come in time."""
        await self.stop()
        self.records = sum(read_header(path).records for path in play.tapes)
        if not self.records:
            raise TerminalError(f"nothing to play in {[str(path) for path in play.tapes]}")
        self.played = self.sent = self.unheard = 0
        self.seconds, self.error = 0.0, ""
        self.state = "waiting"
        try:
            if not play.partial:
                await self._subscribed(await asyncio.to_thread(tape_streams, play.tapes), play.wait_s)
        except BaseException:
            self.state = "idle"
            raise
        self.state = "playing"
        self._task = asyncio.create_task(self._run(play))

    async def stop(self) -> None:
        """End the play; connections stay open, as at a venue where nothing is traded."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        if self.state == "playing":
            self.state = "stopped"

    async def _subscribed(self, streams: dict[str, set[str]], wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                while self._hall.unheard(streams):
                    self._hall.changed.clear()
                    await self._hall.changed.wait()
        except TimeoutError:
            missing = self._hall.unheard(streams)
            raise RetryableError(
                f"nobody subscribed to {len(missing)} streams of the tape within {wait_s:.0f} s: "
                f"{', '.join(missing[:8])}; is the collector up? `partial` plays without them"
            ) from None

    async def _run(self, play: Play) -> None:
        began = time.monotonic()
        try:
            while True:
                await self._once(play)
                if not play.loop:
                    break
            self.state = "finished"
        except TapehouseError as error:
            self.state, self.error = "failed", str(error)
        finally:
            self.seconds = time.monotonic() - began
            say(_log, "play ended", state=self.state, sent=self.sent, unheard=self.unheard, seconds=self.seconds)

    async def _once(self, play: Play) -> None:
        start = time.monotonic()
        tape_clock = 0.0
        before: int | None = None
        for record in _merged(play.tapes):
            if play.speed is not None:
                silence = (record.received_time - before) / 1e6 if before is not None else 0.0
                before = record.received_time
                tape_clock += min(max(silence, 0.0), play.longest_silence_s)
                ahead = start + tape_clock / play.speed - time.monotonic()
                if ahead > 0.001:
                    await asyncio.sleep(ahead)
            if self.played % _TURN == 0:
                await asyncio.sleep(0)
            reached = await self._hall.broadcast(
                f"{record.venue}/{record.endpoint}", stream_of(record.payload), record.payload
            )
            self.played += 1
            self.sent += reached
            self.unheard += not reached


def _merged(tapes: Sequence[Path]) -> Iterator[TapeRecord]:
    """Merge the tapes by the time of receipt; within one tape the recorded order stays."""
    if len(tapes) == 1:
        return read_tape(tapes[0])
    return heapq.merge(*map(read_tape, tapes), key=attrgetter("received_time"))
