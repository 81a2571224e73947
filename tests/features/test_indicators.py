"""Indicators over frames: definitions by hand, warm-up, holes, several series, prices of any size."""

from datetime import timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import TerminalError
from features.indicators.benchmark import with_benchmark
from features.indicators.catalog import INDICATORS, standard, use
from features.indicators.frames import compute
from features.indicators.holes import held, runs
from tests.features.series import START, largest, walk

MINUTE = timedelta(minutes=1)
ALL = [use(name) for name in INDICATORS]


def with_all_inputs(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the bars with a benchmark beside."""
    other = walk(bars.height, seed=99).select("bar_time", "close")
    return with_benchmark(bars, other)


def values(bars: pl.DataFrame, name: str, **parameters: int | float | str) -> list[float | None]:
    """Return the first output of an indicator."""
    made = use(name, **parameters)
    return compute(bars, [made]).get_column(made.columns[0]).to_list()


def test_every_indicator_is_null_through_its_warm_up_and_told_after_it() -> None:
    made = compute(with_all_inputs(walk(120)), ALL)
    for one in ALL:
        for column, warm_up in zip(one.columns, one.warm_up, strict=True):
            known = made.get_column(column).is_not_null()
            assert not known[:warm_up].any(), column
            assert known[warm_up:].all(), column


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_too_few_bars_give_rows_without_values(size: int) -> None:
    made = compute(with_all_inputs(walk(size)), [use("rsi"), use("adx"), use("kama"), use("wma"), use("cci")])
    assert made.height == size
    assert made.select(pl.exclude("venue", "instrument", "id_space", "bar_time", "known_time").is_null().all()).row(
        0
    ) == tuple([True] * 9)


def test_series_do_not_reach_into_each_other() -> None:
    first, second = walk(60, seed=1, instrument="A"), walk(50, seed=2, instrument="B")
    both = compute(with_all_inputs(pl.concat([second, first]).sample(fraction=1, shuffle=True, seed=3)), ALL)
    apart = pl.concat([compute(with_benchmark(one, walk(110, seed=99)), ALL) for one in (first, second)])
    assert both.drop("known_time").equals(apart.drop("known_time"), null_equal=True)


def test_twap_vwap_and_realised_volatility_are_what_they_are_by_hand() -> None:
    bars = walk(3)
    price = [[float(bars[name][row]) for name in ("open", "high", "low", "close")] for row in range(3)]
    assert values(bars, "twap", period=3)[2] == pytest.approx(sum(map(sum, price)) / 12)
    assert values(bars, "vwap", period=3)[2] == pytest.approx(float(sum(bars["notional"]) / sum(bars["volume"])))
    moves = np.diff(np.log([row[3] for row in price]))
    assert values(bars, "realised_volatility", period=2)[2] == pytest.approx(np.sqrt((moves**2).sum()))
    yearly = values(bars, "realised_volatility", period=2, year=525_600.0)[2]
    assert yearly == pytest.approx(np.sqrt((moves**2).mean() * 525_600))


def test_vwap_begins_anew_with_each_day() -> None:
    bars = walk(30, every=timedelta(hours=1))
    made = values(bars, "vwap", anchor="day")
    first = bars["bar_time"].dt.date().to_list().index((START + timedelta(days=1)).date())
    assert made[first] == pytest.approx(float(bars["notional"][first] / bars["volume"][first]))
    assert made[first - 1] != pytest.approx(float(bars["notional"][first - 1] / bars["volume"][first - 1]))


@given(st.integers(-16, 9))
def test_a_price_of_any_size_gives_the_same_oscillators(power: int) -> None:
    # TA-Lib alone takes spreads below 1e-14 and flows below 1 for nothing.
    bars, scale = walk(80), 10.0**power
    prices = [pl.col(name).cast(pl.Float64) * scale for name in ("open", "high", "low", "close")]
    chosen = [use(name) for name in ("rsi", "stochastic", "cci", "mfi", "ultosc", "aroon", "adx")]
    chosen += [use("bollinger", period=10), use("kama", period=5)]
    large, small = compute(bars, chosen), compute(bars.with_columns(prices), chosen)
    for one in chosen:
        for column, unit in zip(one.columns, one.indicator.units, strict=True):
            expected = large.get_column(column) * (scale if unit == "price" else 1.0)
            assert largest(expected - small.get_column(column)) <= 1e-7 * largest(expected), column


def test_what_is_not_defined_is_null_where_nothing_moves() -> None:
    bars = walk(40).with_columns(*(pl.lit(Decimal(5)).alias(name) for name in ("open", "high", "low", "close")))
    for name in ("rsi", "stochastic", "cci", "mfi", "ultosc"):
        assert set(values(bars, name)) == {None}, name
    assert values(bars, "bollinger")[-1] == 5.0
    assert compute(bars, [use("bollinger")])["bollinger_position_20_2"].null_count() == 40
    assert values(bars, "realised_volatility", period=5)[-1] == 0.0
    assert values(bars, "adx")[-1] == 0.0


def test_after_a_wild_price_a_still_market_is_still_again() -> None:
    # Running sums keep a rest of what left the window; it must not pass for a move.
    prices = [100.0, 1e9, *[100.1] * 60]
    bars = walk(62).with_columns(*(pl.Series(name, prices) for name in ("open", "high", "low", "close")))
    assert values(bars, "stdev")[-1] == 0.0
    for name in ("cci", "mfi", "stochastic"):
        assert values(bars, name)[-1] is None, name
    assert values(bars, "rsi", smoothing="sma")[-1] is None


def test_a_bar_that_lacks_an_input_counts_as_if_it_were_not_there() -> None:
    bars = walk(60)
    lacking = bars.with_columns(close=pl.when(pl.int_range(pl.len()) == 30).then(None).otherwise(pl.col("close")))
    made, without = values(lacking, "sma"), values(bars.filter(pl.int_range(pl.len()) != 30), "sma")
    assert made[30] is None
    assert made[:30] + made[31:] == without


def test_a_hole_is_counted_over_held_through_or_begun_anew_after() -> None:
    bars = walk(30).filter(~pl.int_range(pl.len()).is_between(10, 14))
    closes = [float(value) for value in bars["close"]]
    sma = use("sma", period=3)
    assert compute(bars, [sma])[sma.columns[0]][10] == pytest.approx(sum(closes[8:11]) / 3)

    full = held(bars, MINUTE)
    assert full.height == 30
    assert compute(full, [sma])[sma.columns[0]][15] == pytest.approx((2 * closes[9] + closes[10]) / 3)
    put_in = full.row(12, named=True)
    assert (put_in["volume"], put_in["trade_count"], put_in["high"]) == (0, 0, put_in["close"])
    assert put_in["known_time"] == put_in["bar_time"] + MINUTE

    assert held(bars, MINUTE, at_most=timedelta(minutes=2)).height == 27

    anew = compute(runs(bars, MINUTE), [sma], series=("venue", "instrument", "id_space", "run"))
    assert anew[sma.columns[0]].is_null().to_list() == [True, True, *[False] * 8, True, True, *[False] * 13]


def test_a_held_bar_becomes_known_with_the_late_bar_that_it_is_held_from() -> None:
    late = START + timedelta(days=2)
    bars = walk(3).with_columns(known_time=pl.lit(late)).filter(pl.int_range(pl.len()) != 1)
    assert held(bars, MINUTE)["known_time"].to_list() == [late] * 3


def test_a_row_is_known_when_the_last_bar_that_it_depends_on_is() -> None:
    late = START + timedelta(days=1)
    bars = walk(40).with_columns(
        known_time=pl.when(pl.int_range(pl.len()) == 10).then(late).otherwise(pl.col("known_time"))
    )
    known = compute(bars, [use("sma", period=5), use("roc", period=7)])["known_time"]
    assert (known == late).arg_true().to_list() == list(range(10, 18))
    assert (compute(bars, [use("obv")])["known_time"] == late).arg_true().to_list() == list(range(10, 40))


def test_what_is_asked_wrongly_is_refused_with_what_is_valid() -> None:
    with pytest.raises(TerminalError, match="there is no indicator 'smaa'"):
        use("smaa")
    with pytest.raises(TerminalError, match="whole number of at least 1"):
        use("sma", period=0)
    with pytest.raises(TerminalError, match="valid are wilder, sma"):
        use("rsi", smoothing="ema")
    with pytest.raises(TerminalError, match="no parameter 'window'"):
        use("rsi", window=3)
    with pytest.raises(TerminalError, match="lack the columns benchmark"):
        compute(walk(3), [use("beta")])
    with pytest.raises(TerminalError, match="more than once"):
        compute(pl.concat([walk(3), walk(3)]), [use("sma")])
    with pytest.raises(TerminalError, match="does not begin on a multiple"):
        held(walk(3).with_columns(pl.col("bar_time") + timedelta(seconds=1)), MINUTE)


@pytest.mark.parametrize("grain", ["1m", "5m", "1h", "1d", "session"])
def test_what_is_kept_of_a_grain_can_be_made_of_bars_alone_and_has_names_of_its_own(grain: str) -> None:
    made = standard(grain)
    columns = [column for one in made for column in one.columns]
    assert len(set(columns)) == len(columns) >= 25
    assert compute(walk(60), made).height == 60
    assert {one.indicator.name for one in standard(grain, benchmark=True)} >= {"beta", "correlation", "obv", "vwap"}


def test_obv_begins_anew_with_each_day() -> None:
    bars = walk(30, every=timedelta(hours=1))
    made = values(bars, "obv", anchor="day", start="volume")
    first = bars["bar_time"].dt.date().to_list().index((START + timedelta(days=1)).date())
    assert made[first] == float(bars["volume"][first])


@pytest.mark.parametrize("size", [0, 1, 2, 12, 13, 14, 30])
def test_a_series_of_any_length_has_as_many_rows(size: int) -> None:
    made = compute(with_benchmark(walk(size), walk(size, 5)), standard("1m", benchmark=True))
    assert made.height == size
    assert made["sma_20"].count() == max(size - 19, 0)
    assert made["adx_rating_14_13"].null_count() == size


def test_columns_are_named_by_what_differs() -> None:
    assert use("macd").columns == ("macd_12_26_9", "macd_signal_12_26_9", "macd_histogram_12_26_9")
    assert use("bollinger", width=2.5).columns[1] == "bollinger_upper_20_2p5"
    assert use("atr", smoothing="sma").columns == ("atr_14_sma", "atr_percent_14_sma")


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_windows_agree_with_the_definition_written_out(seed: int) -> None:
    bars = walk(50, seed=seed)
    other = walk(50, seed=seed + 1)
    close, base = (one["close"].cast(pl.Float64).to_numpy() for one in (bars, other))
    moves, market = np.diff(close) / close[:-1], np.diff(base) / base[:-1]
    row, period = 40, 12
    window = close[row - period + 1 : row + 1]
    made = compute(
        with_benchmark(bars, other),
        [
            use("stdev", period=period),
            use("beta", period=period),
            use("correlation", period=period),
            use("slope", period=period),
        ],
    ).row(row, named=True)
    own, market = moves[row - period : row], market[row - period : row]
    assert made["stdev_12"] == pytest.approx(window.std(), rel=1e-9)
    assert made["slope_12"] == pytest.approx(np.polyfit(np.arange(period), window, 1)[0], rel=1e-6, abs=1e-9)
    assert made["beta_12"] == pytest.approx(np.cov(own, market, ddof=0)[0, 1] / market.var(), rel=1e-9)
    assert made["correlation_12"] == pytest.approx(np.corrcoef(own, market)[0, 1], rel=1e-9)
