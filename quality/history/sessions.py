"""When a market is open: exchange sessions, or around the clock."""

from datetime import date, timedelta
from functools import lru_cache

import polars as pl

UTC = pl.Datetime("us", "UTC")


@lru_cache(maxsize=16)
def sessions(first: date, last: date) -> pl.DataFrame:
    """Return the sessions of New York's stock exchange between two days: day, open and close (UTC)."""
    import exchange_calendars as xcals

    # A calendar of a few days has no session at all where these are holidays, which it refuses.
    calendar = xcals.get_calendar("XNYS", start=first - timedelta(days=10), end=last + timedelta(days=10))
    schedule = calendar.schedule
    return pl.DataFrame(
        {
            "day": [one.date() for one in schedule.index],
            "open": [one.to_pydatetime() for one in schedule["open"]],
            "close": [one.to_pydatetime() for one in schedule["close"]],
        },
        schema={"day": pl.Date, "open": UTC, "close": UTC},
    ).filter(pl.col("day").is_between(first, last))
