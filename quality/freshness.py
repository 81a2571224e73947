"""Whether a series is fresh: its silence against the silences of its own history. Times in microseconds, or as named.

Age counts from when the collector received the last of it, not from event time: a replayed tape is as fresh as a live
feed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts.freshness import UNKNOWN
from quality.incidents import Finding, Findings
from quality.lineage import Lineage

MILLI = 1_000
SECOND = 1_000_000
# Fewer silences say nothing about which is an ordinary one.
FEWEST_GAPS = 5
# Three times the 95th percentile. Where arrivals are random (a Poisson process) that is nine times the mean, which one
# silence in 8,000 exceeds; where they are regular it is three beats. One long outage in the history does not move it.
ORDINARY_PERCENT, ORDINARY_TIMES = 95, 3
REWRITE_AFTER = 10 * 60 * SECOND


@dataclass(frozen=True, order=True)
class Series:
    """What is fresh or stale."""

    venue: str
    instrument: str
    dataset: str

    @property
    def subject(self) -> str:
        """Name the incident's subject."""
        return f"stale/{self.dataset}/{self.venue}/{self.instrument}"


@dataclass(frozen=True)
class Heard:
    """What was heard of a series; `gaps` counts its silences by whole seconds, empty where they were not read."""

    last_event: int
    last_received: int
    gaps: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Known:
    """What is known of a series: what was heard last, and its cadence (UNKNOWN while its history is too short)."""

    last_event: int
    last_received: int
    cadence_ms: int = UNKNOWN


@dataclass(frozen=True)
class Freshness:
    """How a series stands."""

    series: Series
    known: Known
    age_ms: int
    state: str
    known_time: int


def expected_cadence_ms(gaps: Mapping[int, int]) -> int:
    """Return the longest silence that is ordinary among these (seconds to count), UNKNOWN if there are too few."""
    total = sum(gaps.values())
    if total < FEWEST_GAPS:
        return UNKNOWN
    # The smallest silence that at least 95 of 100 do not exceed, in whole numbers.
    wanted = -(-total * ORDINARY_PERCENT // 100)
    seen = 0
    for seconds, count in sorted(gaps.items()):
        seen += count
        if seen >= wanted:
            return seconds * 1000 * ORDINARY_TIMES
    raise AssertionError("counts add up to their total")


def learn(known: Mapping[Series, Known], heard: Mapping[Series, Heard]) -> dict[Series, Known]:
    """Add what was heard to what was known; a cadence once known is kept until a better one is."""
    learned = dict(known)
    for series, one in heard.items():
        before = learned.get(series, Known(0, 0))
        cadence = expected_cadence_ms(one.gaps)
        learned[series] = Known(
            max(before.last_event, one.last_event),
            max(before.last_received, one.last_received),
            before.cadence_ms if cadence == UNKNOWN else cadence,
        )
    return learned


def reference_time(known: Mapping[Series, Known], wall: int, *, live: bool) -> int:
    """Return the time that silences are measured against.

    A live feed's is the wall clock. A tape that is replayed has no more to say than it holds: its clock is the newest
    receipt of any series, so that one that falls silent while others go on is stale, and a tape that ended is not.
    """
    if live:
        return wall
    return min(wall, max((one.last_received for one in known.values()), default=wall))


def judge(
    known: Mapping[Series, Known], now: int, *, watching_since: int, stale_after_ms: int, noted: int | None = None
) -> dict[Series, Freshness]:
    """Say how each series stands at `now`, the reference time; `noted` is the wall clock, where that is another.

    Silence counts from `watching_since` at the earliest: when nobody was watching, nothing may have been running.
    """
    told = {}
    for series, one in known.items():
        age_ms = max(now - one.last_received, 0) // MILLI
        silent_ms = max(now - max(one.last_received, watching_since), 0) // MILLI
        late = silent_ms > one.cadence_ms + stale_after_ms
        state = "unknown" if one.cadence_ms == UNKNOWN else "stale" if late else "fresh"
        told[series] = Freshness(series, one, age_ms, state, now if noted is None else noted)
    return told


def worth_noting(previous: Mapping[Series, Freshness], current: Iterable[Freshness]) -> list[Freshness]:
    """Return what to write: whatever is new or changed its state, and the rest every ten minutes."""

    def due(one: Freshness) -> bool:
        before = previous.get(one.series)
        return before is None or before.state != one.state or one.known_time - before.known_time >= REWRITE_AFTER

    return [one for one in current if due(one)]


def findings(
    standing: Mapping[Series, Freshness],
    stale_after_ms: int,
    lineage: Lineage | None = None,
    page_of: Callable[[str], str] = lambda _: "",
) -> Findings:
    """Return the stale series as findings, and the subjects of the fresh ones; `page_of` names an asset's page."""
    lineage = lineage or Lineage()
    return Findings(
        tuple(_finding(one, stale_after_ms, lineage, page_of) for one in standing.values() if one.state == "stale"),
        frozenset(one.series.subject for one in standing.values() if one.state == "fresh"),
    )


def _finding(one: Freshness, stale_after_ms: int, lineage: Lineage, page_of: Callable[[str], str]) -> Finding:
    series, known = one.series, one.known
    key = series.dataset.replace(".", "/")
    return Finding(
        subject=series.subject,
        kind="stale",
        title=f"{series.dataset} of {series.venue} {series.instrument} is stale",
        dataset=series.dataset,
        venue=series.venue,
        instrument=series.instrument,
        evidence={
            # Neither age nor cadence: the one grows all the time, the other is learnt anew while the series is stale.
            "last_received_time": _iso(known.last_received),
            "last_event_time": _iso(known.last_event),
            "tolerated_ms": stale_after_ms,
            **({"page": page} if (page := page_of("system/freshness")) else {}),
        },
        upstream=lineage.upstream(key, series.venue),
        downstream=lineage.downstream(key),
        next_step=f"Look at the state of collector-{series.venue} in tapehouse status; if it is healthy, ask the venue "
        f"whether {series.instrument} still trades.",
    )


def _iso(micros: int) -> str:
    return datetime.fromtimestamp(micros / SECOND, UTC).isoformat(timespec="milliseconds")
