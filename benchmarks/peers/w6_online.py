"""What both online readers of W6 share: which instruments and values, and how reads are timed.

Imports the standard library alone: every environment runs it.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

VENUE = "bench"
INSTRUMENTS, FEATURES = 1000, 30
WARM_READS, READS = 500, 5000
# From one instrument to a distant one, so that no two reads in a row are neighbours; each has its turn.
STRIDE = 389


def names() -> list[str]:
    """Name the features."""
    return [f"feature_{number:02d}" for number in range(FEATURES)]


def value(instrument: int, feature: int) -> float:
    """Return the value that a reader must get."""
    return instrument + feature / 64


def timed(read: Callable[[str], Mapping[str, Any]]) -> dict[str, Any]:
    """Read vectors one after another; return the ages (ms) and how many were not what was written."""
    ages, wrong = [], 0
    for number in range(WARM_READS + READS):
        instrument = number * STRIDE % INSTRUMENTS
        began = time.perf_counter()
        found = read(f"I{instrument:04d}")
        age = (time.perf_counter() - began) * 1000
        wrong += any(found[name] != value(instrument, at) for at, name in enumerate(names()))
        if number >= WARM_READS:
            ages.append(age)
    ages.sort()
    places = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    told = {name: round(ages[math.ceil(share * len(ages)) - 1], 3) for name, share in places.items()}
    return {"latency_ms": told, "wrong": wrong}
