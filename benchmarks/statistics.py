"""What a measurement says: of several rounds the median, the least and the most."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spread:
    """The middle and both ends of several rounds."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarise at least one value."""
        return cls(statistics.median(values), min(values), max(values))


def latencies(ages: Sequence[float]) -> dict[str, float]:
    """Return the middle, the 95th and 99th of a hundred, and the most, of milliseconds; each is one that was seen."""
    ordered = sorted(ages)
    places = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[math.ceil(share * len(ordered)) - 1], 2) for name, share in places.items()}


@dataclass(frozen=True)
class Round:
    """One timed pass: wall and CPU seconds (whole process tree), the most memory it held, what its answer was worth."""

    events: int
    seconds: float
    cpu_s: float
    broker_cpu_s: float
    peak_mb: float
    correct: bool
    note: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A system at a workload. `absent` says why there are no rounds; the other notes belong to the system."""

    workload: str
    system: str
    format: str
    exact_decimals: bool = True
    rounds: tuple[Round, ...] = ()
    absent: str = ""
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def events_per_s(self) -> Spread:
        """Return how many events a second the rounds took."""
        return Spread.of([one.events / one.seconds for one in self.rounds])

    @property
    def cpu_s_per_million(self) -> float:
        """Return the median CPU seconds of a million events, without the broker's."""
        return statistics.median(one.cpu_s / one.events * 1e6 for one in self.rounds)

    @property
    def broker_cpu_s_per_million(self) -> float:
        """Return the broker's median CPU seconds of a million events."""
        return statistics.median(one.broker_cpu_s / one.events * 1e6 for one in self.rounds)

    @property
    def peak_mb(self) -> float:
        """Return the most memory that any round held."""
        return max(one.peak_mb for one in self.rounds)

    @property
    def correct(self) -> bool:
        """Tell whether every round's answer was right."""
        return bool(self.rounds) and all(one.correct for one in self.rounds)

    def as_json(self) -> dict[str, Any]:
        """Return the entry of latest.json; rates in events, memory in MiB."""
        entry: dict[str, Any] = {"workload": self.workload, "system": self.system, "format": self.format}
        entry |= {"exact_decimals": self.exact_decimals, "note": self.note, "runs": len(self.rounds)}
        if self.absent:
            entry["absent"] = self.absent
        if self.rounds:
            rate = self.events_per_s
            entry |= {
                "events": self.rounds[-1].events,
                "events_per_s": {"median": round(rate.median), "min": round(rate.min), "max": round(rate.max)},
                "cpu_s_per_million": round(self.cpu_s_per_million, 2),
                "broker_cpu_s_per_million": round(self.broker_cpu_s_per_million, 2),
                "peak_mb": round(self.peak_mb),
                "correct": self.correct,
                "answer": self.rounds[-1].note,
            }
        details = dict(self.details)
        if "latency_ms" in details:
            entry["latency_ms"] = details.pop("latency_ms")
        return entry | ({"details": details} if details else {})
