"""Alert rules on frames are what exact arithmetic says, digit for digit; rows judged alone as frames are."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

from contracts.alert_rules import AlertRule, parse_rules
from contracts.judging import broken_rule
from contracts.quotes import QUOTES
from contracts.trades import TRADES
from spark.alerts import REFERENCE, alerts
from spark.references import Close, references
from spark.schema import broken_rule as broken_rule_in_sql
from spark.schema import wire_schema

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
NEAREST = timedelta(minutes=15)
prices = st.one_of(
    st.decimals("0.000000000001", "99999999999.999999999999", places=12), st.sampled_from([Decimal(100), Decimal(101)])
)
limits = st.one_of(st.decimals("0.000001", "999.999999", places=6), st.sampled_from([Decimal(1), Decimal("0.5")]))


def rule(kind: str, limit: Decimal) -> AlertRule:
    return AlertRule(kind, kind, limit)


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "venue": "v1", "instrument": "ONE", "id_space": "s", "venue_sequence": number, "event_time": EPOCH,
        "received_time": EPOCH, "connection_id": "c", "message_number": number, "message_index": 0,
    } | more  # fmt: skip


def fired(
    spark: SparkSession, trades: list[Any], quotes: list[Any], known: list[Any], rules: list[AlertRule]
) -> set[tuple[str, str]]:
    tables = [
        spark.createDataFrame([tuple(row.get(n) for n in wire_schema(d).names) for row in rows], wire_schema(d))
        for d, rows in ((TRADES, trades), (QUOTES, quotes))
    ]
    table = spark.createDataFrame([tuple(row.get(n) for n in REFERENCE.names) for row in known], REFERENCE)
    found = alerts(tables[0], tables[1], table, rules, NEAREST)
    return {(r["rule"], r["event_id"]) for r in found.collect()}


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(prices, prices, limits, st.integers(-20, 20)), min_size=30, max_size=60))
def test_rules_are_exact(spark: SparkSession, cases: list[tuple[Decimal, Decimal, Decimal, int]]) -> None:
    limit = cases[0][2]
    rules = [rule(kind, limit) for kind in ("price_move", "venue_jump", "spread", "crossed")]
    trades, quotes, known, expected = [], [], [], set()
    for number, (first, second, _, minutes) in enumerate(cases):
        name, time = f"I{number}", EPOCH + timedelta(minutes=minutes)
        trades.append(event(number, instrument=name, trade_id=f"t{number}", price=first))
        quotes.append(event(number, instrument=name, update_id=f"q{number}", bid_price=first, ask_price=second))
        known.append(
            {
                "reference_venue": "v1",
                "reference_instrument": name,
                "price_move_price": second,
                "price_move_time": time,
                "venue_jump_price": second if number % 2 else None,
                "venue_jump_time": time,
            }
        )
        # As fractions: decimals of Python's round to 28 digits.
        price, other, most = Fraction(first), Fraction(second), Fraction(limit)
        if abs(price - other) * 100 > other * most and abs(minutes) <= 15:
            expected |= {("price_move", f"t{number}")} | ({("venue_jump", f"t{number}")} if number % 2 else set())
        if price > other and (price - other) * 100 > other * most:
            expected.add(("crossed", f"q{number}"))
        if price <= other and (other - price) * 200 > (other + price) * most:
            expected.add(("spread", f"q{number}"))
    assert fired(spark, trades, quotes, known, rules) == expected


def test_patterns_choose_venues_and_instruments(spark: SparkSession) -> None:
    names = ("BTC-USD", "btc-usd", "BTC_USD", "BTCXUSD", "ETH%USD", "ETHXUSD", "X\\Y")
    patterns = ("*", "BTC*", "btc-*", "BTC_USD", "BTC?USD", "ETH%USD", "X\\Y")
    told = [{"name": f"p{n}", "kind": "crossed", "instrument": p, "venue": "V?"} for n, p in enumerate(patterns)]
    sides = {"bid_price": Decimal(2), "ask_price": Decimal(1)}
    quotes = [
        event(number, instrument=name, venue=venue, update_id=f"{venue}{name}", **sides)
        for number, name in enumerate(names) for venue in ("v1", "other")
    ]  # fmt: skip
    expected = {
        (f"p{number}", f"v1{name}")
        for number, pattern in enumerate(patterns) for name in names if fnmatchcase(name.upper(), pattern.upper())
    }  # fmt: skip
    assert fired(spark, [], quotes, [], list(parse_rules(told))) == expected


def close(venue: str, price: str, base: str = "BTC", quote: str = "USD", minutes: int = 0, kind: str = "spot") -> Close:
    micros = int((EPOCH + timedelta(minutes=minutes)).timestamp()) * 1_000_000
    return Close(venue, f"{base}/{quote}", kind, base, quote, Decimal(price), micros)


def test_references_are_the_own_close_and_the_middle_of_the_others() -> None:
    closes = [
        close("a", "10"), close("b", "11", quote="USDT"), close("c", "12"), close("d", "99", minutes=-16),
        close("e", "50", quote="EUR"), close("f", "70", kind="perpetual"), close("g", "5", base=""),
    ]  # fmt: skip
    rows = references(closes, ("USD", "USDT"), NEAREST)
    found = {row["reference_venue"]: (row["price_move_price"], row.get("venue_jump_price")) for row in rows}
    assert found == {
        "a": ("10", "11"), "b": ("11", "10"), "c": ("12", "10"), "d": ("99", "11"),
        "e": ("50", None), "f": ("70", None), "g": ("5", None),
    }  # fmt: skip


values = {
    "venue": st.sampled_from(["v", "", "x" * 65]),
    "trade_id": st.sampled_from(["1", ""]),
    "price": st.sampled_from([Decimal(0), Decimal("0.1"), Decimal(-1), Decimal(100000000001)]),
    "quantity": st.sampled_from([Decimal(1), Decimal(99999999999), Decimal(0)]),
    "side": st.sampled_from(["buy", "sell", "hold"]),
    "trade_count": st.sampled_from([0, 1]),
    "event_time": st.sampled_from([0, 1_700_000_000_000_000, 1_700_000_000_000_000 + 86_400_000_001]),
}


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries(values), min_size=60, max_size=120))
def test_a_row_judged_alone_breaks_the_rule_that_the_frame_says(spark: SparkSession, changes: list[Any]) -> None:
    fine = event(1, trade_id="1", price=Decimal(1), quantity=Decimal(1), side="buy", trade_count=1)
    rows = [fine | change | {"received_time": 1_700_000_000_000_000} for change in changes]

    def moment(micros: int) -> datetime:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)

    times = [r | {n: moment(r[n]) for n in ("event_time", "received_time")} for r in rows]
    frame = spark.createDataFrame([tuple(r[n] for n in wire_schema(TRADES).names) for r in times], wire_schema(TRADES))
    told = frame.select(f.expr(broken_rule_in_sql(TRADES, prefix="")).alias("reason")).collect()
    assert [r["reason"] for r in told] == [broken_rule(TRADES, r) for r in rows]
