"""From measures to findings: of each instrument's day, and of each bar. Pure; quality/score.py says what they cost."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from statistics import median
from typing import NamedTuple

from quality.cadence import silent_minutes
from quality.measures import Hole, Measures, Minute
from quality.pairs import Pair, pair_of
from quality.score import Finding

PRICE_TOLERANCE = Decimal("0.02")
DAY_MINUTES = 1440
NAMES_SHOWN = 5


class Instrument(NamedTuple):
    """An instrument of a venue."""

    venue: str
    instrument: str


class Bar(NamedTuple):
    """A minute of a series, numbered from the epoch."""

    venue: str
    instrument: str
    id_space: str
    minute: int


# By venue the series of trades whose ids count without holes: only there an id can tell that one is missing.
Counted = Mapping[str, Collection[str]]


class Context:
    """A day's measures, arranged for quick look-up."""

    def __init__(self, measures: Measures, counted: Counted) -> None:
        self.counted = counted
        self.first = int(datetime.combine(measures.day, time(), UTC).timestamp()) // 60
        self.last = self.first + DAY_MINUTES - 1
        self.minutes: dict[Instrument, list[Minute]] = defaultdict(list)
        self.spans: dict[str, tuple[int, int]] = {}
        for one in measures.minutes:
            self.minutes[Instrument(one.venue, one.instrument)].append(one)
            if one.trades:
                since, until = self.spans.get(one.venue, (one.minute, one.minute))
                self.spans[one.venue] = min(since, one.minute), max(until, one.minute)
        self.holes: dict[Instrument, list[Hole]] = defaultdict(list)
        for hole in measures.holes:
            self.holes[Instrument(hole.venue, hole.instrument)].append(hole)
        self.named: dict[tuple[Instrument, int], int] = defaultdict(int)
        self.unnamed: dict[tuple[str, int], int] = defaultdict(int)
        for refused in measures.refused:
            if refused.of_trades and refused.instruments:
                for name in refused.instruments:
                    self.named[Instrument(refused.venue, name), refused.minute] += refused.records
            else:
                self.unnamed[refused.venue, refused.minute] += refused.records
        self.repeats = {Bar(*one[:4]): one.share for one in measures.repeats}
        self.quotes = {(Instrument(one.venue, one.instrument), one.minute): one for one in measures.quotes}
        self.prices = _compared(measures.minutes)

    def counts(self, venue: str, id_space: str) -> bool:
        """Tell whether the ids of a series show what is missing."""
        return id_space in self.counted.get(venue, ())

    def unheard(self, hole: Hole) -> range:
        """Return the minutes of the day that a stretch without word touches."""
        return range(max(hole.from_minute, self.first), min(hole.to_minute, self.last) + 1)


def day_findings(context: Context) -> Iterator[tuple[Instrument, list[Finding]]]:
    """Return the findings of every instrument that traded; one that did not has no score."""
    by_instrument: dict[Instrument, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for (one, minute), records in context.named.items():
        by_instrument[one][minute] += records
    unread: dict[str, int] = defaultdict(int)
    for (venue, _), records in context.unnamed.items():
        unread[venue] += records
    shares: dict[Instrument, Decimal] = defaultdict(Decimal)
    for bar, share in context.repeats.items():
        shares[Instrument(bar.venue, bar.instrument)] += share
    quotes: dict[Instrument, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (one, _), told in context.quotes.items():
        count, crossed = quotes[one]
        quotes[one] = count + told.quotes, crossed + told.crossed
    for one, minutes in sorted(context.minutes.items()):
        trades = sum(minute.trades for minute in minutes)
        if trades:
            findings = [
                *_completeness(context, one, minutes, trades),
                *_validity(trades, sum(by_instrument[one].values()), unread[one.venue]),
                *_uniqueness(trades, sum(minute.twice for minute in minutes), shares[one]),
                *_timeliness(trades, sum(m.late for m in minutes), sum(m.very_late for m in minutes)),
                *_consistency(context, minutes, *quotes[one]),
            ]
            yield one, [finding for finding in findings if finding.affected]


def bar_findings(context: Context) -> Iterator[tuple[Bar, list[Finding]]]:
    """Return the findings of every bar, by the same reasons; those that take a whole day to see are left out."""
    for one, minutes in context.minutes.items():
        holes = context.holes.get(one, [])
        for minute in minutes:
            bar = Bar(*one, minute.id_space, minute.minute)
            findings = [*_bar_completeness(context, holes, minute)] if minute.trades else []
            if minute.trades:
                refused = context.named.get((one, minute.minute), 0), context.unnamed.get((one[0], minute.minute), 0)
                findings += _validity(minute.trades, *refused)
                findings += _uniqueness(minute.trades, minute.twice, context.repeats.get(bar, Decimal(0)))
                findings += _timeliness(minute.trades, minute.late, minute.very_late)
            told = context.quotes.get((one, minute.minute))
            findings += _consistency(context, [minute], *((told.quotes, told.crossed) if told else (0, 0)))
            yield bar, [finding for finding in findings if finding.affected]


def _completeness(context: Context, one: Instrument, minutes: list[Minute], trades: int) -> Iterator[Finding]:
    holes = context.holes.get(one, [])
    by_id = [hole for hole in holes if hole.kind == "trade_ids" and hole.missing > 0]
    missing = sum(hole.missing for hole in by_id)
    yield Finding("trades_missing", missing, trades + missing, f"{_states(by_id)}, by the venue's ids")
    unheard = {minute for hole in holes if hole.kind != "trade_ids" for minute in context.unheard(hole)}
    first, last = context.spans[one.venue]
    first, last = min([first, *unheard]), max([last, *unheard])
    span = last - first + 1
    yield Finding("minutes_not_heard", len(unheard), span, "the feed was silent or away, and no id tells what was lost")
    traded = {minute.minute for minute in minutes if minute.trades}
    silent = silent_minutes(traded, first, last) - unheard
    yield Finding("minutes_without_trades", len(silent), span, "in silences longer than three of its own cadences")
    unknown = [minute for minute in minutes if not context.counts(one.venue, minute.id_space)]
    series = ", ".join(sorted({minute.id_space for minute in unknown}))
    count = sum(minute.trades for minute in unknown)
    yield Finding("completeness_unknown", count, trades, f"{series}: no ids that would show a missing trade")


def _bar_completeness(context: Context, holes: list[Hole], minute: Minute) -> Iterator[Finding]:
    here = [h for h in holes if h.id_space == minute.id_space and h.from_minute <= minute.minute <= h.to_minute]
    # Nobody knows in which of its minutes a gap's trades were, so it counts whole in each.
    missing = sum(hole.missing for hole in here if hole.kind == "trade_ids" and hole.missing > 0)
    yield Finding("trades_missing", missing, minute.trades + missing)
    yield Finding("minutes_not_heard", int(any(hole.kind != "trade_ids" for hole in here)), 1)
    unknown = 0 if context.counts(minute.venue, minute.id_space) else minute.trades
    yield Finding("completeness_unknown", unknown, minute.trades)


def _validity(trades: int, refused: int, unread: int) -> Iterator[Finding]:
    yield Finding("trades_quarantined", refused, trades + refused, "trades of this instrument that broke a rule")
    yield Finding("payloads_unreadable", unread, trades + unread, "of the whole venue, naming no instrument for sure")


def _uniqueness(trades: int, twice: int, share: Decimal) -> Iterator[Finding]:
    yield Finding("trades_stored_twice", twice, trades, "rows with an id that another row has")
    repeats = int(share.to_integral_value(ROUND_HALF_UP))
    yield Finding("trades_heard_twice", repeats, trades + repeats, "told again by reconnects and refills, left out")


def _timeliness(trades: int, late: int, very_late: int) -> Iterator[Finding]:
    yield Finding("arrived_after_10_s", late, trades, "later than usual on this feed")
    yield Finding("arrived_after_60_s", very_late, trades, "their bar may have been final by then")


def _consistency(context: Context, minutes: list[Minute], quotes: int, crossed: int) -> Iterator[Finding]:
    differ = sum(minute.differs for minute in minutes)
    yield Finding("bars_differ_from_trades", differ, len(minutes), "bars that their stored trades do not give")
    compared = [
        off for minute in minutes if minute.trades and (off := context.prices.get(Bar(*minute[:4]))) is not None
    ]
    detail = f"close more than {PRICE_TOLERANCE * 100:.0f} % from the median of the other venues"
    if compared:
        yield Finding("price_off_other_venues", sum(compared), len(compared), detail)
    if quotes:
        yield Finding("quotes_crossed", crossed, quotes, "bid at or above ask")


def _compared(minutes: Iterable[Minute]) -> dict[Bar, bool]:
    """Tell of each bar that has a counterpart on another venue whether its close is off theirs."""
    closes: dict[tuple[Pair, int], dict[str, list[tuple[Bar, Decimal]]]] = defaultdict(lambda: defaultdict(list))
    for one in minutes:
        pair = pair_of(one.instrument)
        if pair and one.trades:
            closes[pair, one.minute][one.venue].append((Bar(*one[:4]), one.close))
    found: dict[Bar, bool] = {}
    for venues in closes.values():
        if len(venues) == 1:
            continue
        middle = {venue: median([close for _, close in told]) for venue, told in venues.items()}
        for venue, told in venues.items():
            others = median([price for other, price in middle.items() if other != venue])
            for bar, close in told:
                found[bar] = abs(close - others) > PRICE_TOLERANCE * others
    return found


def _states(holes: list[Hole]) -> str:
    states = sorted({hole.state for hole in holes})
    return f"{len(holes)} gaps {' and '.join(states)}"
