"""Keeps the bars equal to what the stored trades say: recomputes the touched minutes, closes those that are over."""

import itertools
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from spark.clocks import MINUTE, VenueClocks
from stores.warehouse import Warehouse, patiently, tuples

MINUTES_A_QUERY = 2000
SPANS_A_QUERY = 8
CELLS_APART = 30  # what lies further apart is read by itself
Series = tuple[str, str, str]  # venue, instrument, id space
Minute = tuple[str, str, str, int]  # venue, instrument, id space, start in microseconds


def _series_where(minutes: list[Minute], column: str) -> str:
    """Return a condition that the sort key and the time index can use: for each span of time the series that have it.

    Each condition is tried on every row, so there are few: where series differ much, their spans are made coarser. What
    is asked for beyond the minutes is read in vain and changes nothing.
    """
    grid = MINUTE
    while len(having := spans(minutes, grid)) > SPANS_A_QUERY:
        grid *= 4
    return " OR ".join(
        f"((venue, instrument, id_space) IN ({tuples(series)}) "
        f"AND {column} >= fromUnixTimestamp64Micro({low * grid}, 'UTC') "
        f"AND {column} < fromUnixTimestamp64Micro({(high + 1) * grid}, 'UTC'))"
        for (low, high), series in having.items()
    )


def spans(minutes: list[Minute], grid: int) -> dict[tuple[int, int], list[Series]]:
    """Return for each span of cells of a grid, both ends included, the series that have minutes in it."""
    cells: dict[Series, set[int]] = {}
    for venue, instrument, id_space, start in minutes:
        cells.setdefault((venue, instrument, id_space), set()).add(start // grid)
    having: dict[tuple[int, int], list[Series]] = {}
    for series, mine in cells.items():
        ordered = sorted(mine)
        low = ordered[0]
        for cell, following in itertools.pairwise([*ordered, ordered[-1] + CELLS_APART + 1]):
            if following - cell > CELLS_APART:
                having.setdefault((low, cell), []).append(series)
                low = following
    return having


def now_micros() -> int:
    """Read the wall clock in microseconds."""
    return time.time_ns() // 1000


def refresh(
    warehouse: Warehouse,
    query: str,
    minutes: Iterable[tuple[Minute, str]],
    *,
    known_time: int,
    trades: str = "market_trades",
    bars: str = "market_bars",
) -> None:
    """Recompute the bars of `minutes`, each with the state it is now in, and write what changed."""
    pending = sorted(minutes)
    for start in range(0, len(pending), MINUTES_A_QUERY):
        chunk = pending[start : start + MINUTES_A_QUERY]
        keys = [minute for minute, _ in chunk]
        text = query.format(
            touched=tuples([(*minute, state) for minute, state in chunk]),
            known_time=known_time,
            trades=trades,
            bars=bars,
            trades_where=_series_where(keys, "event_time"),
            bars_where=_series_where(keys, "bar_time"),
        )
        warehouse.run(text)


class BarKeeper:
    """Refreshes bars for the streams; safe to call from several queries' threads."""

    def __init__(self, warehouse: Warehouse, query_file: Path, clocks: VenueClocks) -> None:
        self._warehouse = warehouse
        self._query = query_file.read_text()
        self._clocks = clocks
        self._lock = threading.Lock()
        self._open: set[Minute] = set()

    def resume(self) -> None:
        """Pick up the clocks and the bars that were still provisional when the last process ended."""
        with self._lock:
            now = now_micros()
            for venue, newest in self._warehouse.rows(
                "SELECT venue, toUnixTimestamp64Micro(max(event_time)) FROM market_trades GROUP BY venue"
            ):
                self._clocks.hear(str(venue), int(newest), now)
            found = self._warehouse.rows(
                "SELECT venue, instrument, id_space, toUnixTimestamp64Micro(bar_time) "
                "FROM market_bars_current WHERE state = 'provisional'"
            )
            self._open = {(str(v), str(i), str(s), int(t)) for v, i, s, t in found}

    def update(self, touched: Iterable[Minute], newest: dict[str, int]) -> None:
        """Recompute the touched minutes and close the open ones that are over."""
        with self._lock:
            now = now_micros()
            for venue, event_time in newest.items():
                self._clocks.hear(venue, event_time, now)
            states = {m: self._clocks.state(m[0], m[3], now) for m in {*touched, *self._open}}
            due = {m: s for m, s in states.items() if s == "final" or m not in self._open} | {
                m: states[m] for m in touched
            }
            if due:
                patiently(lambda: refresh(self._warehouse, self._query, due.items(), known_time=now))
            self._open = {m for m, s in states.items() if s == "provisional"}

    def tick(self) -> None:
        """Close what silence has made final; call it now and then."""
        self.update([], {})
