"""The audit finds what was taken away, altered or added behind its back, and says where."""

from typing import Any

import pytest

from assets.parity import run_audit
from stores.warehouse import Warehouse


@pytest.fixture
def delivered(road: Any, wait_until: Any) -> Any:
    road.play(road.records(50))
    wait_until(lambda: road.stored() == 50, "50 trades stored")
    road.platform.balances()
    return road


def findings(road: Any) -> set[tuple[str, int, int]]:
    report = run_audit(road.platform.settings.streams, wait_s=0)
    return {
        (row.check, row.missing, row.twice)
        for row in report.rows
        # Venues send heartbeats all the time; the newest are not in the lake yet.
        if (row.missing or row.twice) and not (row.check == "kafka to ledger" and row.topic.startswith("tape."))
    }


def test_a_row_that_is_gone_and_one_that_is_altered_are_missing(delivered: Any) -> None:
    warehouse = Warehouse(delivered.platform.warehouse)
    one = f"venue_sequence = {delivered.first_id + 7}"
    warehouse.run(f"CREATE TABLE audit_kept ENGINE = Memory AS SELECT * FROM market_trades FINAL WHERE {one}")
    try:
        warehouse.run(f"ALTER TABLE market_trades DELETE WHERE {one} SETTINGS mutations_sync = 2")
        assert findings(delivered) == {("ledger to table", 1, 0), ("tape to tables", 1, 0)}
        warehouse.run("INSERT INTO market_trades SELECT * REPLACE (price + 1 AS price) FROM audit_kept")
        assert findings(delivered) == {("ledger to table", 1, 0)}
        warehouse.run(f"ALTER TABLE market_trades DELETE WHERE {one} SETTINGS mutations_sync = 2")
    finally:
        warehouse.run("INSERT INTO market_trades SELECT * FROM audit_kept")
        warehouse.run("DROP TABLE audit_kept")
    assert findings(delivered) == set()


def test_a_row_that_no_payload_explains_is_found(delivered: Any) -> None:
    warehouse = Warehouse(delivered.platform.warehouse)
    one = f"venue_sequence = {delivered.first_id + 7}"
    warehouse.run(
        "INSERT INTO market_trades SELECT * REPLACE ('invented' AS trade_id, -1 AS kafka_offset) "
        f"FROM market_trades FINAL WHERE {one}"
    )
    assert findings(delivered) == {("ledger to table", 0, 1), ("tape to tables", 1, 0)}
    warehouse.run("ALTER TABLE market_trades DELETE WHERE trade_id = 'invented' SETTINGS mutations_sync = 2")
    assert findings(delivered) == set()


def test_a_range_entered_twice_is_found(delivered: Any) -> None:
    warehouse = Warehouse(delivered.platform.warehouse)
    copied = "SELECT * REPLACE (first_offset + 1 AS first_offset, 0 AS stored_count, 0 AS content_hash)"
    last = "sink = 'warehouse.market_trades' AND last_offset > first_offset ORDER BY closed_time DESC LIMIT 1"
    warehouse.run(f"INSERT INTO delivery_ledger {copied} FROM delivery_ledger FINAL WHERE {last}")
    (twice,) = findings(delivered)
    assert twice[:2] == ("kafka to ledger", 0)
    assert twice[2] >= 1
    warehouse.run(
        "ALTER TABLE delivery_ledger DELETE WHERE sink = 'warehouse.market_trades' AND stored_count = 0 "
        "AND duplicate_count = 0 AND content_hash = 0 AND read_count > 0 AND quarantined_count = 0 "
        "SETTINGS mutations_sync = 2"
    )
    assert findings(delivered) == set()
