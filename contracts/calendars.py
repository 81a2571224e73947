"""When exchanges are open: the sessions of trading calendars, as exchange_calendars knows them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from contracts.errors import TerminalError

# A calendar of days without a session is refused by the library.
AROUND = timedelta(days=31)


@dataclass(frozen=True)
class Session:
    """A session by the exchange's own date; opens and closes in UTC."""

    day: date
    opens: datetime
    closes: datetime


@lru_cache(maxsize=64)
def sessions_of(calendar: str, first: date, last: date) -> tuple[Session, ...]:
    """Return the sessions from first to last day, both included, in order; TerminalError for an unknown calendar."""
    held = _calendar(calendar, first, last)
    found = zip(held.sessions, held.opens, held.closes, strict=True)
    every = (Session(day.date(), opens.to_pydatetime(), closes.to_pydatetime()) for day, opens, closes in found)
    return tuple(session for session in every if first <= session.day <= last)


def zone_of(calendar: str, first: date, last: date) -> str:
    """Name the time zone of an exchange."""
    return str(_calendar(calendar, first, last).tz.key)


@lru_cache(maxsize=64)
def _calendar(name: str, first: date, last: date) -> Any:
    # Brings pandas along, which takes longer than all else here.
    import exchange_calendars as xcals

    try:
        return xcals.get_calendar(name, start=f"{first - AROUND}", end=f"{last + AROUND}")
    except xcals.errors.InvalidCalendarName as error:
        raise TerminalError(
            f"there is no trading calendar {name!r}; valid are the names of exchange_calendars, as XNYS, XNAS, XLON"
        ) from error
