"""What is stored of features and indicators is what was computed, to the contract's digits."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from contracts.features import FEATURES
from contracts.indicators import GRAINS, INDICATORS
from features.catalog import CATALOG
from features.compute import compute
from features.indicators.catalog import standard
from features.indicators.frames import compute as compute_indicators
from features.stored import packed, unpacked
from tests.features.market import frames
from tests.features.series import largest, walk

NUMBERS = st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12)), min_size=3, max_size=3)


@given(st.lists(NUMBERS, max_size=20))
def test_every_value_comes_back_and_none_comes_up(rows: list[list[float | None]]) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.Float64, "b": pl.Float64, "c": pl.Float64}, orient="row")
    frame = frame.with_row_index("place")
    back = unpacked(packed(frame, ["a", "b", "c"], "features"), "features", ["a", "b", "c"])
    assert back["place"].to_list() == list(range(len(rows)))
    for name in ("a", "b", "c"):
        assert back[name].is_null().equals(frame[name].is_null())
        assert largest(back[name] - frame[name]) <= 1e-18 + 1e-15 * largest(frame[name])


def test_computed_features_fit_their_contract() -> None:
    for source, frame in compute(CATALOG.values(), frames(200)).items():
        names = [name for name in frame.columns if name in CATALOG]
        stored = packed(frame.with_columns(source=pl.lit(source)), names, "features")
        assert set(stored.columns) == {column.name for column in FEATURES.columns}
        assert stored.select(pl.struct(FEATURES.grain).is_unique().all()).item()
        assert (stored["known_time"] >= stored["event_time"]).all()
        back = unpacked(stored, "features", names)
        assert largest(back[names[0]] - frame[names[0]]) <= 1e-15 * max(1.0, largest(frame[names[0]]))


@pytest.mark.parametrize("grain", GRAINS)
def test_computed_indicators_fit_their_contract(grain: str) -> None:
    made = compute_indicators(walk(60), standard(grain)).with_columns(grain=pl.lit(grain))
    names = [column for one in standard(grain) for column in one.columns]
    stored = packed(made, names, "indicators")
    assert set(stored.columns) == {column.name for column in INDICATORS.columns}
    back = unpacked(stored, "indicators")
    assert set(back.columns) - set(stored.columns) == {name for name in names if made[name].count()}
    assert back["sma_20"].null_count() == 19


def test_a_row_without_any_value_has_no_names() -> None:
    stored = packed(
        pl.DataFrame({"a": [None], "b": [None]}, schema={"a": pl.Float64, "b": pl.Float64}), ["a", "b"], "n"
    )
    assert stored.row(0) == ("", [])
    assert unpacked(stored, "n", ["a"]).rows() == [(None,)]


def test_a_value_that_does_not_fit_is_refused_not_cut() -> None:
    with pytest.raises(TerminalError, match="values of a do not fit"):
        packed(pl.DataFrame({"a": [1e20]}), ["a"], "names")
