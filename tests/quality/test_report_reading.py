"""What the report reads of a day in a real warehouse, and the command that writes its page."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from contracts.catalog import dataset as dataset_named
from contracts.dataset import Type
from contracts.errors import TerminalError
from orchestration.cli import app
from orchestration.prepare import MIGRATIONS
from quality.report.changes import Changes
from quality.report.facts import BarTotals, Facts
from quality.report.page import render
from quality.report.reading import last_day, read_facts
from quality.report.verdict import Level, judge
from stores.arrow import arrow_schema
from stores.migrations import migrate
from stores.warehouse import Warehouse

DAY = date(2022, 7, 2)
START = datetime(2022, 7, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ONE = Decimal("1.000000")


@pytest.fixture(scope="module")
def store(platform: Any) -> Iterator[Warehouse]:
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS report_test")
    server.run("CREATE DATABASE report_test")
    warehouse = Warehouse(replace(platform.warehouse, database="report_test"))
    migrate(warehouse, MIGRATIONS)
    yield warehouse
    server.run("DROP DATABASE report_test")


def micros(minutes: float) -> int:
    return int((START + minutes * MINUTE).timestamp() * 1_000_000)


def put(store: Warehouse, name: str, *rows: dict[str, Any]) -> None:
    dataset = dataset_named(name)
    zero = {Type.STRING: "", Type.TIMESTAMP: micros(0), Type.BYTES: b""}
    blank = {c.name: zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(0) for c in dataset.columns}
    table = pa.Table.from_pylist([blank | row for row in rows], schema=arrow_schema(dataset.columns))
    store.run(f"TRUNCATE TABLE {dataset.table}")
    if rows:
        store.insert(dataset.table, table, token=str(hash(str(rows))))


def read(store: Warehouse, day: date = DAY) -> Facts:
    return read_facts(store, day, min_score=Decimal("0.8"))


def bar(minute: float, instrument: str = "A", **more: Any) -> dict[str, Any]:
    price = dict.fromkeys(("open", "high", "low", "close"), Decimal(10))
    known = {"venue": "v", "instrument": instrument, "id_space": "s", "state": "final", "revision": 1, "volume": 1}
    return known | price | {"bar_time": micros(minute), "trade_count": 3, "notional": Decimal(10)} | more


def test_an_empty_warehouse_has_no_last_day_and_a_page_that_says_what_to_do(store: Warehouse) -> None:
    with pytest.raises(TerminalError, match="make run"):
        last_day(store)
    facts = read(store)
    assert judge(facts).level is Level.UNKNOWN
    page = render(facts)
    for command in ("score", "checks", "audit", "rebuild"):
        assert f"<code>tapehouse {command} --day 2022-07-02</code>" in page


def test_minutes_count_as_corrected_only_when_they_changed_after_they_were_final(store: Warehouse) -> None:
    growing = [bar(1, state="provisional"), bar(1, state="provisional", revision=2), bar(1, revision=3)]
    late = [bar(2), bar(2, revision=2, close=Decimal(12))]
    withdrawn = [bar(3), bar(3, revision=2, state="withdrawn")]
    running = [bar(5, "B", state="provisional")]
    put(store, "market.bars", *growing, *late, *withdrawn, *running, bar(-1), bar(1440))
    facts = read(store)
    assert facts.totals == BarTotals(3, 9, 1, 2, 2, 2, 1)
    first = facts.series[0]
    assert (first.instrument, first.bar_count, [p for _, p in first.points]) == ("A", 2, [10.0, 12.0])
    assert first.corrected == (START + 2 * MINUTE, START + 3 * MINUTE)
    assert last_day(store) == DAY + timedelta(days=1)


def test_every_venue_has_its_largest_series_plotted_however_large_those_of_another_are(store: Warehouse) -> None:
    large = [bar(1, f"I{n:02}", notional=Decimal(1000 + n)) for n in range(20)]
    put(store, "market.bars", *large, bar(1, "small", venue="w", notional=Decimal(1)))
    plotted = [(one.venue, one.instrument) for one in read(store).series]
    assert plotted == [*(("v", f"I{n:02}") for n in range(19, 8, -1)), ("w", "small")]


def test_gaps_that_touch_the_day_are_its_own_and_holes_come_first(store: Warehouse) -> None:
    def told(number: int, state: str, begin: float, end: float, missing: int = 0, **more: Any) -> dict[str, Any]:
        times = {"from_time": micros(begin), "to_time": micros(end)}
        known = {"venue": "v", "instrument": "A", "id_space": "s", "kind": "silence", "revision": 1}
        return known | times | {"gap_number": number, "state": state, "missing_count": missing} | more

    put(store, "market.bars", bar(1))
    put(
        store,
        "system.gaps",
        told(1, "filled", -20, 3, recovered_count=4),
        told(2, "open", 5, 7, 7),
        told(3, "unfillable", 8, 9, -1, id_space="other"),
        told(4, "open", 1439, 1500, -1),
        told(5, "open", -20, -1),
        told(6, "open", 1440, 1441),
    )
    facts = read(store)
    assert [one.from_time for one in facts.gaps] == [START + n * MINUTE for n in (1439, 5, 8, -20)]
    assert (facts.gap_count, facts.hole_count) == (4, 3)
    assert {group.state: group.missing for group in facts.gap_groups} == {
        "filled": "0",
        "open": "at least 7",
        "unfillable": "unknown",
    }
    # Another feed's gap says nothing about these trades.
    assert {one.id_space for one in facts.series[0].gaps} == {"s"}
    assert len(facts.series[0].gaps) == 3


def test_what_was_refused_is_that_of_the_day_or_of_its_replay(store: Warehouse) -> None:
    years = 365 * 1440

    def refused(offset: int, venue: str, minute: float, **more: Any) -> dict[str, Any]:
        known = {"dataset": "tape", "venue": venue, "reason": "unreadable", "kafka_offset": offset, "detail": "d"}
        return known | {"received_time": micros(minute), "payload": b"p"} | more

    trades = [(n, {"event_time": micros(n), "received_time": micros(years + n)}) for n in range(3)]
    rows = [{"venue": "replayed", "venue_sequence": n, "trade_id": str(n)} | times for n, times in trades]
    put(store, "market.trades", *rows)
    put(
        store,
        "system.quarantine",
        refused(1, "replayed", years + 1),
        refused(2, "replayed", years + 90),
        refused(3, "live", 5, payload="ü".encode() * 900 + b"\xff\x00"),
        refused(4, "live", 1500),
        refused(5, "", years + 1, reason="no_venue"),
        refused(6, "other", years + 1),
    )
    found = {(one.venue, one.reason): one for one in read(store).refusals}
    assert {key: one.row_count for key, one in found.items()} == {
        ("replayed", "unreadable"): 1,
        ("live", "unreadable"): 1,
        ("", "no_venue"): 1,
    }
    sample = found["live", "unreadable"].samples[0]
    assert (sample.payload, sample.byte_count) == ("ü" * 400, 1802)


def test_scores_come_worst_first_with_what_they_lost_and_the_last_outcomes_count(store: Warehouse) -> None:
    day = {"day_time": micros(0), "venue": "v"}
    put(
        store,
        "system.scores",
        day | {"instrument": "A", "revision": 1, "score": Decimal("0.3")},
        day | {"instrument": "A", "revision": 2, "score": Decimal("0.9"), "validity": Decimal("0.9")},
        day | {"instrument": "B", "revision": 1, "score": Decimal("0.5")},
        day | {"instrument": "C", "revision": 1, "score": Decimal("0.1"), "day_time": micros(1440)},
    )
    lost = day | {"dimension": "validity", "affected": 1, "total": 10, "weight": ONE}
    put(
        store,
        "system.deductions",
        lost | {"instrument": "A", "revision": 1, "reason": "old", "deducted": Decimal("0.7")},
        lost | {"instrument": "A", "revision": 2, "reason": "small", "deducted": Decimal("0.03")},
        lost | {"instrument": "A", "revision": 2, "reason": "large", "deducted": Decimal("0.07")},
        lost | {"instrument": "A", "revision": 2, "reason": "none", "deducted": Decimal(0)},
    )
    claim = day | {"dataset": "market.bars", "check_name": "holds", "level": "stop", "checked_count": 5}
    put(
        store,
        "system.check_results",
        claim | {"passed": 0, "unexpected_count": 2, "known_time": micros(1)},
        claim | {"passed": 1, "known_time": micros(2)},
        claim | {"check_name": "fails", "passed": 0, "known_time": micros(2)},
    )
    opened = {"incident_id": "1", "kind": "gap", "severity": "warn", "title": "t"}
    put(
        store,
        "system.incidents",
        opened | {"revision": 1, "state": "open"},
        opened | {"revision": 2, "state": "closed"},
        opened | {"incident_id": "2", "revision": 1, "state": "open", "severity": "error"},
    )
    facts = read(store)
    assert [(one.instrument, one.score) for one in facts.scores] == [("B", Decimal("0.5")), ("A", Decimal("0.9"))]
    assert [one.reason for one in facts.scores[1].deductions] == ["large", "small"]
    assert [(one.check_name, one.passed) for one in facts.checks] == [("fails", False), ("holds", True)]
    assert [one.incident_id for one in facts.incidents] == ["2"]


def test_the_last_rebuild_of_each_instrument_is_told_by_table_worst_first(store: Warehouse) -> None:
    def row(instrument: str, revision: int, equal: int, **more: Any) -> dict[str, Any]:
        told = {"venue": "v", "instrument": instrument, "dataset": "market.trades", "revision": revision}
        return told | {"streamed_count": 5, "rebuilt_count": 6, "equal": equal, "known_time": micros(revision)} | more

    put(store, "system.parity")
    assert read(store).rebuild is None
    wrong = {"first_difference": "price", "connection_id": "c", "message_number": 7, "message_index": 1}
    put(
        store, "system.parity", row("A", 1, 0), row("A", 2, 1), row("gone", 2, 1, streamed_count=0, rebuilt_count=0),
        row("B", 2, 0, **wrong, received_time=micros(3)), row("C", 2, 0, **wrong, received_time=micros(2)),
        row("A", 3, 1, dataset="market.bars"), row("A", 1, 0, day_time=micros(-1440)),
    )  # fmt: skip
    trades, bars = read(store).rebuild or ()
    assert (trades.table, trades.streamed_count, trades.rebuilt_count) == ("market.trades", 15, 18)
    assert (trades.equal_count, trades.instrument_count, trades.equal) == (1, 3, False)
    assert trades.first_difference == "v C: price"
    assert trades.tape_position == "connection c, message 7, index 1, received 2022-07-02 00:02:00.000000"
    assert (bars.equal, bars.first_difference, bars.tape_position) == (True, "", "")
    assert (trades.known_time, bars.known_time) == (START + 2 * MINUTE, START + 3 * MINUTE)
    assert judge(read(store)).level is Level.DISTRUST
    put(store, "system.parity")


def test_the_day_is_compared_with_the_last_earlier_one_that_has_bars(store: Warehouse) -> None:
    put(store, "market.bars", bar(1), bar(2), bar(1, "new"), bar(-3000), bar(-3000, "gone"), bar(1500, "later"))
    changes = read(store).changes
    assert (changes.since, changes.adjacent) == (date(2022, 6, 29), False)
    assert (changes.appeared, changes.disappeared) == ((("v", "new"),), (("v", "gone"),))
    assert [(row.before, row.now) for row in changes.rows if row.dataset == "market.bars"] == [(2, 3)]
    assert read(store, date(2022, 6, 29)).changes == Changes()


def test_the_command_writes_the_page_of_the_last_day_and_prints_facts_for_programs(
    store: Warehouse, platform: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, "market.bars", bar(1), bar(2))
    told = {"HOST": platform.warehouse.host, "PORT": str(platform.warehouse.port), "DATABASE": "report_test"}
    for name, value in told.items():
        monkeypatch.setenv(f"TAPEHOUSE_WAREHOUSE_{name}", value)
    monkeypatch.setenv("TAPEHOUSE_DATA_DIR", str(tmp_path))
    page = tmp_path / "reports" / "report-2022-07-02.html"
    done = CliRunner().invoke(app, ["report", "--no-audit"])
    assert done.exit_code == 0, done.output
    assert "2022-07-02:" in done.output
    assert page.name in done.output.replace("\n", "")
    assert "2 one-minute bars" in page.read_text()
    page.unlink()
    done = CliRunner().invoke(app, ["report", "--no-audit", "--json", "--day", "2022-07-02"])
    facts = json.loads(done.stdout)
    assert facts["facts"]["totals"]["bar_count"] == 2
    assert facts["verdict"]["level"] in {level.word for level in Level}
    assert not page.exists()
    done = CliRunner().invoke(app, ["report", "--no-audit", "--open-path", "--out", str(tmp_path / "mine.html")])
    assert done.stdout.strip() == (tmp_path / "mine.html").as_uri()
    assert (tmp_path / "mine.html").exists()
