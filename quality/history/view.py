"""A recorded series as checks look at it: as it stands, in order of time, and by the clock of its market."""

from datetime import date, time
from functools import cached_property
from typing import Any

import polars as pl

from contracts.history import Recorded
from quality.history.sessions import sessions

DAY_S = 86_400
# Fewer rows tell no cadence and no market.
FEWEST = 10
# Around the clock both days of the weekend make a seventh of all days; a tenth leaves room for holes.
WEEKEND_SHARE = 0.10
# Other markets share at most half of New York's holidays; where too few fall into the span, other days tell.
ENOUGH_HOLIDAYS, HOLIDAYS_KEPT = 4, 0.75
SESSION_SHARE = 0.985
# Around the clock bars are seen in every hour; a market with sessions leaves hours out.
HOURS_AROUND = 20


class View:
    """One recorded series; every property is worked out once."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.frame = recorded.frame
        self.kind = recorded.kind

    @cached_property
    def floats(self) -> pl.DataFrame:
        """The rows in the source's order, decimals as floats: for ratios, never for equality."""
        return self.frame.with_columns(pl.selectors.decimal().cast(pl.Float64))

    @cached_property
    def prices(self) -> list[str]:
        """The columns that hold prices."""
        names = ("open", "high", "low", "close", "price", "bid_price", "ask_price")
        sides = [f"{side}_{one}" for side in ("bid", "ask") for one in ("open", "high", "low", "close")]
        return [name for name in (*names, *sides) if name in self.frame.columns]

    @cached_property
    def priced(self) -> pl.DataFrame:
        """Rows in order of time with one positive `_price` each: close, price or the middle of bid and ask."""
        columns = self.floats.columns
        if "close" in columns:
            price = pl.col("close")
        elif "price" in columns:
            price = pl.col("price")
        elif "bid_close" in columns:
            price = _middle("bid_close", "ask_close")
        elif "bid_price" in columns:
            price = _middle("bid_price", "ask_price")
        else:
            return self.floats.clear().with_columns(_price=pl.lit(0.0))
        rows = self.floats.with_columns(_price=price).filter(pl.col("_price") > 0)
        return rows.sort("time", maintain_order=True)

    @cached_property
    def once(self) -> pl.DataFrame:
        """The priced rows, one a time: the first of them."""
        return self.priced.unique("time", keep="first", maintain_order=True)

    @cached_property
    def times(self) -> pl.Series:
        """Distinct times in order."""
        return self.frame["time"].drop_nulls().unique().sort()

    @cached_property
    def width_s(self) -> int:
        """How long a bar is, told or by the commonest step; 0 where rows are no bars or too few."""
        if self.kind not in ("bars", "quote_bars", "returns"):
            return 0
        if self.recorded.width_s:
            return self.recorded.width_s
        if len(self.times) < FEWEST:
            return 0
        steps = self.times.diff().drop_nulls().dt.total_seconds()
        return int(self.most(steps.filter(steps > 0)) or 0)

    @staticmethod
    def most(values: pl.Series) -> Any:
        """Return the commonest value, of several the least."""
        return values.mode().sort()[0] if len(values) else None

    @property
    def daily(self) -> bool:
        """Tell whether a row is a day."""
        return self.width_s == DAY_S

    @cached_property
    def days(self) -> pl.Series:
        """Distinct days, by the market's clock."""
        return self.local.dt.date().unique().sort()

    @cached_property
    def local(self) -> pl.Series:
        """Distinct times by the market's clock."""
        return self.times if self.width_s >= DAY_S else self.times.dt.convert_time_zone(self.zone)

    @cached_property
    def zone(self) -> str:
        """The market's clock."""
        return self.recorded.zone

    @cached_property
    def calendar(self) -> str:
        """Return `always`, `XNYS`, `weekdays` or empty where nothing tells when the market is open."""
        market = self.recorded.market
        if market in ("crypto", "cryptofuture"):
            return "always"
        if market in ("equity", "option"):
            return "XNYS" if self.american else ""
        if market:
            return ""
        if not self.width_s or self.width_s > DAY_S or len(self.days) < 2:
            return ""
        weekdays = self.days.dt.weekday()
        if self.width_s < DAY_S:
            if self.local.dt.hour().n_unique() >= HOURS_AROUND:
                return "always"
            return self._exchange() if len(self.days) >= 2 else ""
        if len(self.days) < FEWEST:
            return ""
        if all(float((weekdays == day).sum()) / len(weekdays) > WEEKEND_SHARE for day in (6, 7)):
            return "always"
        return self._exchange()

    def _exchange(self) -> str:
        first, last = self.span
        open_days = sessions(first, last)["day"]
        ours = self.days.filter(self.days.dt.weekday() <= 5)
        if not len(ours) or not len(open_days):
            return ""
        weekdays = pl.date_range(first, last, "1d", eager=True)
        closed = set(weekdays.filter(weekdays.dt.weekday() <= 5)) - set(open_days)
        if len(closed) >= ENOUGH_HOLIDAYS:
            kept = len(closed - set(ours)) / len(closed)
            return "XNYS" if kept >= HOLIDAYS_KEPT else "weekdays"
        return "XNYS" if float(ours.is_in(open_days.implode()).sum()) / len(ours) >= SESSION_SHARE else "weekdays"

    def in_session(self) -> pl.Expr:
        """Tell of a row's time whether it lies in New York's usual session; days always do."""
        if self.width_s >= DAY_S:
            return pl.lit(True)
        local = pl.col("time").dt.convert_time_zone("America/New_York").dt.time()
        return local.is_between(time(9, 30), time(16), closed="left")

    @property
    def american(self) -> bool:
        """Tell whether it is traded in New York's hours."""
        return self.recorded.market in ("equity", "option") and self.recorded.venue in ("usa", "")

    @cached_property
    def span(self) -> tuple[date, date]:
        """First and last day."""
        first, last = self.days[0], self.days[-1]
        return first, last

    @cached_property
    def sessions(self) -> pl.DataFrame:
        """New York's sessions from the first to the last day."""
        return sessions(*self.span)


def _middle(bid: str, ask: str) -> pl.Expr:
    both = (pl.col(bid) > 0) & (pl.col(ask) > 0)
    return pl.when(both).then((pl.col(bid) + pl.col(ask)) / 2).otherwise(None)
