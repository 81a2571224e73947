"""Raw and adjusted prices of a recorded split and dividend, worked out by hand; and who had a ticker when."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.corporate_actions import CORPORATE_ACTIONS
from contracts.dataset import Dataset, Type
from contracts.venue_bars import VENUE_BARS
from sources.importing.planning import Wish
from stores.arrow import arrow_schema
from stores.settings import WarehouseSettings
from stores.warehouse import Warehouse
from tests.sources.importing_parts import EQUITIES, only, rows_of

pytestmark = pytest.mark.skipif(not EQUITIES.is_dir(), reason="the shared recordings are not on this machine")
APPLE = "AAPL.19980102"


def put(store: Warehouse, dataset: Dataset, rows: list[dict[str, Any]], received: int) -> None:
    zero = {Type.STRING: "", Type.TIMESTAMP: 0}
    blank = {c.name: zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(0) for c in dataset.columns}
    told = {"received_time": received}
    table = pa.Table.from_pylist([blank | row | told for row in rows], schema=arrow_schema(dataset.columns))
    store.insert(dataset.table, table, token=str(hash(str(rows))))


@pytest.fixture(scope="module")
def store(new_database: Callable[[str], WarehouseSettings]) -> Warehouse:
    made = Warehouse(new_database("corporate_actions"))
    for path in sorted(EQUITIES.glob("*map_files*")):
        put(made, CORPORATE_ACTIONS, rows_of(only(path)), 1)
    put(made, CORPORATE_ACTIONS, rows_of(only(EQUITIES / "equity__usa__factor_files__aapl.csv")), 1)
    put(made, VENUE_BARS, rows_of(only(EQUITIES / "equity__usa__daily__aapl.zip")), 1)
    put(made, VENUE_BARS, rows_of(only(EQUITIES / "equity__usa__minute__spy__20131004_trade.zip")), 1)
    return made


def close(store: Warehouse, day: str) -> tuple[Decimal, Decimal, Decimal]:
    [found] = store.rows(
        "SELECT raw_close, close, volume FROM market_venue_bars_adjusted "
        f"WHERE instrument = '{APPLE}' AND day = '{day}'"
    )
    return found[0], found[1], found[2]


@pytest.mark.parametrize(
    ("day", "raw", "adjusted", "volume"),
    [
        # 645.57 x 0.9011818 x 0.0357143: in the shares of today 28 times as many, and dividends taken out.
        ("2014-06-06", "645.57", "20.777720262013", "339266652.293339082664"),
        # The next day, 7 shares for one: 93.70 x 0.9011818 x 0.25.
        ("2014-06-09", "93.70", "21.110183665000", "291503792.000000000000"),
        # 499.23 x 0.25 and 129.04, each by its own dividends.
        ("2020-08-28", "499.23", None, None),
        ("2020-08-31", "129.04", None, None),
    ],
)
def test_prices_are_adjusted_by_the_factors_of_their_day(
    store: Warehouse, day: str, raw: str, adjusted: str | None, volume: str | None
) -> None:
    told = close(store, day)
    assert told[0] == Decimal(raw)
    if adjusted is not None and volume is not None:
        assert told[1:] == (Decimal(adjusted), Decimal(volume))


def test_a_split_is_no_crash_and_a_crash_stays_one(store: Warehouse) -> None:
    def change(first: str, second: str) -> Decimal:
        return close(store, second)[1] / close(store, first)[1] - 1

    assert change("2014-06-06", "2014-06-09") == pytest.approx(Decimal("0.0160"), abs=Decimal("0.0001"))
    assert change("2020-08-28", "2020-08-31") == pytest.approx(Decimal("0.0339"), abs=Decimal("0.0001"))
    assert change("2000-06-20", "2000-06-21") == pytest.approx(Decimal("0.1002"), abs=Decimal("0.0001"))
    assert change("2000-09-28", "2000-09-29") == pytest.approx(Decimal("-0.5187"), abs=Decimal("0.01"))


def test_factors_say_which_splits_and_dividends_there_were(store: Warehouse) -> None:
    found = store.rows(
        f"SELECT day, shares, dividend FROM reference_adjustments WHERE instrument = '{APPLE}' "
        "AND day IN ('2000-06-20', '2014-06-06', '2014-08-06') ORDER BY day"
    )
    # Two for one, seven for one, and the 47 cents of August 2014.
    assert found == [(date(2000, 6, 20), 2.0, 0.0), (date(2014, 6, 6), 7.0, 0.0), (date(2014, 8, 6), 1.0, 0.47)]


def test_bars_without_factors_are_as_they_were_told(store: Warehouse) -> None:
    [(count, equal, days)] = store.rows(
        "SELECT count(), countIf(close = raw_close), groupUniqArray(day) FROM market_venue_bars_adjusted "
        "WHERE instrument = 'SPY.19980102'"
    )
    # Trading until eight in the evening is of the exchange's day, though it is past midnight UTC.
    assert (count, equal, days) == (711, 711, [date(2013, 10, 4)])


def test_a_newer_file_s_factors_replace_all_older_ones(store: Warehouse, tmp_path: Path) -> None:
    path = tmp_path / "equity__usa__factor_files__zz.csv"
    bar = {"venue": "usa", "instrument": "ZZ", "id_space": "lean.bars_1d", "update_id": "1", "close": Decimal(10)}
    day = 1_402_272_000_000_000
    put(store, VENUE_BARS, [bar | {"bar_time": day, "event_time": day, "venue_sequence": day, "width_s": 86400}], 1)
    for received, factor in ((2, "0.5"), (3, "0.25")):
        path.write_text(f"19980102,1,{factor},1\n20501231,1,{factor},0\n")
        put(store, CORPORATE_ACTIONS, rows_of(only(path, Wish(instrument="ZZ"))), received)
    assert store.value("SELECT close FROM market_venue_bars_adjusted WHERE instrument = 'ZZ'") == Decimal("2.5")
    assert store.value("SELECT count() FROM reference_adjustments WHERE instrument = 'ZZ'") == 2


def test_a_ticker_names_one_company_on_each_day(store: Warehouse) -> None:
    found = store.rows("SELECT instrument, first_day, last_day FROM reference_tickers WHERE ticker = 'GOOG' ORDER BY 2")
    assert found == [
        ("GOOG.20040819", date(2004, 8, 19), date(2014, 4, 2)),
        ("GOOCV.20140327", date(2014, 4, 3), date(2050, 12, 31)),
    ]
