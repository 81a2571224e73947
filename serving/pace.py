"""Which alerts are told at once, which are only counted, and when that count is told. Times are seconds, handed in."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What becomes of an alert."""

    TELL = "tell"
    HOLD = "hold"
    KNOWN = "known"


@dataclass(frozen=True)
class Series:
    """A rule's alerts of one instrument: when one was last told, and how many were held back since."""

    told_at: float
    held: int = 0


class Pace:
    """At most one message a series in `pause_s`; each alert counts once, as long as it is one of the last `remembered`.

    `series` is what a restart has to know again.
    """

    def __init__(self, pause_s: float, series: Mapping[str, Series] | None = None, remembered: int = 100_000) -> None:
        self._pause_s = pause_s
        self._remembered = remembered
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.series = dict(series or {})

    def admit(self, name: str, alert: str, now: float) -> Verdict:
        """Say what becomes of an alert; one that is to be told is not taken as told before `told` says so."""
        if alert in self._seen:
            return Verdict.KNOWN
        last = self.series.get(name)
        if last is None or now - last.told_at >= self._pause_s:
            return Verdict.TELL
        self.series[name] = Series(last.told_at, last.held + 1)
        self._see(alert)
        return Verdict.HOLD

    def held(self, name: str) -> int:
        """Return how many of a series were held back since the last message."""
        return self.series[name].held if name in self.series else 0

    def told(self, name: str, now: float, alert: str | None = None) -> None:
        """Take down that a message of the series was sent, for an alert or for those held back."""
        self.series[name] = Series(now)
        if alert is not None:
            self._see(alert)

    def due(self, now: float) -> list[str]:
        """Return the series whose pause is over and that still hold some back; those that hold none are forgotten."""
        over = [name for name, one in self.series.items() if now - one.told_at >= self._pause_s]
        for name in over:
            if not self.series[name].held:
                del self.series[name]
        return [name for name in over if name in self.series]

    def _see(self, alert: str) -> None:
        self._seen[alert] = None
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
