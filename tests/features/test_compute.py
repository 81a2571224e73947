"""Features by hand: values, known times, minutes without anything, revisions."""

from datetime import timedelta
from decimal import Decimal
from math import log, sqrt
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import TerminalError
from features.catalog import CATALOG, chosen
from features.compute import compute, reach, revised
from features.declared import KEYS, Feature
from features.lint import MOMENTS
from features.market import BARS
from tests.features.market import frames
from tests.features.series import START, walk

MINUTE = timedelta(minutes=1)


def rows(names: list[str], handed: dict[str, pl.DataFrame], venue: str = "binance") -> list[dict[str, Any]]:
    """Return the rows of one venue of features that are of one source."""
    [frame] = compute(chosen(names), handed).values()
    return frame.filter(pl.col("venue") == venue).to_dicts()


def test_returns_and_volatility_are_of_the_clock_through_minutes_without_a_trade() -> None:
    bars = walk(20).filter(~pl.int_range(pl.len()).is_in([7, 8]))
    close = {row["bar_time"]: float(row["close"]) for row in bars.to_dicts()}
    made = rows(["return_1m", "return_5m", "volatility_15m", "minutes_since_trade"], {"bars": bars})
    assert [row["event_time"] for row in made] == [START + (minute + 1) * MINUTE for minute in range(20)]
    at = {minute: close[START + (6 if minute in (7, 8) else minute) * MINUTE] for minute in range(20)}
    assert made[8]["return_1m"] == 0.0
    assert made[9]["return_1m"] == pytest.approx(log(at[9] / at[6]))
    assert made[12]["return_5m"] == pytest.approx(log(at[12] / at[6]))
    squares = [log(at[minute] / at[minute - 1]) ** 2 for minute in range(5, 20)]
    assert made[19]["volatility_15m"] == pytest.approx(sqrt(sum(squares)))
    assert [row["minutes_since_trade"] for row in made[6:10]] == [0, 1, 2, 0]
    assert [row["volatility_15m"] is None for row in made] == [True] * 15 + [False] * 5


def test_trades_are_counted_by_who_began_them() -> None:
    trades = pl.DataFrame(
        {
            "venue": ["binance"] * 3,
            "instrument": ["BTCUSDT"] * 3,
            "event_time": [START, START + timedelta(seconds=59), START + MINUTE],
            "venue_sequence": [1, 2, 3],
            "price": [Decimal(100), Decimal(101), Decimal(102)],
            "quantity": [Decimal(1), Decimal(2), Decimal(1)],
            "side": ["buy", "sell", "sell"],
            "ingested_time": [START + MINUTE * 5, START + MINUTE * 3, START + MINUTE * 2],
        }
    )
    first, second = rows(["trade_imbalance_1m", "trade_sign_last"], {"trades": trades})
    assert first["trade_imbalance_1m"] == pytest.approx((100 - 202) / 302)
    assert (first["event_time"], first["known_time"]) == (START + MINUTE, START + MINUTE * 5)
    assert (second["trade_imbalance_1m"], second["trade_sign_last"]) == (-1.0, -1.0)
    untold = trades.with_columns(side=pl.Series(["buy", "unknown", "unknown"]))
    first, second = rows(["trade_imbalance_1m", "trade_sign_last"], {"trades": untold})
    assert (first["trade_imbalance_1m"], first["trade_sign_last"], second["trade_sign_last"]) == (1.0, 0.0, 0.0)


def test_order_flow_is_what_came_less_what_left() -> None:
    # Bid: 5 at 100, then 7 at 100 (2 came), then 3 at 101 (3 came). Ask: 4 at 102, then 1 at 102 (3 left), then gone.
    quotes = pl.DataFrame(
        {
            "venue": ["binance"] * 3,
            "instrument": ["BTCUSDT"] * 3,
            "event_time": [START + timedelta(seconds=second) for second in range(3)],
            "venue_sequence": [1, 2, 3],
            "bid_price": [100.0, 100.0, 101.0],
            "bid_quantity": [5.0, 7.0, 3.0],
            "ask_price": [102.0, 102.0, 103.0],
            "ask_quantity": [4.0, 1.0, 6.0],
            "known_time": [START + timedelta(seconds=second) for second in range(3)],
        }
    )
    [row] = rows(["order_flow_imbalance_1m", "spread", "quote_imbalance", "microprice_gap"], {"quotes": quotes})
    depth = (9 + 8 + 9) / 3
    assert row["order_flow_imbalance_1m"] == pytest.approx((2 + 3 + 3 + 1) / depth)
    assert row["spread"] == pytest.approx(2 / 102 * 1e4)
    assert row["quote_imbalance"] == pytest.approx((3 - 6) / 9)
    assert row["microprice_gap"] == pytest.approx(((101 * 6 + 103 * 3) / 9 / 102 - 1) * 1e4)
    # No row is known before its minute has ended.
    assert row["known_time"] == row["event_time"] == START + MINUTE


def test_the_basis_is_against_other_venues_that_traded_lately() -> None:
    own, other = walk(30), walk(30, seed=8, instrument="XBT/USD").with_columns(venue=pl.lit("kraken"))
    silent = other.filter(~pl.int_range(pl.len()).is_between(10, 19))
    made = rows(["basis"], {"bars": pl.concat([own, silent]), "pairs": frames(1)["pairs"]})
    expected = [(float(a) / float(b) - 1) * 1e4 for a, b in zip(own["close"], other["close"], strict=True)]
    assert made[9]["basis"] == pytest.approx(expected[9])
    assert [row["basis"] is None for row in made[9:21]] == [False] * 6 + [True] * 5 + [False]
    assert made[20]["basis"] == pytest.approx(expected[20])


def test_a_row_is_known_with_the_newest_row_of_its_window() -> None:
    late = START + timedelta(days=1)
    bars = walk(30).with_columns(known_time=pl.when(pl.int_range(pl.len()) == 9).then(late).otherwise("known_time"))
    made = rows(["return_5m"], {"bars": bars})
    assert [place for place, row in enumerate(made) if row["known_time"] == late] == list(range(9, 15))
    both = rows(["return_5m", "return_15m"], {"bars": bars})
    assert [place for place, row in enumerate(both) if row["known_time"] == late] == list(range(9, 25))


def test_a_withdrawn_bar_is_a_minute_without_trades_that_is_known_since_then() -> None:
    gone, late = pl.int_range(pl.len()) == 9, START + timedelta(days=1)
    bars = walk(30).with_columns(
        state=pl.when(gone).then(pl.lit("withdrawn")).otherwise(pl.lit("final")),
        known_time=pl.when(gone).then(late).otherwise("known_time"),
    )
    made = rows(["return_1m", "minutes_since_trade"], {"bars": bars})
    assert (made[9]["return_1m"], made[9]["minutes_since_trade"], made[9]["known_time"]) == (0.0, 1.0, late)
    close = [float(value) for value in bars["close"]]
    assert made[10]["return_1m"] == pytest.approx(log(close[10] / close[8]))
    # Nothing that is held through a minute without trades is known before the bar that it is held from.
    corrected = bars.with_columns(
        known_time=pl.when(pl.int_range(pl.len()) == 8).then(late + MINUTE).otherwise("known_time")
    )
    assert rows(["minutes_since_trade"], {"bars": corrected})[9]["known_time"] == late + MINUTE


def test_an_incomplete_book_says_nothing() -> None:
    books = frames(10)["books"].with_columns(
        state=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("complete")).otherwise(pl.lit("incomplete")),
    )
    without = books.filter(pl.col("state") == "complete")
    assert rows(["depth_imbalance_5"], {"books": books}) == rows(["depth_imbalance_5"], {"books": without})


def test_what_is_missing_or_told_twice_is_refused() -> None:
    with pytest.raises(TerminalError, match="features of bars need the frames bars; bars is not among"):
        compute(chosen(["return_1m"]), {})
    with pytest.raises(TerminalError, match="more than once; hand in one revision"):
        compute(chosen(["return_1m"]), {"bars": pl.concat([walk(3), walk(3)])})
    doubled = frames(5)["trades"].with_columns(id_space=pl.lit("trades"))
    with pytest.raises(TerminalError, match="binance BTCUSDT in the id spaces aggregates, trades"):
        aggregates = doubled.with_columns(id_space=pl.lit("aggregates"))
        compute(chosen(["trade_sign_last"]), {"trades": pl.concat([doubled, aggregates])})
    with pytest.raises(TerminalError, match="must be a whole minute"):
        compute(chosen(["return_1m"]), {"bars": walk(3)}, until=START + timedelta(seconds=1))
    with pytest.raises(TerminalError, match="lacks close; it has"):
        compute(chosen(["return_1m"]), {"bars": walk(3).drop("close")})
    with pytest.raises(TerminalError, match="there is no feature 'return_2m'"):
        chosen(["return_2m"])
    with pytest.raises(TerminalError, match="whole minutes"):
        Feature("short", BARS, pl.col("close"), timedelta(seconds=5), "none", "Too short.")


def test_a_days_rows_go_to_its_end_and_are_those_of_the_whole() -> None:
    market = frames(400)
    end = START + timedelta(minutes=300)
    features = [feature for feature in CATALOG.values() if feature.window <= timedelta(hours=1)]
    whole = compute(features, market)
    upto = {
        name: frame.filter(pl.col(MOMENTS[name][0]) + MOMENTS[name][1] <= end) if name in MOMENTS else frame
        for name, frame in market.items()
    }
    quiet = {name: frame.filter(pl.col("venue") != "binance") for name, frame in upto.items()}
    for name, frame in compute(features, upto, until=end).items():
        assert frame.equals(whole[name].filter(pl.col("event_time") <= end), null_equal=True), name
    for name, frame in compute(features, quiet, until=end).items():
        assert frame["event_time"].max() == end, name
    assert reach(features)["bars"] == timedelta(hours=1)


def test_no_rows_in_give_no_rows_out() -> None:
    empty = {name: frame.clear() for name, frame in frames(2).items()}
    for name, frame in compute(CATALOG.values(), empty).items():
        assert frame.height == 0, name


def test_the_order_of_what_is_handed_in_does_not_matter() -> None:
    market = frames(200)
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=1) for name, frame in market.items()}
    straight, mixed = compute(CATALOG.values(), market), compute(CATALOG.values(), shuffled)
    for name, frame in straight.items():
        assert frame.equals(mixed[name], null_equal=True), name


def test_names_may_come_as_categories() -> None:
    market = frames(40)
    categories = {
        name: frame.with_columns(pl.col("venue", "instrument").cast(pl.Categorical)) for name, frame in market.items()
    }
    for name, frame in compute(CATALOG.values(), market).items():
        assert frame.equals(compute(CATALOG.values(), categories)[name], null_equal=True), name


def test_a_revision_is_told_once_and_only_where_something_changed() -> None:
    bars, late = walk(40), START + timedelta(days=1)
    features = chosen(["return_1m", "return_5m"])
    first = compute(features, {"bars": bars})["bars"]
    assert revised(first.clear(), first).equals(first)
    assert revised(first, first).height == 0

    hit = pl.int_range(pl.len()) == 20
    moved = bars.with_columns(
        close=pl.when(hit).then(pl.col("close") + Decimal(1)).otherwise("close"),
        known_time=pl.when(hit).then(late).otherwise("known_time"),
    )
    second = compute(features, {"bars": moved})["bars"]
    told = revised(first, second)
    changed = [START + (minute + 1) * MINUTE for minute in (20, 21, 25)]
    assert told["event_time"].to_list() == changed
    assert set(told["known_time"]) == {late}
    stored = pl.concat([first, told])
    assert revised(stored, second).height == 0
    # Put back without a known time of its own, it is known later than what it takes the place of.
    back = revised(stored, first)
    assert back["event_time"].to_list() == changed
    assert set(back["known_time"]) == {late + timedelta(microseconds=1)}


def test_what_rounding_changed_is_no_revision_where_a_tolerance_says_so() -> None:
    first = compute(chosen(["return_1m", "return_5m"]), {"bars": walk(40)})["bars"]
    usual = float(first["return_1m"].abs().mean() or 0)  # type: ignore[arg-type]
    for share, told in ((1e-9, 0), (1e-3, 39)):
        moved = first.with_columns(pl.col("return_1m") + share * usual)
        assert revised(first, moved).height == 39
        assert revised(first, moved, tolerance=1e-6).height == told
    # A value that comes or goes is always told.
    assert revised(first, first.with_columns(return_1m=pl.lit(None, pl.Float64)), tolerance=1.0).height == 39


@settings(max_examples=30)
@given(st.sets(st.integers(1, 58), max_size=30), st.integers(0, 50))
def test_every_minute_has_a_row_and_none_is_known_before_its_end(gone: set[int], seed: int) -> None:
    bars = walk(60, seed).filter(~pl.int_range(pl.len()).is_in(sorted(gone)))
    made = compute(chosen(["return_1m", "volume_z_60m"]), {"bars": bars})["bars"]
    assert made["event_time"].to_list() == [START + (minute + 1) * MINUTE for minute in range(60)]
    assert (made["known_time"] >= made["event_time"]).all()
    assert made.columns == [*KEYS, "return_1m", "volume_z_60m"]
