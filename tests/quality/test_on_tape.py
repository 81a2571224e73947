"""The tape against the tables, for every market dataset: what is lost, unexplained or twice is counted where it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from contracts.books import BOOKS
from contracts.catalog import MARKET
from contracts.catalog import dataset as dataset_named
from contracts.dataset import Column, Dataset, ListOf, Type
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE
from orchestration.prepare import MIGRATIONS
from quality.audit import AuditReport, AuditRow, sinks
from quality.on_tape import compare_tape
from stores.arrow import arrow_schema
from stores.lake import tape_path
from stores.migrations import migrate
from stores.seals import Seal, write_seals
from stores.settings import LakeSettings
from stores.warehouse import Warehouse

DAY = date(2022, 5, 1)
START = int(datetime(2022, 5, 1, tzinfo=UTC).timestamp()) * 1_000_000


def blank(column: Column) -> Any:
    if isinstance(column.type, ListOf):
        return [Decimal(1)]
    if not isinstance(column.type, Type):
        return Decimal(1)
    return {Type.STRING: "v", Type.TIMESTAMP: START, Type.BYTES: b""}.get(column.type, 0)


def row(dataset: Dataset, number: int, **changes: Any) -> dict[str, Any]:
    """Make a stored row, by the payload of that number."""
    return {c.name: blank(c) for c in dataset.columns} | {
        "message_number": number,
        "message_index": 0,
        **({dataset.grain[3]: number} if dataset is not QUARANTINE else {}),
        **changes,
    }


@dataclass
class Audited:
    """A lake and a warehouse of their own; a payload on the tape is the name of a dataset, to be parsed as one row."""

    lake: LakeSettings
    warehouse: Warehouse
    asked: list[Mapping[str, Sequence[str]]] = field(default_factory=list)

    def tape(self, payloads: Mapping[int, str], received: int = START) -> None:
        rows = [
            {c.name: blank(c) for c in TAPE.columns}
            | {"payload": name.encode(), "message_number": number, "received_time": received}
            for number, name in payloads.items()
        ]
        table = pa.Table.from_pylist(rows, schema=arrow_schema(TAPE.columns))
        received_date = [datetime.fromtimestamp(received / 1_000_000, UTC).date()] * len(rows)
        table = table.append_column("received_date", pa.array(received_date))
        write_deltalake(tape_path(self.lake), table, mode="append", partition_by=["venue", "received_date"])

    def store(self, dataset: Dataset, *rows: dict[str, Any]) -> None:
        table = pa.Table.from_pylist(list(rows), schema=arrow_schema(dataset.columns))
        self.warehouse.insert(dataset.table, table, token=f"{dataset.name}-{rows[0]['message_number']}-{len(rows)}")

    def derive(self, batch: pa.RecordBatch, columns: Mapping[str, Sequence[str]] | None = None) -> dict[str, pa.Table]:
        assert columns is not None
        self.asked.append(columns)
        found: dict[str, list[dict[str, Any]]] = {}
        for payload in batch.to_pylist():
            dataset = dataset_named(payload["payload"].decode())
            found.setdefault(dataset.name, []).append(row(dataset, payload["message_number"]))
        return {
            name: pa.Table.from_pylist(
                rows, schema=arrow_schema([dataset_named(name).column_index[c] for c in columns[name]])
            )
            for name, rows in found.items()
        }

    def findings(self, day: date | None = None) -> dict[tuple[str, str], tuple[int, int, int, int]]:
        """Return expected, found, missing and twice by dataset and topic."""
        told = compare_tape(self.lake, self.warehouse, self.derive, day, datetime(2100, 1, 1, tzinfo=UTC))
        return {(name, numbers[0]): numbers[2:] for name, numbers in told}


@pytest.fixture
def audited(platform: Any, tmp_path: Path) -> Iterator[Audited]:
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS on_tape_test")
    server.run("CREATE DATABASE on_tape_test")
    warehouse = Warehouse(replace(platform.warehouse, database="on_tape_test"))
    migrate(warehouse, MIGRATIONS)
    yield Audited(LakeSettings(str(tmp_path)), warehouse)
    server.run("DROP DATABASE on_tape_test")


@pytest.mark.parametrize("dataset", MARKET, ids=lambda d: d.name)
def test_what_is_lost_refused_unexplained_or_twice_is_counted_for_every_dataset(
    audited: Audited, dataset: Dataset
) -> None:
    audited.tape(dict.fromkeys(range(10), dataset.name))
    audited.store(dataset, *(row(dataset, number) for number in range(8)))
    audited.store(QUARANTINE, row(QUARANTINE, 8))  # refused by a rule
    assert audited.findings() == {
        (dataset.name, "tape.v"): (9, 8, 1, 0),
        (dataset.name, dataset.name): (8, 8, 0, 0),
    }
    audited.store(dataset, row(dataset, 9), row(dataset, 77))
    assert audited.findings() == {
        (dataset.name, "tape.v"): (9, 9, 0, 0),
        (dataset.name, dataset.name): (10, 9, 1, 0),
    }


def test_what_parsers_refuse_must_be_in_quarantine(audited: Audited) -> None:
    audited.tape({1: QUARANTINE.name, 2: QUARANTINE.name})
    audited.store(QUARANTINE, row(QUARANTINE, 1))
    assert audited.findings() == {(QUARANTINE.name, "tape.v"): (2, 1, 1, 0)}


def test_a_table_without_any_payload_is_unexplained_and_an_empty_platform_has_nothing_to_say(audited: Audited) -> None:
    assert audited.findings() == {}
    audited.store(BOOKS, row(BOOKS, 1))
    assert audited.findings() == {(BOOKS.name, "market.books (no payload)"): (0, 1, 1, 0)}


def test_only_the_day_asked_for_is_compared(audited: Audited) -> None:
    audited.tape(dict.fromkeys(range(3), BOOKS.name))
    audited.store(BOOKS, *(row(BOOKS, number) for number in range(3)))
    audited.store(BOOKS, row(BOOKS, 5, event_time=START - 1))
    assert audited.findings(DAY)[BOOKS.name, BOOKS.name] == (3, 3, 0, 0)
    assert audited.findings(date(2022, 5, 2)) == {(BOOKS.name, BOOKS.name): (0, 0, 0, 0)}


@pytest.mark.parametrize("retired", [BOOKS, TAPE], ids=lambda d: d.name)
def test_a_retired_day_is_neither_missing_nor_unexplained(audited: Audited, retired: Dataset) -> None:
    if retired is BOOKS:
        audited.tape(dict.fromkeys(range(3), BOOKS.name))
    else:
        audited.store(BOOKS, *(row(BOOKS, number) for number in range(3)))
    assert sum(numbers[2] for numbers in audited.findings().values()) == 3
    write_seals(audited.warehouse, [Seal(retired.name, DAY, "v", "T", 0, 3, 3, "rule")], datetime.now(UTC))
    assert sum(numbers[2] for numbers in audited.findings().values()) == 0
    write_seals(audited.warehouse, [Seal(BOOKS.name, DAY, "w", "T", 0, 3, 3, "rule")], datetime.now(UTC))
    assert sum(numbers[2] for numbers in audited.findings().values()) == 0


def test_the_content_of_books_is_never_asked_for(audited: Audited) -> None:
    audited.tape({1: BOOKS.name})
    audited.findings()
    assert not {c.name for c in BOOKS.columns if isinstance(c.type, ListOf)} & set(audited.asked[0][BOOKS.name])


def test_a_report_of_one_dataset_leaves_the_others_out_but_not_what_concerns_all() -> None:
    rows = [AuditRow("c", "t", 0, 1, 1, n, 0, name) for n, name in enumerate(("", "market.books", "market.quotes"))]
    assert AuditReport(rows).of("market.books").missing == 1
    assert AuditReport(rows).of("market.quotes").missing == 2
    assert AuditReport(rows).of("market.trades").balanced


def test_every_topic_that_fills_a_table_has_a_sink_and_the_compacted_one_has_none() -> None:
    found = sinks(("binance", "kraken"))
    assert found["system.gaps"] == "warehouse.system_gaps"
    assert found["reference.instruments"] == "warehouse.reference_instruments"
    assert found["tape.kraken"] == "lake.tape"
    assert "system.marks" not in found
