"""What changed since the day before: rows, instruments, scores."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from contracts.bars import BARS
from contracts.books import BOOKS
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from stores.warehouse import Warehouse

Instrument = tuple[str, str]  # venue, instrument
# A score that moves by less is not news.
LEAST_CHANGE = Decimal("0.01")
_COUNTED = (TRADES, QUOTES, BOOKS, VENUE_BARS)


@dataclass(frozen=True)
class DaySummary:
    """A day in the numbers that are compared: rows by dataset and venue, who traded, scores."""

    rows: dict[tuple[str, str], int]
    instruments: frozenset[Instrument]
    scores: dict[Instrument, Decimal]


@dataclass(frozen=True)
class RowChange:
    """Rows of a venue's dataset on both days."""

    dataset: str
    venue: str
    before: int
    now: int

    @property
    def percent(self) -> float | None:
        """Return the change in per cent of before; None where there was nothing before."""
        return (self.now - self.before) / self.before * 100 if self.before else None


@dataclass(frozen=True)
class ScoreChange:
    """An instrument's score on both days."""

    venue: str
    instrument: str
    before: Decimal
    now: Decimal

    @property
    def difference(self) -> Decimal:
        """Return by how much the score rose."""
        return self.now - self.before


@dataclass(frozen=True)
class Changes:
    """The differences of a day from an earlier one; `since` None: there is no earlier one."""

    since: date | None = None
    adjacent: bool = False
    rows: tuple[RowChange, ...] = ()
    appeared: tuple[Instrument, ...] = ()
    disappeared: tuple[Instrument, ...] = ()
    scores: tuple[ScoreChange, ...] = ()


def compare(since: date, before: DaySummary, day: date, now: DaySummary) -> Changes:
    """Return how `day` differs from `since`: falling scores first, rows in the order of dataset and venue."""
    rows = [
        RowChange(dataset, venue, before.rows.get((dataset, venue), 0), now.rows.get((dataset, venue), 0))
        for dataset, venue in sorted({*before.rows, *now.rows})
    ]
    both = sorted(set(before.scores) & set(now.scores))
    moved = [ScoreChange(*one, before.scores[one], now.scores[one]) for one in both]
    return Changes(
        since,
        since == day - timedelta(days=1),
        tuple(rows),
        tuple(sorted(now.instruments - before.instruments)),
        tuple(sorted(before.instruments - now.instruments)),
        tuple(sorted((s for s in moved if abs(s.difference) >= LEAST_CHANGE), key=lambda s: s.difference)),
    )


def read_changes(warehouse: Warehouse, day: date) -> Changes:
    """Compare the day with the last earlier day that has bars."""
    since = _day_before(warehouse, day)
    if since is None:
        return Changes()
    return compare(since, _summary(warehouse, since), day, _summary(warehouse, day))


def _day_before(warehouse: Warehouse, day: date) -> date | None:
    found: date = warehouse.value(
        f"SELECT max(toDate(bar_time)) FROM {BARS.table}_current WHERE bar_time < toDateTime64({{day:Date}}, 6, 'UTC')",
        {"day": day},
    )
    # Of no rows the engine makes the epoch.
    return found if found.year > 1970 else None


def _summary(warehouse: Warehouse, day: date) -> DaySummary:
    parts = [
        f"SELECT '{dataset.name}' AS dataset, venue, count() AS found FROM {dataset.table} FINAL "
        "WHERE event_time >= toDateTime64({day:Date}, 6, 'UTC') AND event_time < toDateTime64({day:Date} + 1, 6, 'UTC')"
        " GROUP BY venue"
        for dataset in _COUNTED
    ]
    bars = (
        f"FROM {BARS.table}_current WHERE bar_time >= toDateTime64({{day:Date}}, 6, 'UTC') "
        "AND bar_time < toDateTime64({day:Date} + 1, 6, 'UTC')"
    )
    parts.append(f"SELECT '{BARS.name}', venue, count() {bars} GROUP BY venue")
    scored = warehouse.rows(
        "SELECT venue, instrument, score FROM system_scores_current WHERE toDate(day_time) = {day:Date}", {"day": day}
    )
    return DaySummary(
        {(str(d), str(v)): int(n) for d, v, n in warehouse.rows(" UNION ALL ".join(parts), {"day": day})},
        frozenset(
            (str(v), str(i)) for v, i in warehouse.rows(f"SELECT DISTINCT venue, instrument {bars}", {"day": day})
        ),
        {(str(v), str(i)): score for v, i, score in scored},
    )
