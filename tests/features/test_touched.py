"""A late correction recomputes just what it touches, and that is all that it changes."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.indicators.benchmark import with_benchmark
from features.indicators.catalog import INDICATORS, use
from features.indicators.declared import SETTLED, Use
from features.indicators.frames import compute
from features.indicators.touched import affected, recompute, touched_days
from tests.features.series import largest, walk

SERIES = ["venue", "instrument", "id_space", "bar_time"]
USES = [
    *(use(name) for name in sorted(INDICATORS) if name not in ("kama", "vwap", "twap")),
    *(use(name, anchor=anchor) for name in ("vwap", "twap") for anchor in ("window", "day")),
    use("obv", anchor="day", start="volume"),
    use("kama", period=2),
    use("rsi", period=3),
    use("ema", period=5),
]
# What is averaged here lies within 100, and ratios divide by no less than a hundredth of it.
NEAR = 100 * 100 * SETTLED


def corrected(bars: pl.DataFrame, rows: set[int], kind: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the bars before and after a correction of some rows."""
    hit = pl.int_range(pl.len()).is_in(sorted(rows))
    if kind == "changed":
        moved = [pl.when(hit).then(pl.col(n) + Decimal("1.5")).otherwise(pl.col(n)).alias(n) for n in ("close", "high")]
        return bars, bars.with_columns(
            *moved, volume=pl.when(hit).then(pl.col("volume") * 2).otherwise(pl.col("volume"))
        )
    return (bars.filter(~hit), bars) if kind == "came" else (bars, bars.filter(~hit))


@settings(max_examples=25)
@given(
    one=st.sampled_from(USES),
    seed=st.integers(0, 1000),
    rows=st.sets(st.integers(0, 699), min_size=1, max_size=3),
    kind=st.sampled_from(["changed", "came", "went"]),
)
def test_recomputing_what_is_touched_gives_what_recomputing_all_gives(
    one: Use, seed: int, rows: set[int], kind: str
) -> None:
    bars = with_benchmark(walk(700, seed, every=timedelta(minutes=7)), walk(700, 5, every=timedelta(minutes=7)))
    before, after = corrected(bars, rows, kind)
    hit = bars.filter(pl.int_range(pl.len()).is_in(sorted(rows)))
    whole = compute(after, [one]).drop("known_time")
    again = recompute(after, [one], hit.select(SERIES)).drop("known_time")
    # What is stored, with the rows made again in its place, and without the bars that went.
    stored = compute(before, [one]).drop("known_time").join(again, on=SERIES, how="anti")
    spliced = pl.concat([stored, again]).join(after.select(SERIES), on=SERIES, how="semi").sort(SERIES)
    assert spliced.select(SERIES).equals(whole.select(SERIES))
    for column in one.columns:
        was, now = spliced[column], whole[column]
        assert was.is_null().equals(now.is_null()), column
        assert largest(was - now) <= NEAR * max(1.0, largest(now)), column


@pytest.mark.parametrize("one", [use("sma"), use("stochastic"), use("mfi"), use("roc"), use("correlation")])
def test_a_window_changes_its_last_row_and_none_behind_it(one: Use) -> None:
    bars = with_benchmark(walk(200), walk(200, 5))
    before, after = corrected(bars, {50}, "changed")
    times = bars["bar_time"].dt.timestamp("us").to_numpy()
    [(first, last)] = affected(one, times, times[[50]])
    assert (first, last) == (50, 50 + (one.lookback.bars or 0))
    was, now = compute(before, [one]), compute(after, [one])
    changed = [
        row for row in range(200) for c in one.columns if not np.isclose(was[c][row] or 0, now[c][row] or 0, rtol=1e-9)
    ]
    assert set(changed) <= set(range(first, last + 1))
    assert last in changed or last - 1 in changed


def test_a_recursive_lookback_is_as_long_as_its_rest_says_and_no_longer() -> None:
    ema = use("ema", period=20)
    bars = ema.lookback.bars or 0
    settled = (1 - 2 / 21) ** (bars - 19)
    assert settled <= SETTLED < settled / (1 - 2 / 21)


def test_a_sum_from_the_start_is_touched_to_the_end_and_one_of_a_day_to_its_end() -> None:
    times = np.arange(96, dtype=np.int64) * 3_600_000_000
    assert affected(use("obv"), times, times[[30]]) == [(30, 95)]
    assert affected(use("vwap", anchor="day"), times, times[[30]]) == [(30, 47)]
    assert affected(use("sma", period=3), times, times[[30, 31, 60]]) == [(30, 33), (60, 62)]
    assert affected(use("sma"), times, times[[0]][:0]) == []


def test_a_correction_before_midnight_touches_the_next_day_as_far_as_a_window_reaches() -> None:
    times = np.arange(4 * 1440, dtype=np.int64) * 60_000_000
    day = date(1970, 1, 1)
    late = times[[1430]]
    assert touched_days([use("vwap", anchor="day")], times, late) == [day]
    assert touched_days([use("sma", period=10)], times, late) == [day]
    assert touched_days([use("sma", period=11)], times, late) == [day, day + timedelta(days=1)]
    assert touched_days([use("obv")], times, late) == [day + timedelta(days=n) for n in range(4)]


def test_a_bar_that_lacked_the_benchmark_is_made_again_when_it_has_one() -> None:
    bars = with_benchmark(walk(200), walk(200, 5))
    lacking = bars.with_columns(benchmark=pl.when(pl.int_range(pl.len()) % 9 == 4).then(None).otherwise("benchmark"))
    one = use("beta", period=20)
    again = recompute(lacking, [one], lacking[[100]].select(SERIES))
    whole = compute(lacking, [one]).join(again, on=SERIES, how="semi").get_column(one.columns[0])
    assert again.height >= 21
    assert again.get_column(one.columns[0]).is_null().equals(whole.is_null())
    assert largest(again.get_column(one.columns[0]) - whole) < 1e-12
