"""All checks that apply to a recorded series, one after another."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from contracts.history import Recorded
from quality.history import (
    across,
    cadence,
    clocks,
    granularity,
    moves,
    prices,
    quotes,
    reference,
    repeats,
    rollups,
    rows,
    sequences,
    units,
    volumes,
)
from quality.history.finding import SEVERITIES, Finding
from quality.history.view import View

ALONE: tuple[Callable[[View], Iterator[Finding]], ...] = (
    rows.unreadable_rows,
    rows.blank_values,
    rows.partly_blank_sides,
    rows.duplicates,
    rows.order,
    prices.ohlc_bounds,
    prices.price_signs,
    prices.volumes,
    prices.vwaps,
    units.unit_slips,
    cadence.missing_bars,
    cadence.unfinished_bar,
    granularity.off_grid,
    granularity.coarser_stretch,
    granularity.sums_of_neighbours,
    granularity.time_of_day,
    repeats.stale_bars,
    repeats.same_price,
    repeats.filled_up,
    repeats.repeated_block,
    moves.far_trades,
    volumes.volume_outliers,
    volumes.spread_outliers,
    clocks.receipt,
    clocks.minute_is_month,
    clocks.wrong_day,
    clocks.trading_hours,
    clocks.session_hours,
    quotes.crossed,
    quotes.one_sided,
    quotes.far_quotes,
    quotes.suspicious,
    quotes.books,
    sequences.trade_ids,
    sequences.update_chain,
    sequences.feed,
    reference.factors,
    reference.greeks,
)
WITH_OTHERS: tuple[Callable[[View, Sequence[View]], Iterator[Finding]], ...] = (
    moves.splits_and_jumps,
    moves.reference_prices,
    across.prices,
    across.copies,
    across.ends,
    across.joints,
    rollups.rollups,
    reference.universe,
    reference.names,
)
# A file of more instruments than this is told as a whole, check by check.
MANY = 10
NAMED = 20
FOLLOW_FROM_ZEROS = ("stale_repeat", "zero_volume", "non_positive_price", "ohlc_bounds")


def examine(series: Iterable[Recorded], others: Iterable[Recorded] = ()) -> list[Finding]:
    """Return what all checks find in the series of one file, worst first; `others` are those beside it."""
    views, beside = [View(one) for one in series], [View(one) for one in others]
    by_name: dict[str, list[View]] = defaultdict(list)
    for one in beside:
        by_name[one.recorded.instrument].append(one)
    found: list[Finding] = []
    for view in views:
        for alone in ALONE:
            found += alone(view)
        # Of a chain of a hundred contracts each looks at its own contract's other series alone.
        near = beside if len(views) <= MANY else by_name[view.recorded.instrument]
        siblings = [one for one in views if one is not view and one.recorded.instrument == view.recorded.instrument]
        siblings = [one for one in siblings if one.kind != view.kind]
        for check in WITH_OTHERS:
            found += check(view, [*near, *siblings])
    if len(views) > MANY:
        found = list(_gathered(found))
    found = _without_repeats(found)
    return sorted(found, key=lambda one: (-SEVERITIES.index(one.severity), one.check, one.instrument))


def _gathered(found: Iterable[Finding]) -> Iterator[Finding]:
    """Join the findings of one check on many instruments of a file."""
    by_check: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for one in found:
        by_check[one.check, one.severity].append(one)
    for (check, severity), ones in by_check.items():
        if len(ones) == 1:
            yield ones[0]
            continue
        since = min((one.since for one in ones if one.since), default=None)
        until = max((one.until for one in ones if one.until), default=None)
        evidence = {
            "instruments": len({one.instrument for one in ones}),
            "by_instrument": {one.instrument: one.rows for one in ones[:NAMED]},
            "first": ones[0].evidence,
        }
        total = sum(one.rows for one in ones)
        yield Finding(
            check, severity, ones[0].dataset, f"{evidence['instruments']} instruments", since, until, total, evidence,
            ones[0].deduction,
        )  # fmt: skip


def _without_repeats(found: Sequence[Finding]) -> list[Finding]:
    """Leave out what a stronger finding says of the same rows."""
    zeros = {one.instrument for one in found if one.check == "zeros_throughout"}
    kept: list[Finding] = []
    cut: set[tuple[str, int]] = set()
    copies = {one.instrument for one in found if one.check == "stale_file"}
    for one in found:
        if one.instrument in zeros and one.check in FOLLOW_FROM_ZEROS:
            continue
        if one.instrument in copies and one.check in ("clock_shift", "price_differs") and "against" in one.evidence:
            continue
        if one.check == "truncated_day" and one.since:
            # The day's clock and the other recording tell the same end.
            place = one.instrument, int(one.since.timestamp()) // 3600
            if "against" in one.evidence and any(name == place[0] and abs(hour - place[1]) <= 1 for name, hour in cut):
                continue
            cut.add(place)
        kept.append(one)
    return kept
