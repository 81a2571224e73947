"""What a certificate compares: content whatever its place on the tape, and every table of the platform or a reason."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.books import BOOKS
from contracts.catalog import DATASETS
from contracts.dataset import Dataset, ListOf, Type
from contracts.errors import TerminalError
from contracts.quotes import QUOTES
from orchestration.certify.hashes import LEFT_OUT, PARTS, read_tables
from orchestration.certify.stretch import cut
from orchestration.certify.variants import VARIANTS, chosen
from orchestration.prepare import MIGRATIONS
from sources.demo import TAPES
from sources.tape_file import read_header, read_tape
from stores.arrow import arrow_schema
from stores.migrations import has_table, migrate
from stores.warehouse import Warehouse

START = int(datetime(2022, 10, 1, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture(scope="module")
def store(answering: Any) -> Iterator[Warehouse]:
    answering.warehouse.run("CREATE DATABASE certify_test")
    warehouse = Warehouse(replace(answering.settings, database="certify_test"))
    migrate(warehouse, MIGRATIONS)
    yield warehouse
    answering.warehouse.run("DROP DATABASE certify_test")


def put(store: Warehouse, dataset: Dataset, rows: list[dict[str, Any]]) -> Any:
    """Put these rows in the place of all others and return the dataset's hashed parts."""
    zero = {Type.STRING: "", Type.TIMESTAMP: START}
    blank = {
        c.name: [] if isinstance(c.type, ListOf) else zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(0)
        for c in dataset.columns
    }
    store.run(f"TRUNCATE TABLE {dataset.table}")
    table = pa.Table.from_pylist([blank | row for row in rows], schema=arrow_schema(dataset.columns))
    store.insert(dataset.table, table, token=str(hash(str(rows))))
    found = read_tables(store, asked=True, on_progress=lambda _: None)
    return {name: table for name, table in found.items() if name.startswith(dataset.name)}


def received(moment: int, connection: str, number: int, **told: Any) -> dict[str, Any]:
    """Return a quote of which the venue tells neither time nor id nor order."""
    place = {"received_time": moment, "connection_id": connection, "message_number": number}
    stand_ins = {"event_time": moment, "event_clock": "collector", "update_id": f"{connection}:{number}:0"}
    return {**place, **stand_ins, "venue_sequence": moment, "bid_price": Decimal(7), **told}


def test_another_place_on_the_tape_is_the_same_content_and_another_price_is_not(store: Warehouse) -> None:
    recorded = put(store, QUOTES, [received(START, "a", 1), received(START + 5, "a", 2, bid_price=Decimal(8))])
    played = put(store, QUOTES, [received(START + 99, "b", 7, bid_price=Decimal(8)), received(START + 98, "b", 6)])
    assert played == recorded
    assert played[QUOTES.name].rows == 2
    assert put(store, QUOTES, [received(START, "a", 1), received(START + 5, "a", 2)]) != recorded


@pytest.mark.parametrize("changed", [{"event_time": START + 1}, {"update_id": "u2"}, {"venue_sequence": 6}])
def test_what_the_venue_itself_tells_is_never_left_out(store: Warehouse, changed: dict[str, Any]) -> None:
    told = {"event_clock": "venue", "update_id": "u1", "venue_sequence": 5, "received_time": START + 3}
    assert put(store, QUOTES, [told]) != put(store, QUOTES, [told | changed])


def test_books_are_compared_in_parts_for_whole_ones_are_asked_for(store: Warehouse) -> None:
    rows = [
        {"kind": "delta", "update_id": str(n), "bid_prices": [Decimal(n)], "bid_quantities": [Decimal(1)]}
        for n in (1, 2)
    ]
    found = put(store, BOOKS, [*rows, {"kind": "snapshot", "update_id": "s"}])
    assert {name: table.rows for name, table in found.items()} == {
        f"{BOOKS.name}, deltas": 2,
        f"{BOOKS.name}, snapshots": 1,
    }
    names = read_tables(store, asked=False, on_progress=lambda _: None)
    assert f"{BOOKS.name}, snapshots" not in names
    assert f"{BOOKS.name}, deltas" in names


def test_every_table_is_compared_or_named_with_a_reason() -> None:
    compared = {part.dataset.name for part in PARTS}
    stored = {dataset.name for dataset in DATASETS if has_table(dataset)}
    assert stored - compared == set(LEFT_OUT)
    assert not compared & set(LEFT_OUT)
    assert all(LEFT_OUT.values())


def test_a_stretch_is_the_beginning_of_the_tape_with_its_streams(tmp_path: Path) -> None:
    stretch = cut("coinbase", 4, tmp_path / "stretch.tape.zst")
    records = list(read_tape(stretch.path))
    assert 100 < len(records) == stretch.records < read_header(TAPES["coinbase"]).records
    assert records == [record for record, _ in zip(read_tape(TAPES["coinbase"]), records, strict=False)]
    assert 3 < stretch.seconds <= 4
    streams = read_header(stretch.path).streams or {}
    assert streams
    assert all(set(names) <= set((read_header(TAPES["coinbase"]).streams or {})[end]) for end, names in streams.items())
    again = cut(str(stretch.path), 1, tmp_path / "again.tape.zst")
    assert again.records < stretch.records
    with pytest.raises(TerminalError, match="there is no tape 'okx'; valid: a tape file, or a demo tape: binance"):
        cut("okx", 1, tmp_path / "none.tape.zst")


def test_the_variants_cover_speeds_partitions_disorder_and_kills() -> None:
    assert {variant.partitions for variant in VARIANTS} == {1, 4, 8}
    assert any(variant.speed for variant in VARIANTS)
    assert {variant.shuffled for variant in VARIANTS if variant.killed} == {True, False}
    assert chosen(["full-1", "full-1"]) == (VARIANTS[1],)
    assert chosen([]) == VARIANTS
    with pytest.raises(TerminalError, match="no such variant: full; valid: recorded-4, "):
        chosen(["full"])
