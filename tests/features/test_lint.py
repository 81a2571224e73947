"""The linter catches features that know the future, each by its own kind of leak, and passes the catalogue."""

from datetime import timedelta

import polars as pl
import pytest

from contracts.errors import TerminalError
from features.catalog import CATALOG, FEATURES
from features.declared import MINUTE, Feature, Function
from features.lint import cuts, lint
from features.market import BARS, QUALITY, QUOTES, TRADES, VENUES
from features.sample import sample
from tests.features.market import frames
from tests.features.series import START

MINUTES = 1600
CUTS = [START + timedelta(minutes=1490), START + timedelta(minutes=1543)]
MARKET = frames(MINUTES)
CLOSE = pl.col("close")


def leaking(made_by: pl.Expr | Function, rows: int = 0, source: object = BARS) -> Feature:
    """Return a feature that is declared as reading `rows` earlier minutes."""
    return Feature("leaking", source, made_by, MINUTE * rows, "none", "It leaks.")  # type: ignore[arg-type]


def poisons(feature: Feature) -> set[str]:
    """Return by which kinds of poison the feature is caught."""
    found = lint([feature], MARKET, CUTS[:1])
    assert {leak.feature for leak in found} <= {feature.name}
    return {leak.poison for leak in found}


def test_the_catalogue_does_not_leak() -> None:
    assert [str(leak) for leak in lint(FEATURES, MARKET, CUTS)] == []


def test_a_late_row_that_is_in_the_data_does_not_leak_either() -> None:
    late = MARKET["bars"].with_columns(
        known_time=pl.when(pl.int_range(pl.len()) % 97 == 5)
        .then(pl.col("known_time") + timedelta(hours=9))
        .otherwise(pl.col("known_time"))
    )
    features = [f for f in FEATURES if f.source.frames == ("bars",) and f.window <= timedelta(hours=1)]
    assert [str(leak) for leak in lint(features, MARKET | {"bars": late}, CUTS[:1])] == []


@pytest.mark.parametrize(
    ("feature", "caught_by"),
    [
        (leaking(CLOSE.shift(-1)), "changed"),
        (leaking(CLOSE.shift(-1).is_null().cast(pl.Float64)), "removed"),
        (leaking((CLOSE - CLOSE.mean()) / CLOSE.std()), "changed"),
        (leaking(CLOSE.rank()), "changed"),
        (leaking(lambda rows: rows["close"] / rows["close"].max()), "changed"),
        (leaking(CLOSE.rolling_mean(9, center=True), 9), "changed"),
        (leaking(pl.col("idle").fill_null(strategy="backward") + pl.len()), "removed"),
        (leaking(CLOSE.interpolate().shift(-3).fill_null(CLOSE)), "changed"),
        (leaking(CLOSE.rolling_mean(15), 13), "window"),
        (leaking(CLOSE.cum_sum(), 60), "window"),
        (leaking(pl.col("signs").rolling_sum(2), 0, TRADES), "window"),
        (leaking(pl.col("basis").shift(1), 0, VENUES), "window"),
    ],
    ids=[
        "the next close",
        "whether there is a next row",
        "normalised by the whole",
        "ranked among all",
        "divided by the highest of all entities",
        "a centred window",
        "the number of rows",
        "shifted back and filled",
        "a window one row short",
        "a sum from the start",
        "trades of a minute more",
        "a basis of a minute ago",
    ],
)
def test_a_leak_is_caught(feature: Feature, caught_by: str) -> None:
    assert caught_by in poisons(feature)


def test_a_window_as_declared_passes_where_one_row_less_is_caught() -> None:
    assert poisons(leaking(CLOSE.rolling_mean(15), 14)) == set()
    assert poisons(leaking(pl.col("spread_sum").rolling_sum(3), 2, QUOTES)) == set()
    assert poisons(leaking(pl.col("score").rolling_min(3), 1, QUALITY)) == {"window"}


def test_a_leak_is_told_with_its_first_row() -> None:
    [leak, *_] = lint([CATALOG["return_1m"], leaking(CLOSE.shift(-2))], MARKET, CUTS[:1])
    assert str(leak).startswith("leaking reads what is only known later")
    assert leak.rows == 4
    assert leak.event_time == CUTS[0] - 2 * MINUTE
    assert "binance/BTCUSDT at 2026-03-03 10:18:00" in str(leak)


def test_cuts_lie_behind_the_longest_window_and_inside_of_every_frame() -> None:
    short = CATALOG["return_5m"], CATALOG["spread"]
    made = cuts(short, MARKET, 4)
    assert len(made) == 4
    assert made[0] > START + timedelta(minutes=15)
    assert made[-1] < START + MINUTES * MINUTE
    assert lint(short, MARKET, made) == []
    assert len(cuts(FEATURES, MARKET, 2)) == 2
    with pytest.raises(TerminalError, match="too short to choose 3 cuts in"):
        cuts(FEATURES, frames(100))
    with pytest.raises(TerminalError, match="'bars' has no rows"):
        cuts(short, {name: frame.clear() for name, frame in MARKET.items()})


def test_a_cut_outside_of_the_data_is_refused() -> None:
    with pytest.raises(TerminalError, match="has no rows of 'bars' on its far side"):
        lint([CATALOG["return_1m"]], {"bars": MARKET["bars"]}, [START + timedelta(days=9)])


def test_the_catalogue_does_not_leak_on_the_shipped_sample_either() -> None:
    """Its amounts are round, so that sums cancel to nothing but rounding."""
    made = sample()
    assert [str(leak) for leak in lint(FEATURES, made, cuts(FEATURES, made, 1))] == []
