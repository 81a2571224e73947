"""Suites against contracts, and every claim against a row that breaks it, on a real warehouse server."""

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.bars import BARS
from contracts.books import BOOKS
from contracts.corporate_actions import CORPORATE_ACTIONS
from contracts.dataset import Column, Dataset, ListOf, OneOf, Type
from contracts.errors import RetryableError, TerminalError
from contracts.instruments import INSTRUMENTS
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from contracts.venue_bars import VENUE_BARS
from quality.suites.catalog import CHECKED, checked, suites_of
from quality.suites.claims import BETWEEN, Claim, Suite, between
from quality.suites.derive import NO_VALUE_IS_MISSING, derive
from quality.suites.engine import Engine, Folders, open_context
from quality.suites.results import SAMPLE_SIZE, CheckResult
from quality.suites.run import check_day, run_suites
from quality.suites.site import page_of
from stores.arrow import arrow_schema
from stores.settings import WarehouseSettings
from stores.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 30
DAY = date(2022, 5, 1)
# By claim, a time that it lets no row be of.
TOO_EARLY = {
    "event_time_is_not_before_2009_01_03": datetime(2009, 1, 2, 1, tzinfo=UTC),
    "event_time_is_not_before_1971_01_01": datetime(1970, 12, 31, 1, tzinfo=UTC),
}
NOON = datetime(2022, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CLAIMS = [(dataset, claim) for dataset in CHECKED for suite in suites_of(dataset) for claim in suite.claims]

Row = dict[str, Any]


def blank(column: Column) -> Any:
    if column.symbols:
        return column.symbols[0]
    if isinstance(column.type, ListOf):
        return [Decimal(1)]
    if not isinstance(column.type, Type):
        return Decimal(1)
    return {Type.STRING: "x", Type.TIMESTAMP: NOON}.get(column.type, 1)


SPACES = {TRADES.name: "spot.trade", BARS.name: "spot.trade", VENUE_BARS.name: "spot.kline_1m"}


def row(dataset: Dataset, **changes: Any) -> Row:
    """Make a row that keeps every claim about single rows."""
    made = {column.name: blank(column) for column in dataset.columns} | {"venue": "v", "instrument": "AAA"}
    made |= {"id_space": SPACES.get(dataset.name, "spot.feed")}
    if dataset is BOOKS:
        made |= {"ask_prices": [Decimal(2)]}
    return made | changes


def trade(minute: int, number: int, **changes: Any) -> Row:
    changes = {"event_time": NOON + minute * MINUTE, "venue_sequence": number, "trade_id": str(number)} | changes
    return row(TRADES, **{"received_time": changes["event_time"], **changes})


def bar(minute: int, **changes: Any) -> Row:
    return row(BARS, **{"bar_time": NOON + minute * MINUTE, **changes})


def venue_bar(minute: int, **changes: Any) -> Row:
    start = NOON + minute * MINUTE
    return row(VENUE_BARS, **{"bar_time": start, "width_s": 60, "state": "final", "event_time": start + MINUTE,
                              "received_time": start + MINUTE, **changes})  # fmt: skip


Rows = list[tuple[Dataset, Row]]


def good_rows() -> Rows:
    """Make a day on which every claim has something to look at, and holds."""
    minutes = range(4)
    return [
        *((TRADES, trade(m, m)) for m in minutes),
        *((BARS, bar(m)) for m in minutes),
        *((VENUE_BARS, venue_bar(m, venue_sequence=m)) for m in (1, 2)),
        *((dataset, row(dataset)) for dataset in (QUOTES, BOOKS, INSTRUMENTS, CORPORATE_ACTIONS)),
    ]


DAYS = timedelta(days=2)
# By claim, what to change in a row that keeps all others.
CHANGES: dict[str, Row] = {
    "price_is_positive": {"price": Decimal(0)},
    "quantity_is_positive": {"quantity": Decimal(0)},
    "price_is_at_most_100000000000": {"price": Decimal(100000000001), "quantity": Decimal("0.01")},
    "quantity_is_at_most_100000000000": {"quantity": Decimal(100000000001), "price": Decimal("0.01")},
    "price_times_quantity_is_at_most_1000000000000": {"price": Decimal(10_000_000), "quantity": Decimal(1_000_000)},
    "side_is_buy_or_sell_or_unknown": {"side": "hold"},
    "trade_count_is_positive": {"trade_count": 0},
    "event_time_is_at_most_86400_s_ahead_of_received_time": {"received_time": NOON - DAYS},
    "received_time_is_at_most_5_s_before_event_time": {"received_time": NOON - timedelta(seconds=6)},
    "bid_price_is_not_negative": {"bid_price": Decimal(-1)},
    "bid_quantity_is_not_negative": {"bid_quantity": Decimal(-1)},
    "ask_price_is_not_negative": {"ask_price": Decimal(-1)},
    "ask_quantity_is_not_negative": {"ask_quantity": Decimal(-1)},
    "bid_price_is_at_most_100000000000": {"bid_price": Decimal(100000000001)},
    "ask_price_is_at_most_100000000000": {"ask_price": Decimal(100000000001)},
    "event_clock_is_venue_or_collector": {"event_clock": "sundial"},
    "bid_does_not_exceed_ask": {"bid_price": Decimal("1.000000000001")},
    "kind_is_snapshot_or_delta": {"kind": "rumour"},
    "bid_prices_are_as_many_as_bid_quantities": {"bid_prices": [Decimal(1), Decimal(2)]},
    "ask_prices_are_as_many_as_ask_quantities": {"ask_quantities": []},
    "each_of_bid_prices_is_positive": {"bid_prices": [Decimal(0)]},
    "each_of_ask_prices_is_positive": {"kind": "delta", "ask_prices": [Decimal(-1)]},
    "each_of_bid_quantities_is_not_negative": {"bid_quantities": [Decimal(-1)]},
    "each_of_ask_quantities_is_not_negative": {"ask_quantities": [Decimal("-0.000000000001")]},
    "bids_of_a_snapshot_do_not_exceed_its_asks": {"bid_prices": [Decimal("2.000000000001")]},
    "first_sequence_does_not_exceed_venue_sequence": {"first_sequence": 2},
    "width_s_is_positive": {"width_s": 0},
    "low_is_positive": {"low": Decimal(0)},
    "high_is_positive": {"high": Decimal(0)},
    "volume_is_not_negative": {"volume": Decimal(-1)},
    "volume_is_positive": {"volume": Decimal(0)},
    "state_is_provisional_or_final_or_unknown": {"state": "doubtful"},
    "state_is_provisional_or_final_or_withdrawn": {"state": "doubtful"},
    "bar_time_is_not_before_1971_01_01": {"bar_time": datetime(1970, 12, 31, tzinfo=UTC)},
    "high_is_at_least_open": {"open": Decimal("1.000000000001")},
    "high_is_at_least_close": {"close": Decimal("1.000000000001")},
    "high_is_at_least_low": {"low": Decimal("1.000000000001")},
    "open_is_at_least_low": {"open": Decimal("0.999999999999")},
    "close_is_at_least_low": {"close": Decimal("0.999999999999")},
    "price_step_is_not_negative": {"price_step": Decimal(-1)},
    "quantity_step_is_not_negative": {"quantity_step": Decimal(-1)},
    "quantity_least_is_not_negative": {"quantity_least": Decimal(-1)},
    "kind_is_spot_or_perpetual_or_future": {"kind": "dream"},
    "state_is_trading_or_halted": {"state": "asleep"},
    "kind_is_factors_or_ticker": {"kind": "rumour"},
    "price_factor_is_not_negative": {"price_factor": Decimal(-1)},
    "split_factor_is_not_negative": {"split_factor": Decimal(-1)},
    "reference_price_is_not_negative": {"reference_price": Decimal(-1)},
}  # fmt: skip
# The same for claims about several rows.
SEVERAL: dict[str, Rows] = {
    "event_time_does_not_step_back_as_trades_are_numbered": [(TRADES, trade(5, 1)), (TRADES, trade(4, 2))],
    "a_trade_id_occurs_once_in_its_series": [(TRADES, trade(0, n, trade_id="7")) for n in (1, 2)],
    "every_minute_with_a_trade_has_a_bar": [(TRADES, trade(0, 1))],
    "volume_equals_the_trades_of_the_minute": [(TRADES, trade(0, 1)), (BARS, bar(0, volume=Decimal("1.000000000001")))],
    "notional_equals_the_trades_of_the_minute": [(BARS, bar(0))],
    "trade_count_equals_the_trades_of_the_minute": [(TRADES, trade(0, 1)), (BARS, bar(0, trade_count=2))],
    "high_equals_the_trades_of_the_minute": [(TRADES, trade(0, 1)), (BARS, bar(0, high=Decimal(2)))],
    "low_equals_the_trades_of_the_minute": [(TRADES, trade(0, 1)), (BARS, bar(0, low=Decimal("0.5")))],
    "prices_agree_with_our_bar": [*((BARS, bar(m)) for m in range(4)), (VENUE_BARS, venue_bar(1, close=Decimal(2)))],
    "volume_agrees_with_our_bar": [*((BARS, bar(m)) for m in range(4)), (VENUE_BARS, venue_bar(1, volume=Decimal(2)))],
}
EMPTY = re.compile(r"(\w+)_has_1_to_(\d+)_characters")


def breaking(dataset: Dataset, claim: Claim) -> Rows:
    """Return rows that break a claim, with the venue that they are of."""
    if claim.name in SEVERAL:
        return SEVERAL[claim.name]
    if claim.name in TOO_EARLY:
        moment = TOO_EARLY[claim.name]
        return [(dataset, row(dataset, event_time=moment, received_time=moment))]
    told = EMPTY.fullmatch(claim.name)
    return [(dataset, row(dataset, **({told[1]: ""} if told else CHANGES[claim.name])))]


def insert(warehouse: Warehouse, rows: Rows) -> None:
    for dataset in dict.fromkeys(dataset for dataset, _ in rows):
        mine = [one for known, one in rows if known is dataset]
        table = pa.Table.from_pylist(mine, schema=arrow_schema(dataset.columns))
        warehouse.insert(dataset.table, table, token=secrets.token_hex(8))


def venue_of(dataset: Dataset, claim: Claim) -> str:
    """Name the venue on which only this claim is broken: that of an empty name where names are what is claimed."""
    return "" if claim.name.startswith("venue_has") else f"v{CLAIMS.index((dataset, claim))}"


@pytest.fixture(scope="module")
def broken(new_database: Callable[[str], WarehouseSettings]) -> WarehouseSettings:
    """A warehouse with a venue for each claim, whose rows break it, beside one whose rows break none."""
    settings = new_database("broken")
    rows = good_rows()
    for dataset, claim in CLAIMS:
        if claim.name != NO_VALUE_IS_MISSING:
            rows += [(known, one | {"venue": venue_of(dataset, claim)}) for known, one in breaking(dataset, claim)]
    insert(Warehouse(settings), rows)
    return settings


@pytest.fixture(scope="module")
def engine(broken: WarehouseSettings) -> Engine:
    return Engine(open_context(None), broken)


@pytest.fixture
def good(new_database: Callable[[str], WarehouseSettings]) -> WarehouseSettings:
    """A warehouse with a good day of one venue."""
    settings = new_database(f"good{time.monotonic_ns()}")
    insert(Warehouse(settings), good_rows())
    return settings


def results(settings: WarehouseSettings, *datasets: Dataset, **how: Any) -> list[CheckResult]:
    runs = run_suites(settings, how.pop("day", DAY), datasets=datasets or CHECKED, **how)
    return [result for run in runs for result in run.results]


@pytest.mark.parametrize("dataset", CHECKED, ids=lambda dataset: dataset.name)
def test_a_contract_gives_a_claim_for_each_rule_and_set_of_symbols_and_one_for_all_columns(dataset: Dataset) -> None:
    claims = [one.claim for one in derive(dataset)]
    ruled = {rule.column for rule in dataset.rules if isinstance(rule, OneOf)}
    symbols = {column.name: set(column.symbols) for column in dataset.columns if column.symbols}
    assert len(claims) == len(dataset.rules) + len(set(symbols) - ruled) + 1
    found = {claim.arguments["column"]: claim.arguments.get("value_set") for claim in claims}
    assert {name: set(found[name]) for name in symbols} == symbols  # type: ignore[arg-type]
    assert {claim.level for claim in claims} == {"stop"}


@pytest.mark.parametrize("dataset", CHECKED, ids=lambda dataset: dataset.name)
def test_names_are_snake_case_and_each_is_said_once_of_a_dataset(dataset: Dataset) -> None:
    names = [claim.name for known, claim in CLAIMS if known is dataset]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]{2,99}", name) for name in names)


def test_a_good_day_breaks_no_claim_and_every_claim_has_something_to_look_at(good: WarehouseSettings) -> None:
    found = results(good)
    assert [one for one in found if not one.passed] == []
    assert {(one.dataset, one.check_name) for one in found if one.checked_count} == {
        (d.name, c.name) for d, c in CLAIMS
    }


@pytest.mark.parametrize(
    ("dataset", "claim"),
    [(dataset, claim) for dataset, claim in CLAIMS if claim.name != NO_VALUE_IS_MISSING],
    ids=lambda one: one.name,
)
def test_a_row_that_breaks_a_claim_is_found_with_its_key(
    broken: WarehouseSettings, engine: Engine, dataset: Dataset, claim: Claim
) -> None:
    day = TOO_EARLY[claim.name].date() if claim.name in TOO_EARLY else DAY
    (suite,) = (suite for suite in suites_of(dataset) if claim in suite.claims)
    (good,) = engine.details(suite, suite.query(DAY, "v"), [claim])
    assert good.success
    (found,) = engine.details(suite, suite.query(day, venue_of(dataset, claim)), [claim])
    assert (found.success, found.result["unexpected_count"]) == (False, 1)
    (offender,) = found.result["partial_unexpected_index_list"]
    assert set(offender) >= {*suite.key, *claim.shown}
    assert offender["venue"] == venue_of(dataset, claim)


def test_a_missing_value_is_found_where_a_table_lets_one_in(new_database: Callable[[str], WarehouseSettings]) -> None:
    settings = new_database("nullable")
    warehouse = Warehouse(settings)
    columns = {BARS: "known_time DateTime64(6, 'UTC')", INSTRUMENTS: "symbol String"}
    for dataset in CHECKED:
        name, kind = columns.get(dataset, "ingested_time DateTime64(6, 'UTC')").split(" ", 1)
        warehouse.run(f"ALTER TABLE {dataset.table} MODIFY COLUMN {name} Nullable({kind})")
        insert(warehouse, [(dataset, row(dataset, **{name: None}))])
        found = {one.check_name: one for one in results(settings, dataset)}[NO_VALUE_IS_MISSING]
        assert found.unexpected_count == 1, dataset.name


def test_venues_are_told_apart_though_they_are_asked_together(good: WarehouseSettings) -> None:
    bad = [
        trade(m, m, venue="o:%'\\{x}", price=Decimal("-0.000000000001") if m < 30 else Decimal(1)) for m in range(40)
    ]
    insert(Warehouse(good), [(TRADES, one) for one in bad])
    found = {(one.venue, one.check_name): one for one in results(good, TRADES)}
    assert found["v", "price_is_positive"].passed
    broken = found["o:%'\\{x}", "price_is_positive"]
    assert (broken.checked_count, broken.unexpected_count, len(broken.sample)) == (40, 30, SAMPLE_SIZE)
    assert broken.sample[0]["price"] == "-0.000000000001"
    assert {name for (venue, name), one in found.items() if not one.passed} == {"price_is_positive"}


def test_only_the_day_and_the_venue_asked_for_are_looked_at(good: WarehouseSettings) -> None:
    midnight = datetime(2022, 5, 2, tzinfo=UTC)
    last = midnight - timedelta(microseconds=1)
    outside = trade(0, 90, event_time=midnight, received_time=midnight, price=Decimal(0))
    inside = trade(0, 91, event_time=last, received_time=last)
    insert(Warehouse(good), [(TRADES, outside), (TRADES, inside)])
    (price,) = (one for one in results(good, TRADES) if one.check_name == "price_is_positive")
    assert (price.passed, price.checked_count) == (True, 5)
    assert not all(one.passed for one in results(good, TRADES, day=date(2022, 5, 2)))
    other = results(good, TRADES, venue="other")
    assert {(one.passed, one.checked_count, one.venue) for one in other} == {(True, 0, "other")}
    assert all("Nothing to look at" in one.detail for one in other)
    assert results(good, TRADES, day=date(2022, 5, 3)) == []


def test_a_withdrawn_bar_and_earlier_revisions_are_not_looked_at(good: WarehouseSettings) -> None:
    wrong = Decimal(9)
    rows = [bar(1, revision=0, volume=wrong), bar(7, volume=wrong), bar(7, revision=2, state="withdrawn", volume=wrong)]
    insert(Warehouse(good), [(BARS, one) for one in rows])
    assert all(one.passed for one in results(good, BARS))


def test_bars_that_the_venue_has_not_closed_or_we_heard_in_part_are_not_compared(good: WarehouseSettings) -> None:
    told = [
        venue_bar(0, volume=Decimal(5)),  # our first minute
        venue_bar(3, volume=Decimal(5)),  # our last
        venue_bar(1, instrument="BBB", volume=Decimal(5)),  # not ours
        venue_bar(2, id_space="spot.other", volume=Decimal(5), state="provisional"),
        venue_bar(2, id_space="usdm.kline_1m", volume=Decimal(5)),  # another market
    ]
    insert(Warehouse(good), [(VENUE_BARS, one | {"venue_sequence": 50 + n}) for n, one in enumerate(told)])
    assert all(one.passed for one in results(good, VENUE_BARS))


def test_outcomes_are_kept_and_the_view_shows_the_last_of_each(good: WarehouseSettings) -> None:
    warehouse = Warehouse(good)
    first = check_day(good, DAY, run_id="one", datasets=[TRADES])
    insert(warehouse, [(TRADES, trade(9, 9, price=Decimal(0)))])
    check_day(good, DAY, run_id="two", datasets=[TRADES])
    asked = "FROM system_check_results{} WHERE check_name = 'price_is_positive' ORDER BY known_time"
    kept = warehouse.rows("SELECT run_id, passed, checked_count, unexpected_count, sample, detail, level, day_time "
                          + asked.format(""))  # fmt: skip
    assert [one[:4] for one in kept] == [("one", 1, 4, 0), ("two", 0, 5, 1)]
    (offender,) = json.loads(kept[1][4])
    assert (offender["trade_id"], offender["price"]) == ("9", "0")
    assert kept[1][5] == "price is greater than zero. Of 5 rows 1 speaks against it."
    assert kept[1][6:] == ("stop", datetime(2022, 5, 1))
    assert warehouse.rows("SELECT run_id " + asked.format("_current")) == [("two",)]
    assert warehouse.value("SELECT count() FROM system_check_results") == 2 * len(first[0].results)


def test_data_docs_say_what_was_found_and_need_no_network(good: WarehouseSettings, tmp_path: Path) -> None:
    insert(Warehouse(good), [(TRADES, trade(9, 987654, price=Decimal(0)))])
    folders = Folders.under(tmp_path)
    (run,) = run_suites(good, DAY, datasets=[TRADES], folders=folders)
    assert run.page is not None
    assert run.page == folders.docs / page_of(run.dataset, run.day)
    text = run.page.read_text()
    for told in (
        "price_is_positive (stop)",
        "price is greater than zero",
        "987654",
        "a_trade_id_occurs_once_in_its_series",
    ):
        assert told in text
    for page in (run.page, folders.docs / "index.html"):
        assert re.findall(r"<(?:link|script|img|source|iframe)[^>]*https?://", page.read_text()) == []
    index = (folders.docs / "index.html").read_text()
    assert str(run.page.relative_to(folders.docs)) in index
    (again,) = run_suites(good, DAY, datasets=[TRADES], folders=folders)
    assert again.page == run.page
    assert len(list(folders.docs.glob("validations/**/*.html"))) == 1


def test_a_warehouse_that_is_away_may_be_tried_again_and_a_claim_it_cannot_answer_may_not(
    good: WarehouseSettings,
) -> None:
    with pytest.raises(RetryableError):
        run_suites(WarehouseSettings("127.0.0.1", 1), DAY)  # nobody listens there
    claim = Claim("a_claim", "stop", "", BETWEEN, between("no_such_column", least=1))
    suite = Suite(TRADES, "odd", "SELECT venue, 1 AS one", ("venue",), (claim,))
    with pytest.raises(TerminalError, match=r"the claim a_claim of market\.trades\.odd could not be put"):
        Engine(open_context(None), good).hold(suite, "SELECT 1 AS one")


def test_a_dataset_without_suites_is_named_with_the_valid_ones() -> None:
    with pytest.raises(TerminalError, match=r"'market\.tradez'; valid: market\.trades, "):
        checked("market.tradez")


def test_great_expectations_can_be_imported_by_a_process_without_a_main_file() -> None:
    # As Dagster's run workers are. pyspark takes such a process for its doctests, and may end it.
    code = "import quality.suites.engine; print('alive')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "alive", done.stderr
