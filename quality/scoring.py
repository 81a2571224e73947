"""Score a day in the warehouse: measure, compute, and write as new revisions what changed since it was scored last."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.dataset import Dataset
from contracts.scores import BAR_SCORES, DEDUCTIONS, DIMENSIONS, SCORES
from quality.findings import Bar, Context, Counted, Instrument, bar_findings, day_findings
from quality.measures import Measures, read_measures
from quality.score import Deduction, Score, deductions_of, score_of
from stores.arrow import arrow_schema
from stores.seals import sealed_datasets
from stores.warehouse import Warehouse

# The streams recompute a bar in the write after its trades; what is younger than this may be on its way.
SETTLING = timedelta(seconds=60)
# Hourly runs look at what changed since well before the last of them.
CHANGED_WITHIN = timedelta(hours=3)
_VALUES = ("score", *DIMENSIONS)


@dataclass(frozen=True)
class InstrumentScore:
    """The score of an instrument's day with everything that was deducted."""

    venue: str
    instrument: str
    score: Score
    deductions: tuple[Deduction, ...]

    @property
    def worst_first(self) -> tuple[Deduction, ...]:
        """The deductions, largest first."""
        return tuple(sorted(self.deductions, key=lambda one: (-one.deducted, one.reason)))


@dataclass(frozen=True)
class DayScores:
    """The scores of a day, worst first; the counts are of the rows that were new."""

    day: date
    scores: tuple[InstrumentScore, ...]
    bar_count: int
    written_scores: int = 0
    written_deductions: int = 0
    written_bar_scores: int = 0

    def below(self, minimum: Decimal) -> tuple[InstrumentScore, ...]:
        """Return those that do not reach the minimum."""
        return tuple(one for one in self.scores if one.score.score < minimum)


def compute(measures: Measures, counted: Counted) -> tuple[tuple[InstrumentScore, ...], dict[Bar, Score]]:
    """Return the scores of the day's instruments, worst first, and of its bars."""
    context = Context(measures, counted)
    scores = []
    for (venue, instrument), findings in day_findings(context):
        deductions = deductions_of(findings)
        scores.append(InstrumentScore(venue, instrument, score_of(deductions), deductions))
    bars = {bar: score_of(deductions_of(findings)) for bar, findings in bar_findings(context)}
    return tuple(sorted(scores, key=lambda one: (one.score.score, one.venue, one.instrument))), bars


def score_day(
    warehouse: Warehouse,
    query: Callable[[str], str],
    day: date,
    *,
    counted: Counted,
    venue: str = "",
    now: datetime | None = None,
) -> DayScores:
    """Score a day, of one venue or of all, and write what changed; run again on the same data it writes nothing.

    `query` returns the text of a named query; `counted` names by venue the series whose trade ids have no holes. A day
    of which anything is sealed keeps the scores that it has: what they were measured by is gone.
    """
    if sealed_datasets(warehouse, day) & {dataset.name for dataset in (*MARKET, BARS)}:
        return stored_scores(warehouse, day, venue)
    now = now or datetime.now(UTC)
    scores, bars = compute(read_measures(warehouse, query, day, now - SETTLING), counted)
    if venue:
        scores = tuple(one for one in scores if one.venue == venue)
        bars = {bar: score for bar, score in bars.items() if bar.venue == venue}
    new_scores, new_deductions = _changed_scores(warehouse, day, scores)
    new_bars = _changed_bars(warehouse, day, bars)
    # The score comes last: a reader who sees it finds what it lost.
    for dataset, rows in ((DEDUCTIONS, new_deductions), (BAR_SCORES, new_bars), (SCORES, new_scores)):
        _write(warehouse, dataset, rows, now)
    return DayScores(day, scores, len(bars), len(new_scores), len(new_deductions), len(new_bars))


def stored_scores(warehouse: Warehouse, day: date, venue: str = "") -> DayScores:
    """Return the scores of a day as they are stored, worst first."""
    at = "WHERE day_time = toDateTime64({day:Date}, 6, 'UTC') AND ({venue:String} = '' OR venue = {venue:String})"
    asked = {"day": day, "venue": venue}
    lost: dict[tuple[str, str], list[Deduction]] = {}
    for of_venue, instrument, *values in warehouse.rows(
        f"SELECT venue, instrument, {', '.join(Deduction.__slots__)} FROM {DEDUCTIONS.table}_current {at}", asked
    ):
        lost.setdefault((of_venue, instrument), []).append(Deduction(*values))
    found = warehouse.rows(f"SELECT venue, instrument, {', '.join(_VALUES)} FROM {SCORES.table}_current {at}", asked)
    scores = [InstrumentScore(v, i, Score(*values), tuple(lost.get((v, i), ()))) for v, i, *values in found]
    bars = int(
        warehouse.value(
            f"SELECT uniqExact(venue, instrument, id_space, bar_time) FROM {BAR_SCORES.table} "
            "WHERE toDate(bar_time) = {day:Date} AND ({venue:String} = '' OR venue = {venue:String})",
            asked,
        )
    )
    return DayScores(day, tuple(sorted(scores, key=lambda one: (one.score.score, one.venue, one.instrument))), bars)


def last_day(warehouse: Warehouse) -> date | None:
    """Return the last day with bars; None when there are none."""
    found: list[tuple[date, ...]] = warehouse.rows(f"SELECT toDate(max(bar_time)) FROM {BARS.table} HAVING count() > 0")
    return found[0][0] if found else None


def recent_days(warehouse: Warehouse, now: datetime) -> list[date]:
    """Return the days whose bars changed in the last hours, oldest first: today's, and those that late trades met."""
    found = warehouse.rows(
        f"SELECT DISTINCT toDate(bar_time) AS day FROM {BARS.table} "
        "WHERE known_time >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') ORDER BY day",
        {"since": int((now - CHANGED_WITHIN).timestamp() * 1_000_000)},
    )
    return [day for (day,) in found]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _changed_scores(
    warehouse: Warehouse, day: date, scores: Sequence[InstrumentScore]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    at = "WHERE day_time = toDateTime64({day:Date}, 6, 'UTC')"
    known: dict[Instrument, tuple[int, tuple[Decimal, ...]]] = {
        Instrument(*row[:2]): (row[2], row[3:])
        for row in warehouse.rows(
            f"SELECT venue, instrument, revision, {', '.join(_VALUES)} FROM {SCORES.table}_current {at}", {"day": day}
        )
    }
    lost: dict[Instrument, set[tuple[Any, ...]]] = {}
    for row in warehouse.rows(
        f"SELECT venue, instrument, reason, affected, total, weight, detail FROM {DEDUCTIONS.table}_current {at}",
        {"day": day},
    ):
        lost.setdefault(Instrument(*row[:2]), set()).add(row[2:])
    new_scores, new_deductions = [], []
    for one in scores:
        key = Instrument(one.venue, one.instrument)
        revision, values = known.get(key, (0, ()))
        told = {(d.reason, d.affected, d.total, d.weight, d.detail) for d in one.deductions}
        if values == one.score.values and lost.get(key, set()) == told:
            continue
        whose = {**key._asdict(), "day_time": _midnight(day), "revision": revision + 1}
        new_scores.append(whose | dict(zip(_VALUES, one.score.values, strict=True)))
        new_deductions += [whose | {name: getattr(d, name) for name in d.__slots__} for d in one.deductions]
    return new_scores, new_deductions


def _changed_bars(warehouse: Warehouse, day: date, bars: dict[Bar, Score]) -> list[dict[str, Any]]:
    known: dict[Bar, tuple[int, tuple[Decimal, ...]]] = {
        Bar(*row[:4]): (row[4], row[5:])
        for row in warehouse.rows(
            # Not through the view, which would read the bars of all days.
            f"SELECT venue, instrument, id_space, intDiv(toUnixTimestamp64Micro(bar_time), 60000000), revision, "
            f"{', '.join(_VALUES)} FROM {BAR_SCORES.table} "
            "WHERE bar_time >= toDateTime64({day:Date}, 6, 'UTC') "
            "AND bar_time < toDateTime64({day:Date} + 1, 6, 'UTC') "
            "ORDER BY venue, instrument, id_space, bar_time, revision DESC, known_time DESC "
            "LIMIT 1 BY venue, instrument, id_space, bar_time",
            {"day": day},
        )
    }
    rows = []
    for bar, score in bars.items():
        revision, values = known.get(bar, (0, ()))
        if values != score.values:
            whose = {"venue": bar.venue, "instrument": bar.instrument, "id_space": bar.id_space}
            when = {"bar_time": bar.minute * 60_000_000, "revision": revision + 1}
            rows.append(whose | when | dict(zip(_VALUES, score.values, strict=True)))
    return rows


def _write(warehouse: Warehouse, dataset: Dataset, rows: Iterable[dict[str, Any]], now: datetime) -> None:
    table = pa.Table.from_pylist([row | {"known_time": now} for row in rows], schema=arrow_schema(dataset.columns))
    if table.num_rows:
        warehouse.insert(dataset.table, table, token=f"{dataset.name}:{secrets.token_hex(8)}")
