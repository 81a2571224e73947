"""When silence is none: outside of an exchange's sessions, and while a venue is being maintained."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from contracts.calendars import sessions_of
from contracts.errors import TerminalError

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "day")
EVERY_DAY = "day"
Interval = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A venue's time of maintenance, each week or every day: when it begins (UTC) and how many minutes it takes."""

    venue: str
    day: str
    hour: int
    minute: int
    minutes: int


def parse_window(text: str) -> Window:
    """Read "VENUE DAY HH:MM MINUTES", as in "kraken tue 02:00 60"; DAY is mon to sun, or day for every one."""
    try:
        venue, day, begins, minutes = text.split()
        hour, minute = (int(part) for part in begins.split(":"))
        told = Window(venue, day, hour, minute, int(minutes))
    except ValueError:
        told = Window("", "", 24, 0, 0)
    if told.day not in DAYS or not (0 <= told.hour < 24 and 0 <= told.minute < 60 and 0 < told.minutes <= 1440):
        raise TerminalError(
            f'{text!r} is no maintenance window; valid: "VENUE DAY HH:MM MINUTES", as in "kraken tue 02:00 60"; '
            f"DAY is one of {', '.join(DAYS)}, MINUTES at most 1440"
        )
    return told


@dataclass(frozen=True)
class Closures:
    """The venues' calendars, by the names of exchange_calendars, and windows of maintenance; all others never close."""

    calendars: Mapping[str, str] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()

    def closed(self, venue: str, start: int, end: int) -> list[Interval]:
        """Return when the venue is closed between two times, in order and without overlaps."""
        found = [one for window in self.windows if window.venue == venue for one in _maintained(window, start, end)]
        if venue in self.calendars:
            found += _outside(self.calendars[venue], start, end)
        return _merged(found)


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / SECOND, UTC)


def _maintained(window: Window, start: int, end: int) -> Iterable[Interval]:
    day = _moment(start).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    while (begins := int(day.timestamp()) * SECOND + (window.hour * 60 + window.minute) * MINUTE) < end:
        if window.day in (EVERY_DAY, DAYS[day.weekday()]):
            yield begins, begins + window.minutes * MINUTE
        day += timedelta(days=1)


def _outside(calendar: str, start: int, end: int) -> Iterable[Interval]:
    """Return what lies between the sessions; of more days than asked for, so that there is always one."""
    first, last = _moment(start) - timedelta(days=10), _moment(end) + timedelta(days=10)
    at = start
    for session in sessions_of(calendar, first.date(), last.date()):
        opens, closes = (int(one.timestamp()) * SECOND for one in (session.opens, session.closes))
        if opens > at:
            yield at, opens
        at = max(at, closes)
        if at >= end:
            return
    yield at, end


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif start < end:
            merged.append((start, end))
    return merged
