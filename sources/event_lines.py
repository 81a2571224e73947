"""Events as JSON lines: decimals as plain strings with the digits that were sent, times in microseconds."""

from decimal import Decimal
from typing import Any

import orjson


def event_line(kind: str, row: dict[str, Any]) -> bytes:
    """Return the row as one line of JSON with its end; a book's levels are lists of price and quantity."""
    if "bid_prices" in row:
        row = row.copy()
        del row["kind"]  # the event says it
        row["bids"] = _levels(row.pop("bid_prices"), row.pop("bid_quantities"))
        row["asks"] = _levels(row.pop("ask_prices"), row.pop("ask_quantities"))
    line = orjson.dumps(row, str, orjson.OPT_APPEND_NEWLINE)
    # An exponent, or a name that looks like one.
    if b"E-" in line or b"E+" in line:
        line = orjson.dumps(row, _plain, orjson.OPT_APPEND_NEWLINE)
    return b'{"event":"%b",%b' % (kind.encode(), line[1:])


def _levels(prices: list[Decimal], quantities: list[Decimal]) -> list[tuple[str, str]]:
    return list(zip(_written(prices), _written(quantities), strict=True))


def _written(numbers: list[Decimal]) -> list[str]:
    # str() takes a third of format()'s time, and is the same where it writes no exponent.
    written = list(map(str, numbers))
    return written if "E" not in "".join(written) else list(map(_plain, numbers))


def _plain(number: Decimal) -> str:
    written = str(number)
    return written if "E" not in written else format(number, "f")
