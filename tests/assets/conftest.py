"""A real warehouse server with the real tables, bars to put into it, and the code location on top of it."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from assets.store import Store
from contracts.bars import BARS
from contracts.check_results import CHECK_RESULTS
from contracts.errors import TapehouseError
from contracts.incidents import INCIDENTS
from contracts.rollups import ROLLUPS
from contracts.scores import BAR_SCORES, DEDUCTIONS, SCORES
from contracts.trades import TRADES
from stores.arrow import arrow_schema
from stores.settings import LakeSettings
from stores.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Bar:
    """One revision of a minute."""

    bar_time: datetime
    open: Decimal = Decimal(10)
    high: Decimal = Decimal(12)
    low: Decimal = Decimal(9)
    close: Decimal = Decimal(11)
    volume: Decimal = Decimal("1.5")
    notional: Decimal = Decimal("16.25")
    trade_count: int = 3
    state: str = "final"
    revision: int = 1
    known_time: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    venue: str = "binance"
    instrument: str = "BTCUSDT"
    id_space: str = "spot.trade"

    @property
    def series(self) -> tuple[str, str, str]:
        return self.venue, self.instrument, self.id_space


@dataclass(frozen=True)
class Stored:
    """The warehouse under test."""

    store: Store
    warehouse: Warehouse

    def insert_bars(self, bars: Sequence[Bar]) -> None:
        self._insert(BARS.table, arrow_schema(BARS.columns), [vars(bar) for bar in bars])

    def insert_trade(self, event_time: datetime, trade_id: int, **more: Any) -> None:
        empty: dict[str, Any] = {c.name: "" if pa.types.is_string(t) else 0 for c, t in self._trade_types()}
        moment = dict.fromkeys(("event_time", "received_time", "ingested_time"), event_time)
        row = empty | moment | {"venue": "binance", "instrument": "BTCUSDT", "id_space": "spot.trade", "side": "buy"}
        numbers = {"trade_id": str(trade_id), "venue_sequence": trade_id, "price": Decimal(1), "quantity": Decimal(1)}
        self._insert(TRADES.table, arrow_schema(TRADES.columns), [row | numbers | {"trade_count": 1} | more])

    def _trade_types(self) -> Iterator[tuple[Any, pa.DataType]]:
        schema = arrow_schema(TRADES.columns)
        yield from ((column, schema.field(column.name).type) for column in TRADES.columns)

    def _insert(self, table: str, schema: pa.Schema, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.warehouse.insert(table, pa.Table.from_pylist(rows, schema=schema), token=secrets.token_hex(8))

    def empty(self) -> None:
        rollups = [rollup.dataset.table for rollup in ROLLUPS]
        judged = [dataset.table for dataset in (SCORES, DEDUCTIONS, BAR_SCORES, CHECK_RESULTS, INCIDENTS)]
        made = ("market_indicators", "market_features")
        for table in (TRADES.table, BARS.table, "delivery_ledger", *rollups, *judged, *made):
            self.warehouse.run(f"TRUNCATE TABLE {table}")

    def rollup(self, suffix: str) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(f"SELECT * FROM market_bars_{suffix} ORDER BY venue, instrument, id_space, bar_time")


@pytest.fixture(scope="session")
def running_warehouse(new_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    settings = new_database("assets")
    lake = LakeSettings(str(tmp_path_factory.mktemp("lake")))
    return Stored(Store(settings, lake, ROOT / "sql" / "queries"), Warehouse(settings))


@pytest.fixture
def stored(running_warehouse: Stored) -> Stored:
    """The warehouse, empty."""
    running_warehouse.empty()
    return running_warehouse


@pytest.fixture(scope="session")
def make_bar() -> Callable[..., Bar]:
    """Hand out the class, since tests cannot import this module."""
    return Bar


@pytest.fixture(scope="session")
def corrected() -> Callable[..., Bar]:
    """Return the next revision of a bar."""

    def correct(bar: Bar, **changes: Any) -> Bar:
        return replace(bar, revision=bar.revision + 1, **changes)

    return correct


@dataclass
class StubAuditor:
    """An audit whose outcome a test chooses; `asked` holds the days."""

    report: Any
    asked: list[Any]
    error: TapehouseError | None = None

    def audit(self, day: Any, on_progress: Callable[[str], None]) -> Any:
        self.asked.append(day)
        on_progress("looking")
        if self.error:
            raise self.error
        return self.report


@pytest.fixture
def auditor() -> StubAuditor:
    from quality.audit import AuditReport, AuditRow

    return StubAuditor(AuditReport([AuditRow("tape to tables", "market.trades", 0, 5, 5, 0, 0)]), [])


@dataclass
class StubChecker:
    """Suites whose outcome a test chooses."""

    runs: list[Any]

    def check(self, *_: Any) -> list[Any]:
        return self.runs


@pytest.fixture
def checker() -> StubChecker:
    """Return suites that find nothing to look at: Great Expectations takes seconds to import."""
    return StubChecker([])


@dataclass
class StubRebuilder:
    """A rebuild whose outcome a test chooses; `asked` holds the days with the ids of their runs."""

    found: list[Any]
    asked: list[Any]

    def rebuild(self, day: Any, run_id: str, on_progress: Callable[[str], None]) -> Any:
        self.asked.append((day, run_id))
        on_progress("parsing the tape")
        return self.found


@pytest.fixture
def rebuilder() -> StubRebuilder:
    """Return a rebuild that finds nothing to compare: Spark takes many seconds to start."""
    return StubRebuilder([], [])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def location(stored: Stored, auditor: StubAuditor, checker: StubChecker, rebuilder: StubRebuilder) -> dg.Definitions:
    """The real definitions on the test's warehouse."""
    from orchestration.definitions import build

    work = {"auditor": auditor, "checker": checker, "rebuilder": rebuilder}
    return build({"store": stored.store, "processes": object(), **work})
