"""Read a day's facts from the warehouse. Answers are bounded: a page stays one, however busy the day."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.errors import TerminalError
from contracts.gaps import GAPS
from contracts.parity import NO_NUMBER, PARITY
from contracts.quarantine import QUARANTINE
from quality.report.changes import read_changes
from quality.report.facts import (
    DIMENSIONS,
    BarTotals,
    CheckOutcome,
    Deduction,
    Facts,
    Freshness,
    FreshnessView,
    Gap,
    GapGroup,
    Incident,
    RebuiltTable,
    Refusal,
    Sample,
    Score,
    Series,
)
from stores.warehouse import Warehouse, tuples

SERIES_PLOTTED = 12
GAPS_LISTED = 40
GAPS_SHADED = 500
REASONS_LISTED = 40
SAMPLES = 3
SAMPLE_CHARACTERS = 400
FEEDS_LISTED = 30
INCIDENTS_LISTED = 40
DEDUCTIONS_READ = 10_000

_BEGIN, _END = "toDateTime64({day:Date}, 6, 'UTC')", "toDateTime64({day:Date} + 1, 6, 'UTC')"
_OF_DAY = f"bar_time >= {_BEGIN} AND bar_time < {_END}"
# A silence that began before the day and ended in it, or after it, is the day's too.
_TOUCHES_DAY = f"from_time < {_END} AND to_time >= {_BEGIN}"
_HOLE = "state IN ('open', 'unfillable')"


def last_day(warehouse: Warehouse) -> date:
    """Return the last day that has bars."""
    found: date = warehouse.value(f"SELECT max(toDate(bar_time)) FROM {BARS.table}_current")
    if found.year <= 1970:
        raise TerminalError("no bars are stored yet, so there is no day to report on: make run plays recorded ones")
    return found


def read_facts(warehouse: Warehouse, day: date, *, min_score: Decimal, now: datetime | None = None) -> Facts:
    """Read what the report shows of a day; the audit is for the caller to add."""
    return Facts(
        day=day,
        made_time=now or datetime.now(UTC),
        min_score=min_score,
        totals=_totals(warehouse, day),
        scores=_scores(warehouse, day),
        gap_groups=_gap_groups(warehouse, day),
        gaps=_gaps(warehouse, day),
        refusals=_refusals(warehouse, day),
        freshness=_freshness(warehouse),
        series=_series(warehouse, day),
        checks=_checks(warehouse, day),
        incidents=_incidents(warehouse),
        changes=read_changes(warehouse, day),
        rebuild=_rebuild(warehouse, day),
    )


def _time(micros: Any) -> datetime:
    return datetime.fromtimestamp(int(micros) / 1_000_000, UTC)


def _timed(row: tuple[Any, ...], *places: int) -> list[Any]:
    """Return the row with microseconds at these places as times."""
    return [_time(value) if place in places else value for place, value in enumerate(row)]


def _totals(warehouse: Warehouse, day: date) -> BarTotals:
    bars, trades, provisional, *distinct = warehouse.rows(
        "SELECT count(), sum(trade_count), countIf(state != 'final'), uniqExact(venue, instrument, id_space), "
        f"uniqExact(venue, instrument), uniqExact(venue) FROM {BARS.table}_current WHERE {_OF_DAY}",
        {"day": day},
    )[0]
    corrected = warehouse.value(f"SELECT count() FROM ({_CORRECTED})", {"day": day})
    return BarTotals(bars, trades, provisional, corrected, *distinct)


# Every trade makes a revision while a minute lasts; one behind a final revision is a correction.
_CORRECTED = (
    f"SELECT venue, instrument, id_space, bar_time FROM {BARS.table} WHERE {_OF_DAY} "
    "GROUP BY venue, instrument, id_space, bar_time "
    "HAVING countIf(state = 'final') > 0 AND max(revision) > minIf(revision, state = 'final')"
)


def _scores(warehouse: Warehouse, day: date) -> tuple[Score, ...]:
    deductions: dict[tuple[str, str], list[Deduction]] = {}
    for venue, instrument, *fields in warehouse.rows(
        "SELECT venue, instrument, dimension, reason, affected, total, weight, deducted, detail "
        "FROM system_deductions_current WHERE toDate(day_time) = {day:Date} AND deducted > 0 "
        f"ORDER BY deducted DESC, dimension, reason LIMIT {DEDUCTIONS_READ}",
        {"day": day},
    ):
        deductions.setdefault((venue, instrument), []).append(Deduction(*fields))
    found = warehouse.rows(
        f"SELECT venue, instrument, score, toUnixTimestamp64Micro(known_time), {', '.join(DIMENSIONS)} "
        "FROM system_scores_current WHERE toDate(day_time) = {day:Date} ORDER BY score, venue, instrument",
        {"day": day},
    )
    return tuple(
        Score(v, i, score, tuple(dimensions), _time(known), tuple(deductions.get((v, i), ())))
        for v, i, score, known, *dimensions in found
    )


def _gap_groups(warehouse: Warehouse, day: date) -> tuple[GapGroup, ...]:
    return tuple(
        GapGroup(*row)
        for row in warehouse.rows(
            "SELECT venue, kind, state, count() AS gaps, sumIf(missing_count, missing_count > 0), "
            "countIf(missing_count < 0), sum(recovered_count) "
            f"FROM {GAPS.table}_current WHERE {_TOUCHES_DAY} GROUP BY venue, kind, state "
            f"ORDER BY {_HOLE} DESC, gaps DESC, venue, kind, state",
            {"day": day},
        )
    )


def _gaps(warehouse: Warehouse, day: date, where: str = "1", limit: int = GAPS_LISTED) -> tuple[Gap, ...]:
    found = warehouse.rows(
        "SELECT venue, instrument, id_space, kind, state, toUnixTimestamp64Micro(from_time) AS since, "
        "toUnixTimestamp64Micro(to_time) AS until, missing_count, recovered_count, attempt_count, repair_ms, "
        f"substringUTF8(toValidUTF8(detail), 1, 300) FROM {GAPS.table}_current WHERE {_TOUCHES_DAY} AND ({where}) "
        f"ORDER BY {_HOLE} DESC, until - since DESC, venue, instrument, id_space, since LIMIT {limit}",
        {"day": day},
    )
    return tuple(Gap(*_timed(row, 5, 6)) for row in found)


def _refusals(warehouse: Warehouse, day: date) -> tuple[Refusal, ...]:
    """Return what was refused of payloads received on the day, or while the day's rows were replayed later."""
    heard = " UNION ALL ".join(
        f"SELECT venue, received_time FROM {dataset.table} WHERE event_time >= {_BEGIN} AND event_time < {_END}"
        for dataset in MARKET
    )
    # Of a payload that could not be read the venue may be unknown; the set without columns is all venues' window.
    windows = (
        "SELECT venue, min(received_time) AS first_time, max(received_time) + INTERVAL 1 MINUTE AS last_time "
        f"FROM ({heard}) GROUP BY GROUPING SETS ((venue), ())"
    )
    text = f"substringUTF8(toValidUTF8(substring(payload, 1, {4 * SAMPLE_CHARACTERS})), 1, {SAMPLE_CHARACTERS})"
    found = warehouse.rows(
        f"""
        SELECT venue, dataset, reason, count() AS refused, groupArray({SAMPLES})(
            (toUnixTimestamp64Micro(received_time), topic, substringUTF8(toValidUTF8(detail), 1, 300), {text},
            length(payload)))
        FROM
        (
            SELECT q.*
            FROM {QUARANTINE.table} AS q FINAL LEFT JOIN ({windows}) AS w ON q.venue = w.venue
            WHERE (q.received_time >= {_BEGIN} AND q.received_time < {_END})
                OR (w.first_time >= {_END} AND q.received_time BETWEEN w.first_time AND w.last_time)
            ORDER BY q.received_time, q.topic_id, q.kafka_partition, q.kafka_offset, q.kafka_index
        )
        GROUP BY venue, dataset, reason ORDER BY refused DESC, venue, dataset, reason LIMIT {REASONS_LISTED}""",
        {"day": day},
    )
    return tuple(
        Refusal(venue, dataset, reason, count, tuple(Sample(_time(s[0]), *s[1:]) for s in samples))
        for venue, dataset, reason, count, samples in found
    )


def _freshness(warehouse: Warehouse) -> FreshnessView:
    counts = warehouse.rows("SELECT state, count() FROM system_freshness_current GROUP BY state ORDER BY state")
    found = warehouse.rows(
        "SELECT venue, instrument, dataset, toUnixTimestamp64Micro(last_event_time), cadence_ms, age_ms, state, "
        "toUnixTimestamp64Micro(known_time) FROM system_freshness_current "
        "ORDER BY state = 'stale' DESC, state = 'unknown' DESC, age_ms DESC, venue, instrument, dataset "
        f"LIMIT {FEEDS_LISTED}"
    )
    return FreshnessView(
        {str(state): int(count) for state, count in counts},
        tuple(Freshness(*_timed(row, 3, 7)) for row in found),
    )


def _series(warehouse: Warehouse, day: date) -> tuple[Series, ...]:
    """Return the largest series of every venue in turn, as many as are plotted, in the order of venue and size."""
    found = warehouse.rows(
        f"""
        SELECT * FROM
        (
            SELECT *, row_number() OVER (PARTITION BY venue ORDER BY turnover DESC, instrument, id_space) AS place
            FROM
            (
                SELECT venue, instrument, id_space, count() AS bars, sum(b.trade_count), countIf(b.state != 'final'),
                    argMin(b.open, b.bar_time), argMax(b.close, b.bar_time), sum(toFloat64(b.notional)) AS turnover
                FROM {BARS.table}_current AS b WHERE {_OF_DAY} GROUP BY venue, instrument, id_space
            )
        )
        ORDER BY place, venue LIMIT {SERIES_PLOTTED}""",
        {"day": day},
    )
    if not found:
        return ()
    chosen = sorted(found, key=lambda row: (row[0], row[-1]))
    keys = tuples([row[:3] for row in chosen])
    mine = f"(venue, instrument, id_space) IN ({keys})"
    points = _by_series(
        warehouse.rows(
            "SELECT venue, instrument, id_space, toUnixTimestamp64Micro(bar_time) AS at, toFloat64(close) "
            f"FROM {BARS.table}_current WHERE {_OF_DAY} AND {mine} ORDER BY at",
            {"day": day},
        )
    )
    corrected = _by_series(
        warehouse.rows(
            f"SELECT venue, instrument, id_space, toUnixTimestamp64Micro(bar_time) AS at FROM ({_CORRECTED}) "
            f"WHERE {mine} ORDER BY at",
            {"day": day},
        )
    )
    gaps = _gaps(warehouse, day, mine, GAPS_SHADED)
    read = []
    for row in chosen:
        key = row[:3]
        values: list[Any] = [
            *row[:8],
            tuple((_time(at), float(close)) for at, close in points.get(key, ())),
            tuple(_time(at) for (at,) in corrected.get(key, ())),
            tuple(gap for gap in gaps if (gap.venue, gap.instrument, gap.id_space) == key),
        ]
        read.append(Series(*values))
    return tuple(read)


def _by_series(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in rows:
        found.setdefault(row[:3], []).append(row[3:])
    return found


def _checks(warehouse: Warehouse, day: date) -> tuple[CheckOutcome, ...]:
    found = warehouse.rows(
        "SELECT venue, dataset, check_name, level, toBool(passed), checked_count, unexpected_count, sample, detail, "
        "toUnixTimestamp64Micro(known_time) FROM system_check_results_current WHERE toDate(day_time) = {day:Date} "
        "ORDER BY passed, level, dataset, check_name, venue",
        {"day": day},
    )
    return tuple(CheckOutcome(*_timed(row, 9)) for row in found)


def _incidents(warehouse: Warehouse) -> tuple[Incident, ...]:
    found = warehouse.rows(
        "SELECT incident_id, kind, dataset, venue, instrument, severity, toUnixTimestamp64Micro(opened_time) AS since, "
        "title, downstream, affected_rows, next_step FROM system_incidents_current WHERE state = 'open' "
        f"ORDER BY severity, since DESC, incident_id LIMIT {INCIDENTS_LISTED}"
    )
    return tuple(Incident(*_timed(row, 6)) for row in found)


def _rebuild(warehouse: Warehouse, day: date) -> tuple[RebuiltTable, ...] | None:
    """Return what the day's last rebuild came to, by table; None when there was none."""
    found = warehouse.rows(
        f"""
        SELECT dataset, sum(streamed_count), sum(rebuilt_count), count(), sum(equal), max(known),
            argMin((venue, instrument, first_difference), place), min(place)
        FROM
        (
            SELECT *, toUnixTimestamp64Micro(known_time) AS known,
                (equal, toUnixTimestamp64Micro(received_time), connection_id, message_number, message_index) AS place
            FROM {PARITY.table}_current WHERE day_time = {_BEGIN} AND (streamed_count > 0 OR rebuilt_count > 0)
        )
        GROUP BY dataset ORDER BY min(equal), dataset""",
        {"day": day},
    )
    tables = []
    for dataset, streamed, rebuilt, compared, same, known, (venue, instrument, text), place in found:
        equal, received, connection, number, index = place
        difference, position = ("", "") if equal else (f"{venue} {instrument}: {text}", "")
        if not equal and number != NO_NUMBER:
            at = f"{_time(received):%Y-%m-%d %H:%M:%S.%f}"
            position = f"connection {connection}, message {number}, index {index}, received {at}"
        told = RebuiltTable(dataset, streamed, rebuilt, compared, same, difference, position, _time(known))
        tables.append(told)
    return tuple(tables) or None
