"""What is to go wrong, by request: at which payload, connection or REST request, how often, and what came of it."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

# What each kind may be told beside endpoint, kind and stream; a stream narrows those that concern payloads alone.
KINDS: dict[str, frozenset[str]] = {
    "drop": frozenset({"after", "count"}),
    "duplicate": frozenset({"after", "count"}),
    "reorder": frozenset({"after", "count"}),
    "corrupt": frozenset({"after", "count"}),
    "stall": frozenset({"after", "seconds"}),
    "disconnect": frozenset({"after"}),
    "refuse": frozenset({"count"}),
    "rate_limit": frozenset({"count", "seconds"}),
    "rest_down": frozenset({"count", "seconds"}),
    "skew": frozenset({"ms"}),
}
_SPANS = frozenset({"drop", "duplicate", "reorder", "corrupt"})
_MOMENTS = frozenset({"stall", "disconnect"})
_REST = frozenset({"rate_limit", "rest_down"})


@dataclass(eq=False)
class Fault:
    """One fault that was asked for. `happened` counts the payloads, connections, clients or requests that it hit."""

    kind: str
    endpoint: str
    stream: str | None = None
    after: int = 0
    count: int = 1
    seconds: float | None = None
    ms: float = 0.0
    number: int = 0
    of_play: bool = False
    passed: int = 0  # payloads that it counted
    happened: int = 0
    done: bool = False
    ends: float | None = field(default=None)  # time.monotonic(), for what lasts so many seconds

    def told(self) -> dict[str, object]:
        """Return what GET /faults says of it."""
        state = "done" if self.done else "under way" if self.happened else "waiting"
        valid = {"endpoint", "kind", "stream", "number", "happened"} | KINDS[self.kind]
        return {name: value for name, value in vars(self).items() if name in valid} | {"state": state}


@dataclass(frozen=True)
class Plan:
    """What becomes of one payload: who is hit by what, and what happens once it has been sent."""

    dropped: bool = False
    times: int = 1
    corrupted: int | None = None  # the how manieth
    held: Fault | None = None
    released: Fault | None = None
    afterwards: tuple[Fault, ...] = ()


class Faults:
    """All that was asked for, in the order in which it was."""

    def __init__(self) -> None:
        self._all: list[Fault] = []
        self._awaited: dict[str, list[Fault]] = {}  # those that count an endpoint's payloads
        self._skew: dict[str, Fault] = {}

    def add(self, fault: Fault) -> Fault | None:
        """Take a fault; return it when it is to happen at once."""
        fault.number = len(self._all) + 1
        self._all.append(fault)
        if fault.kind in _REST and fault.seconds is not None:
            fault.ends = time.monotonic() + fault.seconds
        if fault.kind == "skew":
            if (before := self._skew.get(fault.endpoint)) is not None:
                before.done = True
            self._skew[fault.endpoint] = fault
        if fault.kind in _MOMENTS and not fault.after:
            fault.done = True
            return fault
        if fault.kind in _SPANS | _MOMENTS:
            self._awaited.setdefault(fault.endpoint, []).append(fault)
        return None

    def begin_play(self) -> None:
        """Give up what earlier plays were to meet and did not."""
        for fault in self._all:
            if fault.of_play and not fault.done:
                self._end(fault)

    def plan(self, endpoint: str, stream: str | None) -> Plan | None:
        """Count a payload, and say what becomes of it; None, which is usual, for nothing."""
        awaited = self._awaited.get(endpoint)
        if not awaited:
            return None
        dropped, times, corrupted = False, 1, None
        held = released = None
        afterwards: list[Fault] = []
        for fault in tuple(awaited):
            if fault.stream is not None and fault.stream != stream:
                continue
            fault.passed += 1
            if fault.kind in _MOMENTS:
                if fault.passed >= fault.after:
                    self._end(fault)
                    afterwards.append(fault)
                continue
            if fault.passed <= fault.after:
                continue
            fault.happened += 1
            if fault.kind == "drop":
                dropped = True
            elif fault.kind == "duplicate":
                times *= 2
            elif fault.kind == "corrupt":
                corrupted = fault.happened
            else:
                held = fault
            if fault.happened >= fault.count:
                self._end(fault)
                released = fault if fault.kind == "reorder" else released
        return Plan(dropped, times, corrupted, held, released, tuple(afterwards))

    def _end(self, fault: Fault) -> None:
        fault.done = True
        awaited = self._awaited.get(fault.endpoint, [])
        if fault in awaited:
            awaited.remove(fault)

    def holding(self) -> list[Fault]:
        """Return those that hold payloads back, and end them: no further payload will come."""
        found = [f for group in self._awaited.values() for f in group if f.kind == "reorder" and f.happened]
        for fault in found:
            self._end(fault)
        return found

    def refuses(self, endpoint: str) -> bool:
        """Whether the next connection is refused."""
        return self._use(endpoint, ("refuse",)) is not None

    def on_rest(self, endpoint: str) -> Fault | None:
        """Return what hits the next REST request."""
        return self._use(endpoint, ("rest_down", "rate_limit"))

    def skew_us(self, endpoint: str) -> int:
        """Return how far the venue's clock is off, in microseconds."""
        fault = self._skew.get(endpoint)
        return 0 if fault is None else round(fault.ms * 1000)

    def skewed(self, endpoint: str) -> None:
        """Count a time that was told wrong."""
        if (fault := self._skew.get(endpoint)) is not None:
            fault.happened += 1

    def _use(self, endpoint: str, kinds: Iterable[str]) -> Fault | None:
        for fault in self._all:
            if fault.done or fault.endpoint != endpoint or fault.kind not in kinds:
                continue
            if fault.ends is not None:
                if fault.ends > time.monotonic():
                    fault.happened += 1
                    return fault
                fault.done = True
                continue
            fault.happened += 1
            fault.done = fault.happened >= fault.count
            return fault
        return None

    def told(self, endpoint: str | None = None) -> list[dict[str, object]]:
        """Return what GET /faults says of an endpoint, or of all."""
        now = time.monotonic()
        for fault in self._all:
            if fault.ends is not None and fault.ends <= now:
                fault.done = True
        return [fault.told() for fault in self._all if endpoint in (None, fault.endpoint)]


def corrupted(payload: bytes, number: int) -> bytes:
    """Damage a payload so that it shows: the odd ones are no UTF-8 any more, the even ones are cut in half."""
    middle = len(payload) // 2
    if number % 2 and payload:
        return payload[:middle] + bytes([payload[middle] ^ 0x80]) + payload[middle + 1 :]
    return payload[:middle]
