"""What is told of features: missing, fresh, spread, drifted, and what is said where little is known."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.drift import bins_of, drift, psi, shares
from features.stats import latest, summary
from tests.features.series import START

US = pl.Datetime("us", "UTC")


def table(values: list[float | None] | np.ndarray, instrument: str = "A") -> pl.DataFrame:
    """Return one feature, a value a minute."""
    times = [START + timedelta(minutes=minute) for minute in range(len(values))]
    return pl.DataFrame(
        {
            "venue": ["binance"] * len(values),
            "instrument": [instrument] * len(values),
            "event_time": pl.Series(times, dtype=US),
            "known_time": pl.Series(times, dtype=US),
            "value": pl.Series(list(values), dtype=pl.Float64),
        }
    )


def only(reference: pl.DataFrame, current: pl.DataFrame) -> dict[str, object]:
    """Return what is told of the one feature's drift."""
    [row] = drift(reference, current).to_dicts()
    return row


def test_a_summary_tells_what_is_missing_and_how_old_the_newest_value_is() -> None:
    both = pl.concat([table([1.0, 2.0, None, 3.0, None]), table([None], "B")])
    [row] = summary(both, START + timedelta(minutes=10)).to_dicts()
    assert (row["rows"], row["missing_share"], row["mean"], row["lowest"], row["highest"]) == (6, 0.5, 2.0, 1.0, 3.0)
    assert (row["fresh_time"], row["age_s"]) == (START + timedelta(minutes=3), 420.0)
    first, second = summary(both, START + timedelta(minutes=10), by=["venue", "instrument"]).to_dicts()
    assert (first["instrument"], first["missing_share"], first["age_s"]) == ("A", 0.4, 420.0)
    assert (second["instrument"], second["missing_share"], second["age_s"], second["mean"]) == ("B", 1.0, None, None)


def test_a_summary_of_nothing_says_nothing() -> None:
    [row] = summary(table([]), START).to_dicts()
    assert (row["rows"], row["missing_share"], row["age_s"], row["median"]) == (0, None, None, None)


def test_only_the_last_revision_of_a_moment_counts() -> None:
    first = table([1.0, 2.0])
    again = first[:1].with_columns(known_time=pl.col("known_time") + timedelta(hours=1), value=pl.lit(9.0))
    assert latest(pl.concat([again, first]))["value"].to_list() == [9.0, 2.0]


def test_the_index_is_what_it_is_by_hand() -> None:
    # Shares 0.5, 0.5 against 0.25, 0.75.
    expected = (0.25 - 0.5) * np.log(0.25 / 0.5) + (0.75 - 0.5) * np.log(0.75 / 0.5)
    assert psi(np.array([50, 50, 0]), np.array([25, 75, 0])) == pytest.approx(expected)
    # A bin that only one side has counts as one row of ten thousand on the other.
    told = psi(np.array([100, 0]), np.array([50, 50]))
    assert told == pytest.approx((0.5 - 1) * np.log(0.5) + (0.5 - 1e-4) * np.log(0.5 / 1e-4))
    assert psi(np.array([0, 0]), np.array([1, 2])) is None


def test_the_same_spread_is_stable_and_a_shifted_one_is_not() -> None:
    draw = np.random.default_rng(1)
    reference = table(draw.normal(size=5000))
    same = only(reference, table(draw.normal(size=5000)))
    assert same["verdict"] == "stable"
    assert same["chance"] == pytest.approx(9 * 2 / 5000)
    assert only(reference, table(draw.normal(0.4, 1, size=5000)))["verdict"] == "moved"
    assert only(reference, table(draw.normal(1, 1, size=5000)))["verdict"] == "drifted"
    assert only(reference, table(draw.normal(0, 3, size=5000)))["verdict"] == "drifted"


@pytest.mark.parametrize(
    ("was", "now", "verdict"),
    [
        ([5.0] * 500, [5.0] * 500, "stable"),
        ([5.0] * 500, [4.0] * 500, "drifted"),
        ([5.0] * 500, [6.0] * 500, "drifted"),
        ([-1.0, 1.0] * 300, [-1.0, 1.0] * 250, "stable"),
        ([-1.0, 1.0] * 300, [1.0] * 500, "drifted"),
        ([1.0, 2.0, 3.0] * 200, [1.0, 2.0, 3.5] * 200, "drifted"),
        ([1.0, None] * 300, [1.0, None] * 300, "stable"),
        ([1.0, 2.0] * 300, [1.0, 2.0, None, None] * 150, "drifted"),
        ([None] * 500, [None] * 500, "stable"),
        ([None] * 500, [1.0] * 500, "drifted"),
        ([1.0] * 500, [], "unknown"),
        ([], [1.0] * 500, "unknown"),
        ([1.0] * 20, [2.0] * 20, "unknown"),
        ([float(n) for n in range(500)], [float("inf")] * 500, "drifted"),
    ],
)
def test_the_edges_of_what_can_be_told(was: list[float | None], now: list[float | None], verdict: str) -> None:
    assert only(table(was), table(now))["verdict"] == verdict


def test_zeros_have_a_bin_of_their_own_and_the_rest_equal_shares() -> None:
    values = np.r_[np.zeros(500), np.random.default_rng(2).normal(size=500)]
    made = bins_of(pl.Series(values))
    counts = made.counts(pl.Series(values))
    assert made.single.tolist() == [0.0]
    assert counts.tolist() == [500, *[100] * 5, 0]
    plot = shares(table(values), table(values[:500]), "value")
    assert plot["bin"].to_list()[0] == "0"
    assert plot["bin"].to_list()[-1] == "missing"
    assert plot["reference"].sum() == pytest.approx(1.0)
    assert plot["current"].to_list()[0] == 1.0


@given(
    st.lists(st.one_of(st.none(), st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)), max_size=80),
    st.lists(st.one_of(st.none(), st.integers(-5, 5).map(float), st.floats(-1e6, 1e6)), max_size=80),
)
def test_every_row_falls_into_one_bin_and_the_index_is_never_negative(
    was: list[float | None], now: list[float | None]
) -> None:
    before, after = (pl.Series(values, dtype=pl.Float64) for values in (was, now))
    made = bins_of(before)
    for series in (before, after):
        assert made.counts(series).sum() == len(series)
    assert len(made.labels()) == len(made.counts(before))
    index = psi(made.counts(before), made.counts(after))
    assert index is None or index >= 0
    assert psi(made.counts(before), made.counts(before)) in (0.0, None)
