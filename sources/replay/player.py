"""Plays tapes to whoever is connected: several tapes, several endpoints, one clock."""

import asyncio
import contextlib
import dataclasses
import heapq
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from contracts.errors import RetryableError, TapehouseError, TerminalError
from sources.logs import say
from sources.replay.clients import Hall
from sources.replay.faults import Fault
from sources.replay.stage import Stage, asked_by, reference_answers, stream_of
from sources.tape_file import TapeRecord, read_header, read_tape

_log = logging.getLogger(__name__)
# Payloads sent at full speed before others get their turn, and how long that may take.
_TURN = 200
_LONGEST_TURN_S = 0.005


@dataclass(frozen=True)
class Play:
    """What to play and how.

    `speed` is a multiple of the recorded speed, None as fast as clients take it. A silence longer than
    `longest_silence_s` (on the tape's clock) is cut to it, so that recordings of different years make one tape; with
    `align` they all begin at the same moment instead. The clock starts once every stream of the tapes has a
    subscriber, at most `wait_s` from now. `faults` count the payloads of this play.
    """

    tapes: tuple[Path, ...]
    speed: float | None = 1.0
    loop: bool = False
    wait_s: float = 30.0
    longest_silence_s: float = 5.0
    # Start although nobody listens to some of the tapes' streams.
    partial: bool = False
    align: bool = False
    faults: tuple[Fault, ...] = ()


@dataclass
class Survey:
    """What tapes hold, by venue/endpoint: streams, and REST answers about instruments by path."""

    streams: dict[str, set[str]] = field(default_factory=dict)
    references: dict[str, dict[str, bytes]] = field(default_factory=dict)


def survey(tapes: Sequence[Path]) -> Survey:
    """Read tapes through for what they hold."""
    found = Survey()
    for path in tapes:
        for record in read_tape(path):
            name = f"{record.venue}/{record.endpoint}"
            names = found.streams.setdefault(name, set())
            if record.request:
                answers = reference_answers(name, {record.request: record.payload})
                found.references.setdefault(name, {}).update(answers)
            elif (stream := stream_of(name)(record.payload)) is not None:
                names.add(stream)
    return found


class Player:
    """One play at a time. `state` is idle, waiting, playing, finished, stopped or failed.

    `played` counts all payloads, `sent` what clients were handed, `unheard` those that reached nobody, `kept` those
    that are for nobody: recorded answers of REST, and to subscriptions.
    """

    def __init__(self, hall: Hall, stages: Mapping[str, Stage]) -> None:
        self._hall = hall
        self._stages = stages
        self._task: asyncio.Task[None] | None = None
        self._told: set[Path] = set()
        self.state = "idle"
        self.error = ""
        self.records = 0
        self.played = 0
        self.sent = 0
        self.unheard = 0
        self.kept = 0
        self.seconds = 0.0

    async def start(self, play: Play, known: Survey | None = None) -> None:
        """Begin to play; returns when the clock runs. RetryableError when subscribers don't come in time.

        `known` is what the tapes hold, where that was found out already.
        """
        await self.stop()
        self.records = sum(read_header(path).records for path in play.tapes)
        if not self.records:
            raise TerminalError(f"nothing to play in {[str(path) for path in play.tapes]}")
        self.played = self.sent = self.unheard = self.kept = 0
        self.seconds, self.error = 0.0, ""
        self.state = "waiting"
        try:
            found = known if known is not None else await asyncio.to_thread(survey, play.tapes)
            self.know(found)
            if not play.partial:
                await self._subscribed(found.streams, play.wait_s)
        except BaseException:
            self.state = "idle"
            raise
        # Played again, a tape goes back in time; another one goes on.
        if self._told & set(play.tapes):
            self._forget()
        self._told |= set(play.tapes)
        self._hall.faults.begin_play()
        for fault in play.faults:
            await self._hall.add(dataclasses.replace(fault, of_play=True))
        self.state = "playing"
        self._task = asyncio.create_task(self._run(play))

    def know(self, found: Survey) -> None:
        """Take what the tapes tell of instruments: the venue knows that from the start."""
        for name, answers in found.references.items():
            self._stages[name].memory.references.update(answers)

    def _forget(self) -> None:
        self._told.clear()
        for stage in self._stages.values():
            stage.memory.forget()

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
                self._forget()
                self._told |= set(play.tapes)
            self.state = "finished"
        except TapehouseError as error:
            self.state, self.error = "failed", str(error)
        finally:
            self.seconds = time.monotonic() - began
            say(_log, "play ended", state=self.state, sent=self.sent, unheard=self.unheard, seconds=self.seconds)

    async def _once(self, play: Play) -> None:
        start = turn = time.monotonic()
        tape_clock = 0.0
        before: int | None = None
        for at, record in _merged(play.tapes, align=play.align):
            now = time.monotonic()
            if play.speed is not None:
                silence = (at - before) / 1e6 if before is not None else 0.0
                before = at
                tape_clock += min(max(silence, 0.0), play.longest_silence_s)
                ahead = start + tape_clock / play.speed - now
                if ahead > 0.001:
                    await asyncio.sleep(ahead)
            if self.played % _TURN == 0 or now - turn > _LONGEST_TURN_S:
                await asyncio.sleep(0)
                turn = time.monotonic()
            await self._play(record)
        for fault in self._hall.faults.holding():
            await self._hall.release(fault)

    async def _play(self, record: TapeRecord) -> None:
        name = f"{record.venue}/{record.endpoint}"
        stage = self._stages.get(name)
        if stage is None:
            raise TerminalError(f"the tape holds payloads of {name}; valid: {', '.join(self._stages)}")
        self.played += 1
        if record.request:
            stage.memory.keep_answer(record.request, asked_by(record.request), record.payload)
            self.kept += 1
            return
        stream = stage.stream_of(record.payload)
        if stream is not None:
            stage.memory.keep(stream, record.payload)
        elif stage.feed.is_answer(record.payload):
            self.kept += 1
            return
        reached = await self._hall.broadcast(name, stream, record.payload)
        self.sent += reached
        self.unheard += not reached


def _merged(tapes: Sequence[Path], *, align: bool) -> Iterator[tuple[int, TapeRecord]]:
    """Merge the tapes by the time of receipt, counted from each one's first with `align`.

    Within one tape the recorded order stays.
    """
    timed = [_timed(path, read_header(path).first_time if align else 0) for path in tapes]
    return timed[0] if len(timed) == 1 else heapq.merge(*timed, key=itemgetter(0))


def _timed(path: Path, zero: int) -> Iterator[tuple[int, TapeRecord]]:
    for record in read_tape(path):
        yield record.received_time - zero, record
