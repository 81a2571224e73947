"""Questions and frames: what is stored comes out exactly, and nothing can be changed by asking."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import RetryableError, TerminalError
from orchestration.read import bars as bars_here
from serving.bars import bars
from stores.settings import WarehouseSettings

ROOT = Path(__file__).resolve().parents[2]
DAY = datetime(2022, 7, 1, tzinfo=UTC)
TINY = Decimal("0.000000000001")
MINUTES = 12


@pytest.fixture(scope="module", autouse=True)
def some_bars(answering: Any) -> None:
    rows = [
        {"bar_time": DAY + timedelta(minutes=minute), "venue": venue, "instrument": "ABC", "close": 10 + TINY}
        | {"volume": Decimal(3), "notional": Decimal(1)}
        for venue in ("binance", "kraken")
        for minute in range(MINUTES)
    ]
    once_more = rows[0] | {"revision": 2, "close": Decimal(11)}
    withdrawn = rows[0] | {"bar_time": DAY + timedelta(hours=1), "state": "withdrawn"}
    btc = [{"bar_time": DAY + timedelta(minutes=minute), "close": 10 + minute} for minute in range(3)]
    answering.insert_bars([*rows, once_more, withdrawn, *btc])


@pytest.fixture
def sql(tapehouse: Any) -> Callable[..., "subprocess.CompletedProcess[Any]"]:
    return lambda *words, **more: tapehouse("sql", *words, **more)


def test_json_keeps_every_digit(sql: Any) -> None:
    done = sql(
        "SELECT close, trade_count FROM market_bars_current WHERE instrument = 'ABC' AND venue = 'kraken'", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"close": "10.000000000001", "trade_count": 1}] * MINUTES


def test_csv_and_parquet_hold_the_same_rows(sql: Any, tmp_path: Path) -> None:
    question = "SELECT bar_time, venue, close FROM market_bars_current WHERE instrument = 'ABC' ORDER BY ALL;"
    csv = pl.read_csv(io.StringIO(sql(question, "--format", "csv").stdout))
    file = tmp_path / "bars.parquet"
    done = sql(question, "--format", "parquet", "--output", str(file))
    assert (done.returncode, done.stdout) == (0, "")
    parquet = pl.read_parquet(file)
    assert (csv.height, csv["venue"].to_list()) == (2 * MINUTES, parquet["venue"].to_list())
    assert parquet["close"].to_list() == [Decimal(11)] + [10 + TINY] * (2 * MINUTES - 1)


def test_a_table_shows_so_many_rows_and_says_that_there_are_more(sql: Any) -> None:
    done = sql("SELECT number AS n FROM numbers(1000)", "--limit", "3")
    assert done.stdout.split()[-3:] == ["0", "1", "2"]
    assert "the first 3 rows" in done.stderr
    assert "rows" not in sql("SELECT number AS n FROM numbers(3)", "--limit", "3").stderr
    assert "no rows" in sql("SELECT 1 WHERE 0").stderr
    assert "market_bars" in sql("SHOW TABLES").stdout
    assert json.loads(sql("SELECT number AS n FROM numbers(9)", "--json", "--limit", "2").stdout) == [
        {"n": 0},
        {"n": 1},
    ]


def test_what_looks_like_markup_is_shown_as_it_is(sql: Any) -> None:
    assert "[red]x[/]" in sql("SELECT '[red]x[/]' AS a, [1, 2] AS b").stdout


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE market_bars",
        "TRUNCATE TABLE market_bars",
        "INSERT INTO market_bars SELECT * FROM market_bars",
        "ALTER TABLE market_bars DELETE WHERE 1",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "SELECT * FROM market_bars SETTINGS readonly = 0",
    ],
)
@pytest.mark.parametrize("form", ["table", "csv"])
def test_nothing_can_be_changed(sql: Any, answering: Any, statement: str, form: str) -> None:
    before = answering.warehouse.value("SELECT count() FROM market_bars")
    done = sql(statement, "--format", form)
    assert (done.returncode, done.stdout, done.stderr.strip().count("\n")) == (1, "", 0)
    assert "readonly" in done.stderr
    assert answering.warehouse.value("SELECT count() FROM market_bars") == before


def test_a_refused_question_leaves_no_file_and_says_why_in_one_line(sql: Any, tmp_path: Path) -> None:
    done = sql("SELECT * FROM nope", "--format", "csv", "--output", str(tmp_path / "x.csv"))
    assert (done.returncode, done.stderr.count("\n"), list(tmp_path.iterdir())) == (1, 1, [])
    assert "nope" in done.stderr
    wrong = sql("SELEC 1").stderr
    assert wrong.startswith("the warehouse refused the question: Syntax error: failed at position 1 (SELEC)")
    assert "Maybe you meant: SELECT" in wrong
    assert len(wrong) < 200
    assert "leave that out" in sql("SELECT 1 FORMAT CSV").stderr
    assert sql("SELECT 1", "--format", "xml").returncode == 2
    assert sql("SELECT 1", "--output", str(tmp_path / "x")).returncode == 2


def test_bars_are_the_newest_revisions_in_order_and_say_what_they_are(answering: Any) -> None:
    found = bars(answering.settings, "ABC")
    assert found.height == 2 * MINUTES
    assert found["bar_time"].is_sorted()
    assert found["bar_time"].dtype == pl.Datetime("us", "UTC")
    assert found.row(0, named=True)["close"] == 11.0
    assert found["vwap"].unique().to_list() == [pytest.approx(1 / 3)]
    assert found["venue"].unique().sort().to_list() == ["binance", "kraken"]
    assert bars(answering.settings, "ABC", "kraken").height == MINUTES


def test_prices_are_exact_when_asked_for_and_floats_otherwise(answering: Any) -> None:
    exact = bars(answering.settings, "ABC", "kraken", exact=True)
    assert exact["close"].to_list() == [10 + TINY] * MINUTES
    assert bars(answering.settings, "ABC", "kraken")["close"].dtype == pl.Float64


def test_polars_pandas_and_arrow_hold_the_same(answering: Any) -> None:
    arrow = bars(answering.settings, "ABC", as_="arrow")
    pandas = bars(answering.settings, "ABC", as_="pandas")
    assert isinstance(arrow, pa.Table)
    assert isinstance(pandas, pd.DataFrame)
    assert pl.DataFrame(pl.from_arrow(arrow)).equals(bars(answering.settings, "ABC"))
    assert pl.from_pandas(pandas)["close"].to_list() == bars(answering.settings, "ABC")["close"].to_list()


def test_no_bars_are_an_empty_frame_with_the_same_columns(answering: Any) -> None:
    some, none = bars(answering.settings, "ABC"), bars(answering.settings, "NOTHING")
    assert (none.height, none.schema) == (0, some.schema)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-2, MINUTES + 2), st.integers(-2, MINUTES + 2), st.sampled_from([UTC, None]))
def test_the_start_is_included_and_the_end_is_not(answering: Any, first: int, last: int, zone: Any) -> None:
    start, end = ((DAY + timedelta(minutes=minute)).replace(tzinfo=zone) for minute in (first, last))
    found = bars(answering.settings, "ABC", "kraken", start, end)
    expected = [DAY + timedelta(minutes=minute) for minute in range(MINUTES) if first <= minute < last]
    assert found["bar_time"].to_list() == expected


def test_days_and_text_name_moments_too(answering: Any) -> None:
    day = date(2022, 7, 1)
    for start, end in ((day, day + timedelta(days=1)), ("2022-07-01", "2022-07-02"), ("2022-07-01T00:00Z", None)):
        assert bars(answering.settings, "ABC", "kraken", start, end).height == MINUTES
    assert bars(answering.settings, "ABC", "kraken", end=day).height == 0
    assert bars(answering.settings, "ABC", "kraken", "2022-07-01T02:00+02:00").height == MINUTES


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"grain": "2m"}, "grain '2m' is unknown; valid: 1m, 5m, 1h, 1d"),
        ({"as_": "csv"}, "as_ 'csv' is unknown; valid: polars, pandas, arrow"),
        ({"start": "today"}, "start 'today' is no time; valid: a day such as"),
    ],
)
def test_a_wrong_word_is_named_with_the_valid_ones(answering: Any, asked: dict[str, Any], told: str) -> None:
    with pytest.raises(TerminalError, match=re.escape(told)):
        bars(answering.settings, "ABC", **asked)


def test_every_grain_is_there_and_the_settings_are_the_machines_own(
    answering: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("TAPEHOUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TAPEHOUSE_CONFIG", "")
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_PORT", str(answering.settings.port))
    for grain in ("1m", "5m", "1h", "1d"):
        assert "close" in bars_here("ABC", grain=grain).columns
    assert bars_here("ABC").height == 2 * MINUTES


def test_a_warehouse_that_is_away_is_worth_another_try() -> None:
    with pytest.raises(RetryableError):
        bars(WarehouseSettings("127.0.0.1", 1), "ABC")


def test_the_script_goes_from_question_to_plot_in_ten_lines(answering: Any, tmp_path: Path) -> None:
    script = ROOT / "docs" / "explore.py"
    done = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=os.environ | {"TAPEHOUSE_WAREHOUSE_PORT": str(answering.settings.port), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "binance" in done.stdout
    assert (tmp_path / "explore.png").read_bytes()[:4] == b"\x89PNG"
    code = script.read_text().split("import polars as pl\n")[1].split("\n")
    assert len([line for line in code if line.strip()]) <= 10


def test_what_the_page_says_can_be_typed(sql: Any, answering: Any, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "explore.md").read_text()
    questions = re.findall(r'tapehouse sql "(.*?)"(.*)', page)
    assert len(questions) == 4
    for question, rest in questions:
        words = [str(tmp_path / word) if word == "bars.parquet" else word for word in rest.split()]
        assert sql(question, *words).returncode == 0, question
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = f"{block}\nassert 'close' in then.columns and 'price' in ticks.columns"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"TAPEHOUSE_CONFIG": "", "TAPEHOUSE_WAREHOUSE_PORT": str(answering.settings.port)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
