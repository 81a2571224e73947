"""W6 tells an answer that knew the future, and one that is out of date, from the right one."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks.feature_rows import ROW, Made, judge, make
from features.training import training_set


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("w6"), rows=40_000, labels=4_000, instruments=8)


def joined(made: Made, on: str) -> pl.DataFrame:
    labels, rows = pl.read_parquet(made.labels), pl.read_parquet(made.rows).sort(on)
    return labels.join_asof(rows, left_on="time", right_on=on, by=["venue", "instrument"])


def test_what_was_known_then_is_exact(made: Made) -> None:
    answer = training_set(pl.read_parquet(made.labels), {"bench": pl.read_parquet(made.rows)})
    assert judge(made, answer).note == "exact: 0 rows leaked"


def test_a_join_by_event_time_leaks(made: Made) -> None:
    judged = judge(made, joined(made, "event_time"))
    assert judged.leaked > 0 and judged.wrong > 0


def test_a_join_by_known_time_leaks_nothing_and_is_wrong_after_late_rows(made: Made) -> None:
    judged = judge(made, joined(made, "known_time"))
    assert judged.leaked == 0 and judged.wrong > 0


def test_labels_without_a_row_are_seen(made: Made) -> None:
    answer = training_set(pl.read_parquet(made.labels), {"bench": pl.read_parquet(made.rows)})
    assert judge(made, answer.filter(pl.col("label") % 2 == 0)).wrong > 0


def test_the_rows_asked_for_are_made(made: Made, tmp_path: Path) -> None:
    rows = pl.read_parquet(made.rows)
    assert rows.height == 40_000
    assert rows[ROW].to_list() == list(range(40_000))
    assert rows.select(pl.struct("instrument", "event_time").n_unique()).item() < 40_000  # revisions are among them
    again = make(tmp_path, rows=40_000, labels=4_000, instruments=8)
    assert again.rows.read_bytes() == made.rows.read_bytes()
