"""Compaction of a real lake and warehouse: once, twice, while others write and read, and killed half-way."""

import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from contracts.dataset import Type
from contracts.tape import TAPE
from contracts.trades import TRADES
from stores.arrow import arrow_schema
from stores.columns import content_hash
from stores.compaction import (
    compact,
    compact_lake,
    lake_size,
    lake_work,
    merge_parts,
    vacuum_lake,
    warehouse_sizes,
    warehouse_work,
)
from stores.lake import archive_app, archived_offsets, open_tape, tape_path
from stores.settings import LakeSettings
from stores.tape_days import tape_parts
from stores.warehouse import Warehouse

DAY, TODAY = date(2026, 5, 1), date(2026, 5, 2)
ROOT = Path(__file__).resolve().parents[2]


def archive(lake: LakeSettings, number: int, day: date = DAY, rows: int = 20) -> None:
    """Append a small file as the archive does: with the offset that it ends at."""
    moment = datetime(day.year, day.month, day.day, 1, tzinfo=UTC)
    empty: dict[str, Any] = {
        c.name: {Type.STRING: "v", Type.TIMESTAMP: moment}.get(c.type, 0)  # type: ignore[arg-type]
        for c in TAPE.columns
    }
    made = [
        empty | {"payload": f"{number}-{n}".encode() * 50, "kafka_offset": number * rows + n, "topic_id": "T"}
        for n in range(rows)
    ]
    table = pa.Table.from_pylist(made, schema=arrow_schema(TAPE.columns))
    table = table.append_column("received_date", pa.array([day] * rows))
    done = CommitProperties(app_transactions=[Transaction(archive_app("T", 0), number * rows + rows - 1)])
    write_deltalake(
        tape_path(lake), table, mode="append", partition_by=["venue", "received_date"], commit_properties=done
    )


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    settings = LakeSettings(str(tmp_path / "lake"))
    for number in range(12):
        archive(settings, number)
    return settings


def test_days_that_are_over_lie_in_one_file_afterwards_and_hold_the_same(lake: LakeSettings) -> None:
    archive(lake, 12, TODAY)
    archive(lake, 13, TODAY)
    held, offsets = tape_parts(lake, "v", DAY), archived_offsets(lake, "T", 1)
    (work,) = lake_work(lake, TODAY)
    assert (work.partition, work.size.files, work.size.rows) == ("2026-05-01", 12, 240)
    old = open_tape(lake)
    assert old is not None
    compact_lake(lake, work)
    assert (tape_parts(lake, "v", DAY), archived_offsets(lake, "T", 1)) == (held, offsets)
    assert lake_size(lake).files == 3  # today's two are left alone
    assert lake_work(lake, TODAY) == []
    assert old.to_pyarrow_dataset().count_rows() == 280, "who reads the version of before is not disturbed"
    assert vacuum_lake(lake) == 0, "and is not for a week"
    assert vacuum_lake(lake, after_h=0, dry_run=True) == 12
    assert vacuum_lake(lake, after_h=0) == 12
    assert (tape_parts(lake, "v", DAY), lake_size(lake).rows) == (held, 280)


def test_the_archive_goes_on_while_the_lake_is_compacted(lake: LakeSettings) -> None:
    stop = threading.Event()
    appended = [12]

    def stream() -> None:
        while not stop.is_set() or appended[0] < 20:
            archive(lake, appended[0])
            appended[0] += 1

    writer = threading.Thread(target=stream)
    writer.start()
    try:
        for _ in range(3):
            for work in lake_work(lake, TODAY):
                compact_lake(lake, work)
            vacuum_lake(lake)
    finally:
        stop.set()
        writer.join()
    (part,) = tape_parts(lake, "v", DAY)
    assert (part.rows, archived_offsets(lake, "T", 1)) == (appended[0] * 20, {0: appended[0] * 20})


def test_a_compaction_that_is_killed_leaves_the_lake_as_it_was(lake: LakeSettings) -> None:
    held = tape_parts(lake, "v", DAY)
    code = (
        "import sys\nfrom datetime import date\nfrom stores.compaction import compact_lake, lake_work\n"
        "from stores.settings import LakeSettings\n"
        "lake = LakeSettings(sys.argv[1])\nprint('going', flush=True)\n"
        "for work in lake_work(lake, date(2026, 5, 2)):\n    compact_lake(lake, work)\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, lake.root], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert tape_parts(lake, "v", DAY) == held
    for work in lake_work(lake, TODAY):
        compact_lake(lake, work)
    assert (tape_parts(lake, "v", DAY), lake_size(lake).files) == (held, 1)


@pytest.fixture(scope="module")
def database(new_database: Any) -> Any:
    return new_database("compaction")


@pytest.fixture
def warehouse(database: Any) -> Iterator[Warehouse]:
    warehouse = Warehouse(database)
    warehouse.run("TRUNCATE TABLE market_trades")
    yield warehouse
    warehouse.close()


def store(warehouse: Warehouse, first: int, day: date = DAY, **more: Any) -> None:
    """Insert a part of ten trades; of a grain that is stored already, one that displaces it."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    empty: dict[str, Any] = {
        c.name: {Type.STRING: "v", Type.TIMESTAMP: moment}.get(c.type, 0 if isinstance(c.type, Type) else Decimal(1))  # type: ignore[arg-type]
        for c in TRADES.columns
    }
    rows = [
        empty | {"trade_id": str(n), "venue_sequence": n, "event_time": moment + timedelta(seconds=n)} | more
        for n in range(first, first + 10)
    ]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(TRADES.columns))
    warehouse.insert("market_trades", table, token=secrets.token_hex(8))


def held(warehouse: Warehouse) -> tuple[Any, ...]:
    return warehouse.rows(f"SELECT count(), sum({content_hash(TRADES)}) FROM market_trades FINAL")[0]


def test_parts_of_days_that_are_over_are_merged_and_the_rows_that_are_read_stay(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    warehouse.run("SYSTEM STOP MERGES market_trades")
    for first in (0, 10, 20, 5):
        store(warehouse, first, displaced_count=int(first == 5), price=Decimal(2))
    store(warehouse, 0, TODAY)
    store(warehouse, 10, TODAY)
    warehouse.run("SYSTEM START MERGES market_trades")
    before = held(warehouse)
    mine = [one for one in warehouse_work(warehouse, TODAY, quiet_s=0) if one.dataset == "market_trades"]
    assert [one.partition for one in mine] in ([], ["20260501"]), "unless it was merged by itself meanwhile"
    assert [one for one in warehouse_work(warehouse, TODAY) if one.dataset == "market_trades"] == []
    nowhere = LakeSettings(str(tmp_path))
    compact(warehouse, nowhere, TODAY, quiet_s=0)
    assert held(warehouse) == before
    parts = warehouse.rows(
        "SELECT sum(rows) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'market_trades' "
        "AND partition_id = '20260501'"
    )
    assert parts == [(30,)], "of a grain only the row that is read is left"
    assert compact(warehouse, nowhere, TODAY, quiet_s=0) == []
    size = warehouse_sizes(warehouse)["market_trades"]
    assert size.bytes_a_million == round(size.bytes * 1_000_000 / size.rows)


def test_inserts_and_readers_go_on_while_parts_are_merged(warehouse: Warehouse, database: Any) -> None:
    stored = [0]
    stop = threading.Event()

    def stream() -> None:
        mine = Warehouse(database)
        while not stop.is_set() or stored[0] < 10:
            store(mine, stored[0] * 10)
            stored[0] += 1

    writer = threading.Thread(target=stream)
    writer.start()
    try:
        for _ in range(5):
            before = stored[0] * 10
            for work in warehouse_work(warehouse, TODAY, quiet_s=0):
                merge_parts(warehouse, work)
            assert held(warehouse)[0] >= before
    finally:
        stop.set()
        writer.join()
    assert held(warehouse)[0] == stored[0] * 10
