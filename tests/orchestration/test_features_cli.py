"""`tapehouse features`: training sets that do not know the future, and a linter that says who does."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from assets.feature_day import DAY, make_day
from assets.indicator_bars import day_of
from contracts.errors import TerminalError
from features.sample import START, sample
from orchestration.cli import app
from orchestration.read import training_set
from stores.settings import WarehouseSettings
from stores.warehouse import Warehouse
from tests.features.warehouse import insert

LAST = START.date() + DAY
LABELS = pl.DataFrame(
    {
        "venue": ["here", "there"] * 30,
        "instrument": ["BTC-USD", "BTCUSDT"] * 30,
        "time": [day_of(LAST) + timedelta(minutes=7 * n, seconds=11) for n in range(60)],
        "went_up": [n % 3 == 0 for n in range(60)],
    }
)
LEAKING = """
import polars as pl
from datetime import timedelta
from features.declared import Feature
from features.market import BARS
FEATURES = [Feature("tomorrow", BARS, pl.col("close").shift(-1), timedelta(0), "price", "It leaks.")]
"""


@pytest.fixture(scope="module")
def settings(new_database: Any) -> WarehouseSettings:
    made: WarehouseSettings = new_database("features_cli")
    warehouse, frames = Warehouse(made), sample()
    insert(warehouse, frames)
    make_day(warehouse, LAST, datetime.now(UTC))
    # A correction, much later: of a minute that many windows hold.
    at = day_of(LAST) + timedelta(hours=2)
    bar = frames["bars"].filter(pl.col("bar_time") == at, venue="here")
    later = bar.with_columns(close=pl.lit(150.0), high=pl.lit(150.0), known_time=pl.lit(at + 3 * DAY))
    insert(warehouse, {"bars": later.with_columns(revision=pl.lit(2))})
    assert make_day(warehouse, LAST, datetime.now(UTC)).appended["bars"] > 50
    return made


@pytest.fixture(autouse=True)
def environment(settings: WarehouseSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_HOST", settings.host)
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_PORT", str(settings.port))
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_DATABASE", settings.database)
    yield


def run(*words: object) -> Any:
    return CliRunner().invoke(app, ["features", *map(str, words)])


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv"])
def test_a_training_set_is_written_in_the_order_of_its_labels(tmp_path: Path, form: str) -> None:
    labels, out = tmp_path / f"labels.{form}", tmp_path / f"set.{form}"
    write: Any = {"parquet": LABELS.write_parquet, "arrow": LABELS.write_ipc, "csv": LABELS.write_csv}[form]
    write(labels)
    done = run("build", "--labels", labels, "--features", "return_5m,spread", "--out", out)
    assert done.exit_code == 0, done.output
    read: Any = {"parquet": pl.read_parquet, "arrow": pl.read_ipc, "csv": pl.read_csv}[form]
    made = read(out)
    assert made.columns == [*LABELS.columns, "return_5m", "spread"]
    assert made["went_up"].to_list() == LABELS["went_up"].to_list()
    assert made["spread"].null_count() < 10
    assert "60 labels with 2 features" in done.output


def test_a_later_correction_is_seen_by_event_and_not_by_known() -> None:
    frames = [training_set(LABELS, ["return_5m", "volatility_60m"], as_of=how) for how in ("known", "event")]
    known, event = (frame["volatility_60m"].to_list() for frame in frames)
    changed = [n for n in range(60) if known[n] != event[n]]
    assert changed
    corrected = day_of(LAST) + timedelta(hours=2, minutes=1)
    assert all(corrected <= LABELS["time"][n] <= corrected + timedelta(minutes=62) for n in changed)
    assert all(LABELS["venue"][n] == "here" for n in changed)
    assert max(abs(event[n]) for n in changed) > 0.3 > max(abs(known[n]) for n in changed)


def test_python_takes_and_gives_other_frames_and_a_file(tmp_path: Path) -> None:
    wanted = training_set(LABELS, ["return_5m"])
    LABELS.write_parquet(tmp_path / "labels.parquet")
    assert training_set(tmp_path / "labels.parquet", ["return_5m"]).equals(wanted)
    pandas = training_set(LABELS.to_pandas(), ["return_5m"], as_="pandas")
    assert pl.from_pandas(pandas)["return_5m"].equals(wanted["return_5m"])
    assert training_set(LABELS.to_arrow(), ["return_5m"], as_="arrow").num_rows == 60


def test_labels_of_too_low_a_quality_are_left_out() -> None:
    whole = training_set(LABELS, ["return_5m", "quality_score"])
    made = training_set(LABELS, ["return_5m"], min_quality=0.95)
    assert made.equals(whole.filter(pl.col("quality_score") >= 0.95).drop("quality_score"))
    assert 0 < made.height < 60


@pytest.mark.parametrize(
    ("labels", "features", "told"),
    [
        (LABELS, ["return_7m"], "no feature 'return_7m'"),
        (LABELS.drop("venue"), None, "labels lack venue"),
        (LABELS.with_columns(venue=pl.lit(None, pl.String)), None, "labels without venue"),
        (LABELS.with_columns(time=pl.lit("noon")), None, "'noon' is no time"),
        (LABELS.with_columns(pl.col("time") + timedelta(days=99)), None, "no features are stored"),
        (LABELS.clear(), None, "no labels"),
    ],
)
def test_what_is_wrong_with_labels_is_said(labels: pl.DataFrame, features: Any, told: str) -> None:
    with pytest.raises(TerminalError, match=told):
        training_set(labels, features)


def test_the_linter_names_who_leaks_and_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(LEAKING)
    done = run("lint", "--features", "return_5m,spread", "--also", file, "--json")
    assert done.exit_code == 1, done.output
    told = json.loads(done.stdout)
    assert told["leaking"] == ["tomorrow"]
    assert set(told["tried_on_stored_rows"]) == {"return_5m", "spread", "tomorrow"}
    shown = run("lint", "--features", "return_5m", "--also", file, "--sample")
    assert (shown.exit_code, "1 leak: tomorrow" in shown.stdout) == (1, True)


def test_the_linter_passes_the_catalogue_also_without_a_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_PORT", "1")
    done = run("lint")
    assert done.exit_code == 0, done.output
    assert "0 tried on stored rows" in done.stdout
    assert "none knows the future" in done.stdout


def test_a_file_without_features_is_named(tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("FEATURES = 3")
    done = run("lint", "--also", tmp_path / "none.py", "--sample")
    assert isinstance(done.exception, TerminalError)
    assert "has no FEATURES" in str(done.exception)
