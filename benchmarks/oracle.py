"""The right answer, by the straightest way: sort, take first and last, add up whole numbers. And what others said."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import polars as pl

from benchmarks.events import MINUTE, PRICE_DIGITS, QUANTITY_DIGITS, Events


class Bar(NamedTuple):
    """A minute of one instrument in whole numbers: prices of 10^-6, volume of 10^-8, notional of 10^-14."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    notional: int
    trade_count: int


DIGITS = Bar(PRICE_DIGITS, PRICE_DIGITS, PRICE_DIGITS, PRICE_DIGITS, QUANTITY_DIGITS, PRICE_DIGITS + QUANTITY_DIGITS, 0)
# By instrument's name and start of the minute in microseconds.
Bars = Mapping[tuple[str, int], Bar]


@dataclass(frozen=True)
class Oracle:
    """The bars with each trade once, and as they come out when repeats are counted again."""

    exact: Bars
    repeated: Bars

    def verdict(self, found: Bars) -> "Verdict":
        """Compare a system's bars with the right ones."""
        wrong = sum(1 for key, bar in self.exact.items() if found.get(key) != bar)
        more = len(found.keys() - self.exact.keys())
        if not wrong and not more:
            return Verdict(True, "exact")
        if found == self.repeated:
            return Verdict(False, f"repeats counted twice: {wrong:,} of {len(self.exact):,} bars differ")
        differs = sum(1 for key, bar in self.repeated.items() if found.get(key) != bar)
        lacking = len(self.exact.keys() - found.keys())
        return Verdict(
            False,
            f"{wrong:,} of {len(self.exact):,} bars differ ({differs:,} also when repeats count twice), "
            f"{lacking:,} lack, {more:,} too many",
        )


@dataclass(frozen=True)
class Verdict:
    """Whether every bar is right, and what is said about it."""

    correct: bool
    note: str


def right_answer(events: Events) -> Oracle:
    """Return the bars of all trades but those that only close the day."""
    frame = events.frame().filter(pl.Series(~events.closing))
    once = frame.unique(subset=["instrument", "sequence"], keep="first", maintain_order=True)
    return Oracle(_bars(once, events.names), _bars(frame, events.names))


def _bars(frame: pl.DataFrame, names: list[str]) -> Bars:
    found = (
        frame.with_columns(minute=pl.col("event_time") // MINUTE * MINUTE)
        .sort("event_time", "sequence")
        .group_by("instrument", "minute", maintain_order=True)
        .agg(
            open=pl.col("price").first(),
            high=pl.col("price").max(),
            low=pl.col("price").min(),
            close=pl.col("price").last(),
            volume=pl.col("quantity").cast(pl.Int128).sum(),
            notional=(pl.col("price").cast(pl.Int128) * pl.col("quantity")).sum(),
            trade_count=pl.len(),
        )
    )
    return {(names[row[0]], row[1]): Bar(*row[2:]) for row in found.iter_rows()}


def as_bar(values: Mapping[str, object]) -> Bar:
    """Read a bar whose numbers are decimals, as text or as numbers; ValueError when one has too many digits."""
    whole = []
    for name, digits in zip(Bar._fields, DIGITS, strict=True):
        number = Decimal(str(values[name])).scaleb(digits)
        if number != number.to_integral_value():
            raise ValueError(f"{name} is {values[name]}, which has more than {digits} digits after the point")
        whole.append(int(number))
    return Bar(*whole)
