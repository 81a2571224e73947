"""A day of indicators: of every bar, the same however often it is made, and made again where a correction reaches."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from assets.indicator_bars import needed_before, uses_of
from assets.indicator_day import make_day, make_grain
from assets.rollup_day import replace_day
from contracts.rollups import ROLLUPS
from features.indicators.frames import compute
from features.stored import unpacked

DAY = date(2024, 3, 5)
MIDNIGHT = datetime.combine(DAY, time(), UTC)
MINUTE = timedelta(minutes=1)
NUMBERS = ("open", "high", "low", "close", "volume", "notional")


@pytest.fixture(autouse=True)
def empty(stored: Any) -> None:
    stored.warehouse.run("TRUNCATE TABLE market_indicators")


def exact(value: float) -> Decimal:
    return Decimal(f"{value:.6f}")


def walked(
    make_bar: Any, since: datetime, count: int, seed: int = 1, every: timedelta = MINUTE, **of: Any
) -> list[Any]:
    """Return bars that walk, one every so often, each known two seconds after its end."""
    draw = np.random.default_rng(seed)
    closes = 100 + np.cumsum(draw.normal(0, 0.2, count + 1))
    bars = []
    for place in range(count):
        start, low, high = since + place * every, min(closes[place : place + 2]), max(closes[place : place + 2])
        volume = float(draw.integers(1, 100)) / 10
        bars.append(
            make_bar(
                start,
                exact(closes[place]),
                exact(high + 0.1),
                exact(low - 0.1),
                exact(closes[place + 1]),
                exact(volume),
                exact(volume * closes[place + 1]),
                known_time=start + timedelta(seconds=62),
                **of,
            )
        )
    return bars


def rolled_up(stored: Any, *days: date) -> None:
    for day in days:
        for rollup in ROLLUPS:
            replace_day(stored.warehouse, stored.store.query("rollup"), rollup, day)


def rows(stored: Any, grain: str = "1m") -> pl.DataFrame:
    found = pl.from_arrow(
        stored.warehouse.table(
            "SELECT * FROM market_indicators WHERE grain = {grain:String} ORDER BY venue, instrument, bar_time",
            {"grain": grain},
        )
    )
    assert isinstance(found, pl.DataFrame)
    return found


def hashes(stored: Any) -> dict[tuple[str, date], int]:
    found = stored.warehouse.rows(
        "SELECT grain, toDate(bar_time), sum(cityHash64(*)) FROM market_indicators GROUP BY ALL ORDER BY ALL"
    )
    return {(grain, day): said for grain, day, said in found}


def test_a_day_made_alone_says_what_all_history_says_and_twice_the_same(stored: Any, make_bar: Any) -> None:
    bars = walked(make_bar, MIDNIGHT - 500 * MINUTE, 700)
    bars += walked(make_bar, MIDNIGHT - 30 * MINUTE, 60, 2, instrument="ETHUSDT")
    stored.insert_bars(bars)
    rolled_up(stored, DAY - timedelta(days=1), DAY)
    found = make_day(stored.warehouse, DAY)
    assert found.rows == {"1m": 230, "5m": 46, "1h": 5, "1d": 2}
    assert not found.bare.height
    assert not found.early.height
    whole = pl.DataFrame([{**vars(bar), **{name: float(getattr(bar, name)) for name in NUMBERS}} for bar in bars])
    benchmark = whole.filter(instrument="BTCUSDT").select("bar_time", benchmark="close")
    uses = uses_of("1m")
    wanted = compute(whole.join(benchmark, on="bar_time", how="left"), uses).filter(pl.col("bar_time") >= MIDNIGHT)
    names = [column for use in uses for column in use.columns]
    held = unpacked(rows(stored), "indicators", names)
    for name in names:
        assert held[name].is_null().equals(wanted[name].is_null()), name
        far = (held[name] - wanted[name]).abs() / wanted[name].abs().clip(1.0)
        assert float(far.max() or 0) < 1e-6, name  # type: ignore[arg-type]
    # The other one has 60 bars: a return too few.
    assert held["beta_60"].count() == 200
    before = hashes(stored)
    make_day(stored.warehouse, DAY)
    assert hashes(stored) == before
    assert set(before) == {(grain, DAY) for grain in ("1m", "5m", "1h", "1d")}


def test_a_thin_series_reads_as_far_back_as_its_bars_lie(stored: Any, make_bar: Any) -> None:
    stored.insert_bars(walked(make_bar, MIDNIGHT - timedelta(hours=7 * 400), 402, every=timedelta(hours=7)))
    made = make_grain(stored.warehouse, "1m", DAY)
    assert made.frame["earlier"].to_list() == [needed_before("1m"), (needed_before("1m") or 0) + 1]
    assert made.frame["adx_14_13"].null_count() == 0


def test_a_correction_makes_the_later_days_again_that_depend_on_it_and_no_other(
    stored: Any, make_bar: Any, corrected: Any
) -> None:
    days = [DAY + timedelta(days=n) for n in range(3)]
    bars = walked(make_bar, MIDNIGHT, 3 * 1440 // 20, every=20 * MINUTE)
    stored.insert_bars(bars)
    rolled_up(stored, *days)
    for day in days:
        make_day(stored.warehouse, day, others=days)
    before = hashes(stored)
    stored.insert_bars(
        [corrected(bars[70], close=bars[70].close + 1, high=bars[70].high + 1, known_time=bars[-1].known_time)]
    )
    rolled_up(stored, DAY)
    touched = make_day(stored.warehouse, DAY).touched
    # 363 bars of twenty minutes are five days; coarser bars lie no closer.
    assert list(touched) == days[1:]
    assert all(set(grains) >= {"1m", "5m", "1h"} for grains in touched.values())
    after = hashes(stored)
    assert {key for key in before if before[key] != after[key]} >= {("1m", day) for day in days}
    assert make_day(stored.warehouse, DAY).touched == {}
    for day in days[1:]:
        make_day(stored.warehouse, day, others=days)
    assert hashes(stored) == after


def test_a_dense_correction_reaches_the_next_day_only_where_its_window_does(
    stored: Any, make_bar: Any, corrected: Any
) -> None:
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    bars = walked(make_bar, MIDNIGHT, 3 * 1440)
    stored.insert_bars(bars)
    for day in days:
        make_day(stored.warehouse, day, others=days)
    for place, reached in ((600, []), (1300, [days[1]])):
        stored.insert_bars([corrected(bars[place], close=bars[place].high)])
        touched = make_day(stored.warehouse, DAY).touched
        assert [day for day, grains in touched.items() if "1m" in grains] == reached


def test_a_day_whose_bars_were_withdrawn_ends_up_empty(stored: Any, make_bar: Any, corrected: Any) -> None:
    [bar] = walked(make_bar, MIDNIGHT, 1)
    stored.insert_bars([bar])
    make_day(stored.warehouse, DAY)
    stored.insert_bars([corrected(bar, state="withdrawn")])
    assert make_day(stored.warehouse, DAY).rows["1m"] == 0
    assert hashes(stored) == {}


def test_a_value_is_a_row_of_the_view(stored: Any, make_bar: Any) -> None:
    stored.insert_bars(walked(make_bar, MIDNIGHT, 20))
    make_day(stored.warehouse, DAY)
    named = stored.warehouse.rows(
        "SELECT indicator, count() FROM market_indicator_values WHERE grain = '1m' GROUP BY ALL ORDER BY ALL"
    )
    counts = {name: int(count) for name, count in named}
    assert counts["sma_20"] == 1
    assert counts["obv_day"] == 20
    assert "sma_50" not in counts
