"""When a market is open: exchange sessions, or around the clock."""

from datetime import date
from functools import lru_cache

import polars as pl

from contracts.calendars import sessions_of

UTC = pl.Datetime("us", "UTC")


@lru_cache(maxsize=16)
def sessions(first: date, last: date) -> pl.DataFrame:
    """Return the sessions of New York's stock exchange between two days: day, open and close (UTC)."""
    found = sessions_of("XNYS", first, last)
    return pl.DataFrame(
        {
            "day": [one.day for one in found],
            "open": [one.opens for one in found],
            "close": [one.closes for one in found],
        },
        schema={"day": pl.Date, "open": UTC, "close": UTC},
    )
