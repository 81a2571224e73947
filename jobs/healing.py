"""When a process is sick for so long that it is restarted, and how long to wait before trying again.

Plain functions of plain values; times in seconds since the epoch.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

MINUTE = 60.0
# The supervisor starts what ended and ends what does not answer: that is its first minute.
DEAD_AFTER = MINUTE
FIRST_PAUSE, LONGEST_PAUSE = 2 * MINUTE, 60 * MINUTE
# Whoever was well for so long starts again with the first pause.
FORGET_AFTER = 30 * MINUTE

WELL, DEAD, LAGGING, OFF = "well", "dead", "lagging", "off"
DEAD_STATES = ("failed", "failing", "unhealthy")


@dataclass(frozen=True)
class Vitals:
    """How a process is: its state in the supervisor's words, and how many records it is behind, if it tells."""

    state: str
    lag: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Course:
    """What is remembered of a process: what it suffers from, since when, and how it was treated."""

    condition: str = WELL
    since: float = 0.0
    first_lag: int = 0
    restarts: int = 0
    last_restart: float = 0.0


@dataclass(frozen=True)
class Treatment:
    """What to do: `sick` are wrong for long enough to say so, `restart` those of them whose turn it is."""

    courses: dict[str, Course] = field(default_factory=dict)
    sick: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    well: tuple[str, ...] = ()


def condition(vitals: Vitals, lag_limit: int) -> str:
    """Name what is wrong. A process that is stopped was stopped by somebody: it is off, neither well nor sick."""
    if vitals.state in DEAD_STATES:
        return DEAD
    if vitals.state != "healthy":
        return OFF
    return LAGGING if (vitals.lag or 0) > lag_limit else WELL


def pause(restarts: int) -> float:
    """Return how long to wait after so many restarts: it doubles, up to an hour."""
    return min(FIRST_PAUSE * 2.0 ** min(max(restarts - 1, 0), 30), LONGEST_PAUSE)


def treat(
    courses: Mapping[str, Course],
    seen: Mapping[str, Vitals],
    now: float,
    *,
    lag_limit: int,
    lag_seconds: float,
    hold: bool = False,
) -> Treatment:
    """Decide on each process that was seen; with `hold`, as a restart is under way, nothing is restarted.

    One that is behind and catches up is sick, and is left to catch up: a restart would only hold it up.
    """
    after: dict[str, Course] = {}
    sick, restart, well = [], [], []
    for name, vitals in seen.items():
        course = _follow(courses.get(name, Course(since=now)), vitals, now, lag_limit)
        if course.condition == WELL:
            well.append(name)
        patience = DEAD_AFTER if course.condition == DEAD else lag_seconds
        if course.condition in (DEAD, LAGGING) and now - course.since >= patience:
            sick.append(name)
            catching_up = course.condition == LAGGING and (vitals.lag or 0) < course.first_lag
            rested = not course.restarts or now - course.last_restart >= pause(course.restarts)
            if rested and not catching_up and not hold:
                restart.append(name)
                course = replace(course, restarts=course.restarts + 1, last_restart=now)
        after[name] = course
    return Treatment(after, tuple(sick), tuple(restart), tuple(well))


def _follow(course: Course, vitals: Vitals, now: float, lag_limit: int) -> Course:
    found = condition(vitals, lag_limit)
    if found != course.condition:
        return replace(course, condition=found, since=now, first_lag=vitals.lag or 0)
    if found == WELL and course.restarts and now - course.since >= FORGET_AFTER:
        return replace(course, restarts=0, last_restart=0.0)
    return course


def read_courses(text: str | None) -> dict[str, Course]:
    """Read what `write_courses` wrote; anything else starts over."""
    try:
        return {str(name): Course(**told) for name, told in json.loads(text or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def write_courses(courses: Mapping[str, Course]) -> str:
    """Return the cursor as Dagster keeps it."""
    return json.dumps({name: asdict(course) for name, course in courses.items()}, sort_keys=True)
