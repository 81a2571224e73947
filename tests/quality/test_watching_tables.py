"""Silences learnt from stored receipts, gaps that stay open, and mutes, on a real warehouse."""

import secrets
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.dataset import Dataset, Type
from contracts.gaps import GAPS
from contracts.incidents import INCIDENTS
from contracts.ledger import LEDGER
from contracts.mutes import MUTES
from contracts.silences import SILENCES
from contracts.trades import TRADES
from quality.freshness import Series
from quality.habit import HOUR, Hour, hour_of_week
from quality.habit_store import learn_silences, read_habits
from quality.incidents import Finding, Findings, read_open, read_since, record
from quality.mutes import Mute, audible, read_mutes, write_mute
from quality.open_gaps import findings, read_gaps
from stores.arrow import arrow_schema
from stores.warehouse import Warehouse

SECOND = 1_000_000
QUERY = (Path(__file__).resolve().parents[2] / "sql" / "queries" / "silences.sql").read_text()
NOON = int(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()) * SECOND
SERIES = Series("v", "i", "market.trades")


@pytest.fixture(scope="module")
def database(new_database: Any) -> Any:
    return new_database("watching")


@pytest.fixture
def warehouse(database: Any) -> Warehouse:
    warehouse = Warehouse(database)
    for dataset in (TRADES, LEDGER, SILENCES, GAPS, INCIDENTS, MUTES):
        warehouse.run(f"TRUNCATE TABLE {dataset.table}")
    return warehouse


def put(warehouse: Warehouse, dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    zero = {Type.STRING: "", Type.TIMESTAMP: 0}
    blank = {c.name: zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(1) for c in dataset.columns}
    table = pa.Table.from_pylist([blank | row for row in rows], schema=arrow_schema(dataset.columns))
    warehouse.insert(dataset.table, table, token=secrets.token_hex(8))


def receive(warehouse: Warehouse, *times: int) -> None:
    base = {"venue": "v", "instrument": "i", "id_space": "s"}
    rows = [base | {"trade_id": str(t), "venue_sequence": t, "received_time": t, "kafka_offset": t} for t in times]
    put(warehouse, TRADES, rows)
    span = {"first_offset": min(times), "last_offset": max(times), "closed_time": max(times)}
    put(warehouse, LEDGER, [span | {"sink": "warehouse.market_trades"}])


def hours(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "SELECT intDiv(toUnixTimestamp64Micro(hour_time), 3600000000), silence_count, ordinary_ms, longest_ms "
        "FROM system_silences FINAL ORDER BY hour_time"
    )


def test_each_silence_counts_in_every_hour_that_it_touches_and_is_learnt_once(warehouse: Warehouse) -> None:
    hour = NOON // HOUR
    # Every ten seconds for the first half of an hour, then nothing for two hours.
    start = NOON - 4 * HOUR
    receive(warehouse, *(start + n * 10 * SECOND for n in range(180)), start + 2 * HOUR + 1790 * SECOND)
    learn_silences(warehouse, QUERY, NOON)
    wanted = [
        (hour - 4, 180, 10_000, 7_200_000),
        (hour - 3, 1, 7_200_000, 7_200_000),
        (hour - 2, 1, 7_200_000, 7_200_000),
    ]
    assert hours(warehouse) == wanted
    learn_silences(warehouse, QUERY, NOON + SECOND)
    assert warehouse.value("SELECT count() FROM system_silences") == 3, "nothing has changed"
    receive(warehouse, NOON - HOUR // 2)
    learn_silences(warehouse, QUERY, NOON + SECOND)
    assert [row[1] for row in hours(warehouse)] == [180, 1, 2, 1]
    habit = read_habits(warehouse, [SERIES], NOON)[SERIES]
    assert habit[hour_of_week(NOON - 4 * HOUR)] == Hour(180, 10_000)
    assert read_habits(warehouse, [Series("v", "other", "market.trades")], NOON) == {}


def test_the_usual_week_counts_not_the_one_with_an_outage(warehouse: Warehouse) -> None:
    week = 168 * HOUR
    rows = [
        {"venue": "v", "instrument": "i", "dataset": "market.trades", "hour_time": NOON - n * week}
        | {"silence_count": 100, "ordinary_ms": 1_000 if n != 2 else 10**7}
        for n in range(1, 12)
    ]
    put(warehouse, SILENCES, rows)
    assert read_habits(warehouse, [SERIES], NOON)[SERIES] == {hour_of_week(NOON): Hour(800, 1_000)}


def gap(number: int, state: str = "open", revision: int = 1, **more: Any) -> dict[str, Any]:
    named = {"venue": "v", "instrument": "i", "id_space": "spot.trade", "gap_number": number, "state": state}
    return named | {"revision": revision, "kind": "trade_ids", "missing_count": 3, "detail": "3 ids"} | more


def look(warehouse: Warehouse, now: int) -> list[tuple[str, str, int]]:
    standing = [one.subject for one in read_open(warehouse, ("gap",))]
    found = findings(read_gaps(warehouse, now), standing, now, open_after_s=900, page_of=lambda key: f"/{key}")
    record(warehouse, found, ("gap",), now)
    return [(one.state, one.severity, one.affected_rows) for one in read_since(warehouse, 0)]


def test_a_gap_that_stays_open_is_an_incident_of_its_series_until_it_is_filled(warehouse: Warehouse) -> None:
    minute = 60 * SECOND
    put(warehouse, GAPS, [gap(NOON), gap(NOON + minute), gap(NOON, instrument="j")])
    put(warehouse, GAPS, [gap(NOON, "filled", 2, instrument="j")])
    assert look(warehouse, NOON + 15 * minute) == []
    assert look(warehouse, NOON + 17 * minute) == [("open", "error", 6)]
    assert look(warehouse, NOON + 18 * minute) == [("open", "error", 6)]
    (one,) = read_open(warehouse)
    assert (one.subject, one.dataset, one.revision) == ("gap/v/i/spot.trade", "market.trades", 1)
    assert "/system/gaps" in one.evidence
    put(warehouse, GAPS, [gap(NOON, "unfillable", 2), gap(NOON + minute, "filled", 2, missing_count=0)])
    assert look(warehouse, NOON + 20 * minute) == [("open", "warn", 3)]
    assert look(warehouse, NOON + 25 * HOUR) == [("closed", "warn", 3)]
    (closed,) = read_since(warehouse, 0)
    assert closed.repair_s == 25 * 3600 - 17 * 60


def test_what_is_muted_is_told_when_the_mute_ends(warehouse: Warehouse) -> None:
    wrong = tuple(Finding(subject, "stale", subject, "look") for subject in ("stale/a/v/i", "stale/a/w/i"))
    record(warehouse, Findings(wrong), ("stale",), NOON)
    standing = read_open(warehouse)
    write_mute(warehouse, Mute("stale/*/v/*", NOON + HOUR, "maintenance", NOON))
    write_mute(warehouse, Mute(standing[0].incident_id, NOON + HOUR, "", NOON))
    mutes = read_mutes(warehouse, NOON)
    muted = {standing[0].subject, "stale/a/v/i"}
    assert {one.subject for one in standing} - {one.subject for one in audible(standing, mutes, NOON)} == muted
    assert audible(standing, mutes, NOON + HOUR) == standing
    for mute in mutes:
        write_mute(warehouse, Mute(mute.pattern, NOON + SECOND, "", NOON + SECOND))
    assert read_mutes(warehouse, NOON + SECOND) == []
