"""Where a page of Data Docs lies, without Great Expectations, which takes seconds to import."""

from datetime import date
from pathlib import Path

BATCH = "day"


def page_of(suite: str, day: date) -> Path:
    """Return where Great Expectations writes the page of a suite's day, from the folder of Data Docs on.

    A suite that all venues were asked by has its dataset's name.
    """
    return Path("validations", *suite.split("."), str(day), f"{day:%Y%m%d}T000000.000000Z", f"{BATCH}.html")
