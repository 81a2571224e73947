"""What must hold before a day goes: its rollups agree with it, its parity passed and is of the rows that are there."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.dataset import Dataset
from contracts.parity import PARITY
from contracts.retention import Retention
from contracts.tape import TAPE
from contracts.trades import TRADES
from stores.columns import content_hash
from stores.warehouse import Warehouse, literal

_CLOCKS = {TRADES: "event_time"}


def day_span(clock: str, days: Sequence[date]) -> str:
    """Return the condition that the time in a column lies on one of the days; days that follow each other are one."""
    ordered = sorted(days)
    starts = [ordered[0], *(after for before, after in pairwise(ordered) if after - before > timedelta(days=1))]
    ends = [*(before for before, after in pairwise(ordered) if after - before > timedelta(days=1)), ordered[-1]]

    def at(day: date) -> str:
        return f"toDateTime64('{datetime.combine(day, time()):%Y-%m-%d %H:%M:%S}', 6, 'UTC')"

    spans = [
        f"({clock} >= {at(start)} AND {clock} < {at(end + timedelta(days=1))})"
        for start, end in zip(starts, ends, strict=True)
    ]
    return f"({' OR '.join(spans)})"


def why_kept(warehouse: Warehouse, rule: Retention, days: Sequence[date], venue: str = "") -> str:
    """Say why days may not go yet; nothing where they may."""
    if rule.dataset is TAPE:
        return _tape(warehouse, days, venue)
    reasons = [_rolled_up(warehouse, rule, days, rollup) for rollup in rule.rollups]
    if rule.dataset in (TRADES, BARS):
        reasons.append(_provisional(warehouse, days))
    return next((one for one in [*reasons, _proven(warehouse, rule, days)] if one), "")


def _source(dataset: Dataset, days: Sequence[date]) -> str:
    """Return the rows of the days as they are known now, as a relation."""
    if dataset is BARS:
        # Not through the view, which would read the bars of all days.
        return (
            f"(SELECT * FROM (SELECT * FROM {BARS.table} WHERE {day_span('bar_time', days)} "
            "ORDER BY venue, instrument, id_space, bar_time, revision DESC "
            "LIMIT 1 BY venue, instrument, id_space, bar_time) WHERE state != 'withdrawn')"
        )
    clock = _CLOCKS.get(dataset, "bar_time")
    final = "FINAL" if dataset is TRADES else ""
    return f"(SELECT * FROM {dataset.table} {final} WHERE {day_span(clock, days)})"


def _rolled_up(warehouse: Warehouse, rule: Retention, days: Sequence[date], rollup: Dataset) -> str:
    """Hold the trades of every series' day against those that its bars count."""
    series = "venue, instrument, id_space, day"

    def counted(dataset: Dataset) -> str:
        clock = _CLOCKS.get(dataset, "bar_time")
        return (
            f"(SELECT venue, instrument, id_space, toDate({clock}) AS day, sum(source.trade_count) AS trades "
            f"FROM {_source(dataset, days)} AS source GROUP BY {series})"
        )

    found = warehouse.rows(
        f"SELECT {series}, s.trades, r.trades FROM {counted(rule.dataset)} AS s LEFT JOIN {counted(rollup)} AS r "
        f"USING ({series}) WHERE s.trades != r.trades ORDER BY day, venue, instrument LIMIT 1 "
        "SETTINGS join_use_nulls = 0"
    )
    if not found:
        return ""
    venue, instrument, _, day, wanted, held = found[0]
    return f"{rollup.name} holds {held:,} of {wanted:,} trades of {venue} {instrument} on {day}: tapehouse backfill"


def _provisional(warehouse: Warehouse, days: Sequence[date]) -> str:
    count = int(warehouse.value(f"SELECT count() FROM {_source(BARS, days)} WHERE state = 'provisional'"))
    return f"{count:,} of its bars are still provisional" if count else ""


def _proven(warehouse: Warehouse, rule: Retention, days: Sequence[date]) -> str:
    proof = rule.proof
    if rule.dataset is not proof:
        # Its own rows are on no tape; those that they are made from were proven while they were there.
        return _parity(warehouse, proof.name, days)
    source = _source(proof, days) if proof is BARS else f"{proof.table} FINAL"
    days_time = f"toStartOfDay({rule.clock}, 'UTC')"
    found = warehouse.rows(
        "SELECT toDate(day_time), venue, instrument, known.equal, rows, streamed_count FROM "
        f"(SELECT venue, instrument, {days_time} AS day_time, toInt64(count()) AS rows, sum({content_hash(proof)}) AS "
        f"hash FROM {source} WHERE {day_span(rule.clock, days)} GROUP BY venue, instrument, day_time) AS held "
        "LEFT JOIN (SELECT venue, instrument, toStartOfDay(day_time, 'UTC') AS day_time, equal, streamed_count, "
        f"streamed_hash, revision FROM {PARITY.table}_current WHERE dataset = {literal(proof.name)} "
        f"AND {day_span('day_time', days)}) AS known USING (venue, instrument, day_time) "
        "WHERE known.equal != 1 OR rows != streamed_count OR hash != streamed_hash "
        "ORDER BY 1, 2, 3 LIMIT 1 SETTINGS join_use_nulls = 0"
    )
    if not found:
        return ""
    day, venue, instrument, equal, rows, streamed = found[0]
    if equal:
        return f"{venue} {instrument} changed on {day} since it was proven: {streamed:,} rows then, {rows:,} now"
    return f"the parity of {venue} {instrument} on {day} has not passed: tapehouse rebuild --day {day}"


def _parity(warehouse: Warehouse, dataset: str, days: Sequence[date]) -> str:
    proven = warehouse.rows(
        f"SELECT toDate(day_time) AS day, min(equal) FROM {PARITY.table}_current WHERE dataset = {{dataset:String}} "
        f"AND {day_span('day_time', days)} GROUP BY day",
        {"dataset": dataset},
    )
    passed = {day for day, equal in proven if equal}
    missing = sorted(set(days) - passed)
    return (
        f"the parity of {dataset} on {missing[0]} has not passed: tapehouse rebuild --day {missing[0]}"
        if missing
        else ""
    )


def _tape(warehouse: Warehouse, days: Sequence[date], venue: str) -> str:
    """Hold a day of receipt: every day of which something was received must have been proven while the tape was there.

    What was retired itself was proven before.
    """
    for dataset in MARKET:
        received = warehouse.rows(
            f"SELECT DISTINCT toDate(event_time) AS day FROM {dataset.table} WHERE venue = {literal(venue)} "
            f"AND {day_span('received_time', days)} ORDER BY day"
        )
        proven = warehouse.rows(
            f"SELECT toDate(day_time) AS day FROM {PARITY.table}_current WHERE dataset = {literal(dataset.name)} "
            f"AND venue = {literal(venue)} GROUP BY day HAVING min(equal) = 1"
        )
        missing = sorted({day for (day,) in received} - {day for (day,) in proven})
        if missing:
            return f"the parity of {dataset.name} on {missing[0]} has not passed: tapehouse rebuild --day {missing[0]}"
    return ""
