"""Recorded history as typed rows: what a reader of files hands to a check of them, or to an import.

A frame always has `line` (the source's line, from 1; in a JSON list or Parquet file the row's number) and, except where
said otherwise, `time` (microseconds, UTC; a plain date is midnight UTC). Prices and quantities are Decimal(38, 18).
Columns that a source lacks are absent; cells that it leaves blank are null.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

DIGITS, SCALE = 38, 18

# By kind the columns that every frame of it has, then those that it may have.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bars": (
        ("time", "close"),
        ("open", "high", "low", "volume", "trade_count", "vwap", "adjusted", "dividend", "split"),
    ),
    "quote_bars": (
        ("time", "bid_open", "bid_high", "bid_low", "bid_close", "ask_open", "ask_high", "ask_low", "ask_close"),
        ("bid_quantity", "ask_quantity"),
    ),
    "trades": (
        ("time", "price"),
        ("quantity", "trade_id", "side", "received_time", "exchange", "condition", "suspicious"),
    ),
    "quotes": (
        ("time", "bid_price", "ask_price"),
        ("bid_quantity", "ask_quantity", "received_time", "exchange", "condition", "suspicious"),
    ),
    "books": (
        ("time", "side", "price", "quantity", "snapshot"),
        ("received_time", "first_id", "last_id", "previous_id", "level"),
    ),
    "returns": (("time", "value"), ()),
    "open_interest": (("time", "quantity"), ()),
    # No time: a day's list of options; the first row, without strike, is the underlying.
    "universe": (
        ("expiry", "strike", "right", "open", "high", "low", "close", "volume", "open_interest"),
        ("implied_volatility", "delta", "gamma", "vega", "theta", "rho"),
    ),
    "factors": (("time", "price_factor", "split_factor"), ("reference_price",)),
    "maps": (("time", "ticker"), ("exchange",)),
    # What a raw feed's own parser found, without rows: gaps, checksums, refused payloads.
    "feed": ((), ()),
}
# The kinds that a user can name for a file of his own columns.
NAMED_KINDS = ("bars", "trades", "quotes", "books")


@dataclass(frozen=True)
class Recorded:
    """The rows of one instrument from one file, and its lines that could not be read.

    `unreadable` has line, raw and reason. `market` is crypto, equity, option or empty where nobody says; `width_s` how
    long a bar is (0: not told), `day` the day that the file's name tells, `zone` the clock of the exchange. `notes`
    hold what a reader saw beside the rows.
    """

    kind: str
    dataset: str
    instrument: str
    frame: "pl.DataFrame"
    unreadable: "pl.DataFrame"
    venue: str = ""
    market: str = ""
    width_s: int = 0
    day: date | None = None
    zone: str = "UTC"
    file: str = ""
    notes: Mapping[str, object] = field(default_factory=dict)
