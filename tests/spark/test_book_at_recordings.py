"""The book of a moment on real recordings: Kraken's own checksums, and Binance's numbers with an update taken out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.books import BOOKS
from orchestration.prepare import MIGRATIONS
from sources.events import Accepted
from sources.foreign import read_foreign
from sources.kraken.checksum import checksum
from sources.placing import placed
from sources.tape_file import TapeRecord
from sources.venues import venue
from spark.book_snapshots import make
from stores.arrow import arrow_schema
from stores.migrations import migrate
from stores.warehouse import Warehouse

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "crypto_ws"
SECOND = 1_000_000
Row = dict[str, Any]


@pytest.fixture(scope="module")
def warehouse(platform: Any) -> Iterator[Warehouse]:
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS recorded_books_test")
    server.run("CREATE DATABASE recorded_books_test")
    made = Warehouse(replace(platform.warehouse, database="recorded_books_test"))
    migrate(made, MIGRATIONS)
    yield made
    server.run("DROP DATABASE recorded_books_test")


def rows_of(name: str, venue_name: str, keep: Callable[[Row], bool]) -> list[Row]:
    """Parse a recording and return the rows of books to keep, placed as on the tape."""
    path = RECORDINGS / name
    if not path.exists():
        pytest.skip(f"the shared recordings are not on this machine: ../shared/data/crypto_ws/{name}")
    found = []
    for number, line in enumerate(read_foreign(path), 1):
        if line.control:
            continue
        record = TapeRecord(line.received_time, venue_name, line.endpoint, "c", number, line.payload, line.request)
        events = venue(venue_name).parse(record.endpoint, record.payload, record.request)
        for index, event in enumerate(events):
            if isinstance(event, Accepted) and event.dataset == BOOKS.name and keep(event.row):
                found.append(placed(event, record, index))
    return found


def store(warehouse: Warehouse, rows: list[Row], venue_name: str) -> None:
    blank = {
        "ingested_time": 0,
        "topic_id": "",
        "kafka_partition": 0,
        "kafka_index": 0,
        "displaced_count": 0,
        "displaced_hash": 0,
    }
    full = [{**row, **blank, "venue": venue_name, "kafka_offset": offset} for offset, row in enumerate(rows)]
    warehouse.insert(BOOKS.table, pa.Table.from_pylist(full, schema=arrow_schema(BOOKS.columns)), token=venue_name)


def ask(warehouse: Warehouse, row: Row, venue_name: str, moment: int, levels: int, columns: str) -> tuple[Any, ...]:
    at = datetime.fromtimestamp(moment // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{moment % SECOND:06}"
    series = f"venue = '{venue_name}', instrument = '{row['instrument']}', id_space = '{row['id_space']}'"
    (found,) = warehouse.rows(f"SELECT {columns} FROM market_book_at({series}, moment = '{at}', levels = {levels})")
    return found


@pytest.mark.parametrize("instrument", ["XMR/USD", "SC/EUR", "ADA/XBT"])
@pytest.mark.parametrize("kept", [False, True], ids=["from-the-venues-snapshot", "from-kept-ones"])
def test_krakens_checksums_are_those_of_the_books_told(warehouse: Warehouse, instrument: str, kept: bool) -> None:
    name = f"{instrument}-{kept}"
    file = "bmoscon+cryptofeed/sample_data__KRAKEN.ws.50.0"
    rows = rows_of(file, "kraken", lambda row: row["instrument"] == instrument)
    store(warehouse, rows, name)
    updates = {row["message_number"]: row for row in rows if row["kind"] == "delta"}
    start, end = rows[0]["event_time"], rows[-1]["event_time"]
    if kept:
        for moment in range(start + 5 * SECOND, end, 5 * SECOND):
            make(warehouse, (name, instrument, rows[0]["id_space"]), moment, known_time=1)
    # The warehouse keeps numbers, not how they were written; a pair's digits never change.
    digits = [rows[0][column][0].as_tuple().exponent for column in ("bid_prices", "bid_quantities")]
    price, quantity = (Decimal(1).scaleb(exponent) for exponent in digits)
    checked = set()
    columns = "bid_prices, bid_quantities, ask_prices, ask_quantities, message_number"
    for step in range(1, 13):
        *lists, number = ask(warehouse, rows[0], name, start + (end - start) * step // 12, 10, columns)
        written = [[v.quantize(price if i % 2 == 0 else quantity) for v in values] for i, values in enumerate(lists)]
        bids, asks = (list(zip(written[i], written[i + 1], strict=True)) for i in (0, 2))
        assert checksum(asks, bids) == updates[number]["checksum"], (instrument, number)
        checked.add(number)
    assert len(checked) > 8


def test_binances_book_is_whole_until_an_update_is_missing(warehouse: Warehouse) -> None:
    rows = rows_of("nkaz001+hftbacktest/examples__usdm__btcusdt_20240808.gz", "binance", lambda _: True)
    snapshot = next(row for row in rows if row["kind"] == "snapshot")
    behind = [r for r in rows if r["kind"] == "delta" and r["venue_sequence"] > snapshot["venue_sequence"]]
    assert len(behind) > 6000
    lost = behind[3000]
    store(warehouse, rows, "whole")
    store(warehouse, [row for row in rows if row is not lost], "holed")
    live: dict[str, dict[Decimal, Decimal]] = {"bid": {}, "ask": {}}
    for row in [snapshot, *behind[:3500]]:
        for side, levels in live.items():
            levels.update(zip(row[f"{side}_prices"], row[f"{side}_quantities"], strict=True))
    bids = sorted(((p, q) for p, q in live["bid"].items() if q), reverse=True)
    moment = behind[3499]["event_time"]
    assert behind[3500]["event_time"] > moment
    columns = "complete, arrayZip(bid_prices, bid_quantities), length(ask_prices)"
    found = ask(warehouse, snapshot, "whole", moment, 0, columns)
    assert found == (1, bids, len([q for q in live["ask"].values() if q]))
    before, after = lost["event_time"] - 1, behind[3001]["event_time"]
    assert [ask(warehouse, snapshot, "holed", at, 5, "complete")[0] for at in (before, after)] == [1, 0]
    make(warehouse, ("holed", snapshot["instrument"], snapshot["id_space"]), after, known_time=1)
    assert ask(warehouse, snapshot, "holed", moment, 5, "complete")[0] == 0
