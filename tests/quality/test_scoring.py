"""Days scored in a real warehouse: each fault costs its reason and no other, and nothing is written twice."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from contracts.bars import BARS
from contracts.dataset import Dataset, Type
from contracts.gaps import GAPS
from contracts.ledger import LEDGER
from contracts.quarantine import QUARANTINE
from contracts.quotes import QUOTES
from contracts.scores import BAR_SCORES, DEDUCTIONS, SCORES
from contracts.trades import TRADES
from orchestration.prepare import MIGRATIONS
from orchestration.settings import REPOSITORY
from quality.scoring import DayScores, InstrumentScore, last_day, recent_days, score_day
from stores.arrow import arrow_schema
from stores.migrations import migrate
from stores.warehouse import Warehouse

DAY = date(2022, 6, 1)
MIDNIGHT = datetime(2022, 6, 1, tzinfo=UTC)
NOW = datetime(2022, 6, 2, 6, tzinfo=UTC)
MINUTES = 100
COUNTED = {"binance": {"spot.trade"}, "coinbase": {"exchange.trade"}, "kraken": {"spot.trade"}}
TABLES = (TRADES, BARS, QUOTES, GAPS, QUARANTINE, LEDGER, SCORES, DEDUCTIONS, BAR_SCORES)


def after(minutes: float, seconds: float = 0) -> datetime:
    return MIDNIGHT + timedelta(minutes=minutes, seconds=seconds)


@dataclass
class Stored:
    """The warehouse, with a day of one trade a minute to spoil."""

    warehouse: Warehouse

    def put(self, dataset: Dataset, *rows: dict[str, Any]) -> None:
        zero = {Type.STRING: "", Type.BYTES: b"", Type.TIMESTAMP: MIDNIGHT}
        blank = {c.name: zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(0) for c in dataset.columns}
        table = pa.Table.from_pylist([blank | row for row in rows], schema=arrow_schema(dataset.columns))
        self.warehouse.insert(dataset.table, table, token=secrets.token_hex(8))

    def trade(self, minute: int, **more: Any) -> dict[str, Any]:
        happened = after(minute, 30)
        return {
            "venue": "binance", "instrument": "BTCUSDT", "id_space": "spot.trade", "trade_id": str(minute),
            "venue_sequence": minute, "price": Decimal(100), "quantity": Decimal(2), "side": "buy", "trade_count": 1,
            "event_time": happened, "received_time": happened + timedelta(milliseconds=80), "connection_id": "c",
            "ingested_time": happened, "topic_id": "t", "kafka_offset": minute,
        } | more  # fmt: skip

    def bar(self, trade: dict[str, Any], **more: Any) -> dict[str, Any]:
        price, quantity = trade["price"], trade["quantity"]
        return {
            **{name: trade[name] for name in ("venue", "instrument", "id_space", "trade_count")},
            "bar_time": trade["event_time"].replace(second=0, microsecond=0), "state": "final", "revision": 1,
            "open": price, "high": price, "low": price, "close": price, "volume": quantity,
            "notional": price * quantity, "known_time": NOW,
        } | more  # fmt: skip

    def day(self, minutes: Any = range(MINUTES), **more: Any) -> None:
        """Store a trade and its bar in each of the minutes."""
        trades = [self.trade(minute, **more) for minute in minutes]
        self.put(TRADES, *trades)
        self.put(BARS, *(self.bar(trade) for trade in trades))

    def gap(self, **more: Any) -> None:
        self.put(
            GAPS,
            {"venue": "binance", "instrument": "BTCUSDT", "id_space": "spot.trade", "gap_number": 7, "revision": 1,
             "kind": "trade_ids", "state": "open", "missing_count": 25, "from_time": after(3), "to_time": after(4),
             } | more,
        )  # fmt: skip

    def refuse(self, payload: bytes, **more: Any) -> None:
        received = after(5, 31)
        self.put(
            QUARANTINE,
            {"venue": "binance", "dataset": "market.trades", "payload": payload, "received_time": received} | more,
        )

    def score(self, now: datetime = NOW, venue: str = "") -> DayScores:
        return score_day(self.warehouse, query, DAY, counted=COUNTED, venue=venue, now=now)

    def lost(self, scored: DayScores | None = None) -> dict[str, tuple[int, int]]:
        """Return what Binance's instrument lost: reason to affected and total."""
        one = of(scored or self.score(), "binance")
        return {d.reason: (d.affected, d.total) for d in one.deductions}

    def bar_scores(self) -> dict[int, Decimal]:
        """Return the scores of Binance's bars that are not 1."""
        found = self.warehouse.rows(
            "SELECT intDiv(toUnixTimestamp64Micro(bar_time), 60000000), score FROM market_bars_scored "
            "WHERE venue = 'binance' AND score != 1 ORDER BY bar_time"
        )
        return {int(minute) - int(MIDNIGHT.timestamp()) // 60: score for minute, score in found}


def of(scored: DayScores, venue: str) -> InstrumentScore:
    return next(one for one in scored.scores if one.venue == venue)


def query(name: str) -> str:
    return (REPOSITORY / "sql" / "queries" / f"{name}.sql").read_text()


@pytest.fixture(scope="module")
def database(platform: Any) -> Iterator[Warehouse]:
    server = Warehouse(platform.warehouse)
    server.run("DROP DATABASE IF EXISTS scoring_test")
    server.run("CREATE DATABASE scoring_test")
    warehouse = Warehouse(replace(platform.warehouse, database="scoring_test"))
    migrate(warehouse, MIGRATIONS)
    yield warehouse
    server.run("DROP DATABASE scoring_test")


@pytest.fixture
def stored(database: Warehouse) -> Stored:
    for dataset in TABLES:
        database.run(f"TRUNCATE TABLE {dataset.table}")
    return Stored(database)


def test_a_day_without_fault_scores_1_with_its_bars_and_is_written_once(stored: Stored) -> None:
    stored.day()
    assert stored.warehouse.value("SELECT countIf(score IS NULL) FROM market_bars_scored") == MINUTES
    first = stored.score()
    assert [str(value) for value in of(first, "binance").score.values] == ["1.000000"] * 6
    assert (first.written_scores, first.written_deductions, first.written_bar_scores) == (1, 0, MINUTES)
    again = stored.score(NOW + timedelta(hours=1))
    assert (again.written_scores, again.written_deductions, again.written_bar_scores) == (0, 0, 0)
    assert stored.warehouse.rows("SELECT venue, instrument, revision, toDate(day_time) FROM system_scores") == [
        ("binance", "BTCUSDT", 1, DAY)
    ]
    assert stored.warehouse.value("SELECT countIf(score = 1) FROM market_bars_scored") == MINUTES


def test_a_gap_costs_what_is_missing_until_it_is_filled_and_then_no_old_deduction_is_shown(stored: Stored) -> None:
    stored.day()
    stored.gap()
    assert stored.lost() == {"trades_missing": (25, 125)}
    assert stored.bar_scores() == {3: Decimal("0.038462"), 4: Decimal("0.038462")}
    current = "SELECT reason, revision, deducted FROM system_deductions_current"
    assert stored.warehouse.rows(current) == [("trades_missing", 1, Decimal("0.200000"))]
    stored.gap(revision=2, state="filled", missing_count=0)
    assert stored.lost() == {}
    assert stored.warehouse.rows(current) == []
    assert stored.warehouse.rows("SELECT revision, score FROM system_scores_current") == [(2, Decimal(1))]
    assert stored.bar_scores() == {}
    assert stored.warehouse.value("SELECT count() FROM system_bar_scores WHERE revision = 2") == 2


def test_another_deduction_is_a_new_revision_even_when_the_score_stays(stored: Stored) -> None:
    stored.day()
    stored.gap()
    stored.score()
    stored.gap(revision=2, state="unfillable")
    scored = stored.score()
    assert (scored.written_scores, scored.written_deductions, scored.written_bar_scores) == (1, 1, 0)
    assert "unfillable" in of(scored, "binance").deductions[0].detail


def test_a_silence_that_no_id_tells_of_costs_its_minutes_and_one_of_a_book_none(stored: Stored) -> None:
    stored.day([m for m in range(MINUTES) if not 40 <= m < 50])
    silence = {"kind": "silence", "missing_count": -1, "from_time": after(39, 30), "to_time": after(50, 30)}
    stored.gap(**silence, id_space="spot.depth")
    assert stored.lost() == {"minutes_without_trades": (10, 100)}
    stored.gap(**silence, gap_number=8)
    assert stored.lost() == {"minutes_not_heard": (12, 100)}
    assert stored.bar_scores() == {39: Decimal(0), 50: Decimal(0)}


def test_the_venues_day_ends_with_its_last_trade_of_any_instrument(stored: Stored) -> None:
    stored.day()
    assert stored.lost() == {}
    stored.day(range(120), instrument="ETHUSDT")
    scored = stored.score()
    lost = {one.instrument: [(d.reason, d.affected, d.total) for d in one.deductions] for one in scored.scores}
    assert lost == {"BTCUSDT": [("minutes_without_trades", 20, 120)], "ETHUSDT": []}


def test_a_series_without_ids_is_not_taken_for_complete(stored: Stored) -> None:
    stored.day(venue="kraken", id_space="v1.trade", instrument="ADA/USD")
    (one,) = stored.score().scores
    assert [(d.reason, d.affected, d.total) for d in one.deductions] == [("completeness_unknown", MINUTES, MINUTES)]
    assert one.score.score == one.score.completeness == Decimal("0.95")


def test_quarantine_counts_for_the_instrument_it_names_and_else_lightly_for_all_of_the_venue(stored: Stored) -> None:
    stored.day()
    stored.day(venue="coinbase", instrument="BTC-USD", id_space="exchange.trade")
    stored.refuse(b'{"s": "BTCUSDT", "p": "-1"}', kafka_offset=1)
    stored.refuse(b"{", kafka_offset=2, dataset="tape")
    stored.refuse(b"BTCUSDT", kafka_offset=3, dataset="market.quotes")
    stored.refuse(b"BTCUSDT", kafka_offset=4, received_time=after(-60))
    stored.refuse(b"BTCUSDT", kafka_offset=5, received_time=after(300))
    scored = stored.score()
    assert stored.lost(scored) == {"trades_quarantined": (1, 101), "payloads_unreadable": (1, 101)}
    assert of(scored, "coinbase").deductions == ()
    assert stored.bar_scores() == {5: Decimal("0.450000")}


def test_repeats_of_the_ledgers_ranges_are_shared_out_by_what_the_ranges_brought(stored: Stored) -> None:
    stored.day()
    known = {"sink": "warehouse.market_trades", "topic_id": "t", "first_offset": 0, "last_offset": 49}
    stored.put(LEDGER, known | {"stored_count": 100, "duplicate_count": 20})
    stored.put(
        LEDGER,
        known | {"sink": "warehouse.market_quotes", "first_offset": 9, "stored_count": 50, "duplicate_count": 50},
    )
    stored.put(LEDGER, known | {"topic_id": "before", "stored_count": 50, "duplicate_count": 50})
    scored = stored.score()
    assert stored.lost(scored) == {"trades_heard_twice": (10, 110)}
    assert of(scored, "binance").score.score == Decimal("0.998182")


def test_a_trade_that_is_stored_twice_costs_its_share(stored: Stored) -> None:
    stored.day()
    stored.put(TRADES, stored.trade(7, venue_sequence=7_000))
    double = stored.bar(stored.trade(7), volume=Decimal(4), notional=Decimal(400), trade_count=2, revision=2)
    stored.put(BARS, double)
    assert stored.lost() == {"trades_stored_twice": (1, 101)}


def test_on_a_live_feed_the_difference_of_the_clocks_is_no_lateness(stored: Stored) -> None:
    def received(minute: int, lag_s: float) -> dict[str, Any]:
        return {"received_time": after(minute, 30 + lag_s)}

    skew = -4.0
    late = {10: 15.0, 20: 61.0, 30: 9.0}
    stored.put(TRADES, *(stored.trade(m, **received(m, skew + late.get(m, 0))) for m in range(MINUTES)))
    stored.put(BARS, *(stored.bar(stored.trade(m)) for m in range(MINUTES)))
    assert stored.lost() == {"arrived_after_10_s": (2, MINUTES), "arrived_after_60_s": (1, MINUTES)}
    assert stored.bar_scores() == {10: Decimal("0.800000"), 20: Decimal("0.500000")}


@pytest.mark.parametrize("speed", [0.5, 1.0, 6.0, 100.0])
def test_a_replayed_tape_is_not_late_at_any_speed_but_what_came_back_by_rest_is(stored: Stored, speed: float) -> None:
    begin = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def heard(minute: int) -> datetime:
        return begin + timedelta(minutes=minute) / speed

    back = {10: 14, 40: 90}
    trades = [stored.trade(m, received_time=heard(back.get(m, m))) for m in range(MINUTES)]
    stored.put(TRADES, *trades)
    stored.put(BARS, *(stored.bar(trade) for trade in trades))
    assert stored.lost() == {"arrived_after_10_s": (2, MINUTES), "arrived_after_60_s": (2, MINUTES)}


def test_bars_that_their_trades_do_not_give_are_counted_also_those_too_many_and_too_few(stored: Stored) -> None:
    trades = [stored.trade(m) for m in range(MINUTES)]
    stored.put(TRADES, *trades)
    wrong: dict[int, dict[str, Any]] = {
        5: {"volume": Decimal("2.000000000001")},
        6: {"close": Decimal(99)},
        7: {"trade_count": 2},
    }
    stored.put(BARS, *(stored.bar(t, **wrong.get(m, {})) for m, t in enumerate(trades) if m != 8))
    stored.put(BARS, stored.bar(stored.trade(101)))
    stored.put(BARS, stored.bar(stored.trade(102), state="withdrawn"))
    scored = stored.score()
    assert stored.lost(scored) == {"bars_differ_from_trades": (5, 101)}
    assert stored.bar_scores() == dict.fromkeys([5, 6, 7, 101], Decimal(0))


def test_trades_that_were_just_stored_contradict_no_bar_yet(stored: Stored) -> None:
    stored.day()
    stored.put(TRADES, stored.trade(100, ingested_time=NOW - timedelta(seconds=5)))
    assert stored.lost() == {}
    assert stored.lost(stored.score(NOW + timedelta(minutes=5))) == {"bars_differ_from_trades": (1, 101)}


def test_a_price_off_the_other_venues_costs_the_odd_one_out_and_both_where_there_are_two(stored: Stored) -> None:
    stored.day(venue="coinbase", instrument="BTC-USD", id_space="exchange.trade", price=Decimal("101.9"))
    stored.day()
    assert {one.venue: one.deductions for one in stored.score().scores} == {"binance": (), "coinbase": ()}
    stored.day(venue="kraken", instrument="XBT/USD", price=Decimal(50))
    stored.day(venue="kraken", instrument="ETH/USD", price=Decimal(7))
    scored = stored.score()
    lost = {(one.venue, one.instrument): [d.affected for d in one.deductions] for one in scored.scores}
    assert lost == {
        ("binance", "BTCUSDT"): [MINUTES],
        ("coinbase", "BTC-USD"): [MINUTES],
        ("kraken", "XBT/USD"): [MINUTES],
        ("kraken", "ETH/USD"): [],
    }
    stored.day(venue="okx", instrument="BTC/USDT", id_space="trade")
    odd = {one.venue for one in stored.score().scores if "price_off_other_venues" in {d.reason for d in one.deductions}}
    assert odd == {"kraken"}


def test_crossed_quotes_count_of_those_with_both_sides(stored: Stored) -> None:
    stored.day()
    sides = [(99, 101), (101, 101), (102, 101), (0, 101), (99, 0)]
    stored.put(
        QUOTES,
        *(
            {"venue": "binance", "instrument": "BTCUSDT", "id_space": "spot.book_ticker", "update_id": str(n),
             "bid_price": Decimal(bid), "ask_price": Decimal(ask), "event_time": after(9)}
            for n, (bid, ask) in enumerate(sides)
        ),
    )  # fmt: skip
    assert stored.lost() == {"quotes_crossed": (2, 3)}
    assert stored.bar_scores() == {9: Decimal("0.666667")}


def test_who_did_not_trade_has_no_score_and_a_venue_can_be_scored_alone(stored: Stored) -> None:
    assert stored.score().scores == ()
    assert last_day(stored.warehouse) is None
    stored.day()
    stored.day(venue="coinbase", instrument="BTC-USD", id_space="exchange.trade")
    stored.put(BARS, stored.bar(stored.trade(3, instrument="DOTUSDT")))
    scored = stored.score(venue="coinbase")
    assert [one.venue for one in scored.scores] == ["coinbase"]
    assert stored.warehouse.rows("SELECT DISTINCT venue FROM system_bar_scores") == [("coinbase",)]
    assert {one.instrument for one in stored.score().scores} == {"BTCUSDT", "BTC-USD"}


def test_days_whose_bars_changed_lately_are_due_whatever_day_they_are(stored: Stored) -> None:
    stored.day()
    old = stored.bar(stored.trade(0), bar_time=after(-3000), known_time=NOW - timedelta(hours=4))
    stored.put(BARS, old)
    assert recent_days(stored.warehouse, NOW) == [DAY]
    assert last_day(stored.warehouse) == DAY
