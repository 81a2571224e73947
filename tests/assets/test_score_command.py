"""`tapehouse score`, as a person and as a script see it."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.errors import TerminalError
from contracts.scores import BAR_SCORES, DEDUCTIONS, SCORES
from orchestration.cli import app

MIDNIGHT = datetime(2022, 6, 1, tzinfo=UTC)


@pytest.fixture
def scored(stored: Any, make_bar: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two instruments: one without fault, one with three bars of ten that are not what their trades give."""
    for dataset in (SCORES, DEDUCTIONS, BAR_SCORES):
        stored.warehouse.run(f"TRUNCATE TABLE {dataset.table}")
    one = Decimal(1)
    same = dict.fromkeys(("open", "high", "low", "volume", "notional"), one) | {"trade_count": 1}
    for instrument, wrong in (("AAAUSDT", 0), ("BTCUSDT", 3)):
        for minute in range(10):
            stored.insert_trade(MIDNIGHT + timedelta(minutes=minute), minute, instrument=instrument)
        bars = [(MIDNIGHT + timedelta(minutes=m), one + (m < wrong)) for m in range(10)]
        stored.insert_bars([make_bar(at, **same, close=close, instrument=instrument) for at, close in bars])
    settings = stored.store.warehouse_settings
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_HOST", settings.host)
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_PORT", str(settings.port))
    monkeypatch.setenv("TAPEHOUSE_WAREHOUSE_DATABASE", settings.database)
    return stored


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["score", *words])


def test_json_has_every_deduction_and_below_the_threshold_the_exit_code_is_1(scored: Any) -> None:
    done = run("--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["day"], told["min_score"], told["below"]) == ("2022-06-01", "0.8", 1)
    worst, best = told["scores"]
    assert (worst["instrument"], worst["score"], best["score"]) == ("BTCUSDT", "0.700000", "1.000000")
    (deduction,) = worst["deductions"]
    assert (deduction["reason"], deduction["affected"], deduction["total"]) == ("bars_differ_from_trades", 3, 10)
    assert (deduction["weight"], deduction["deducted"], best["deductions"]) == ("1.000000", "0.300000", [])
    assert scored.warehouse.value("SELECT count() FROM system_scores_current") == 2


def test_people_get_a_table_worst_first_and_0_when_all_reach_the_threshold(
    scored: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPEHOUSE_MIN_SCORE", "0.7")
    done = run("--day", "2022-06-01", "--venue", "binance")
    assert done.exit_code == 0
    assert "quality of 2022-06-01: all at least 0.7" in done.stdout
    assert done.stdout.index("BTCUSDT") < done.stdout.index("AAAUSDT")
    assert "bars_differ_from_trades 3 of 10: -0.300000" in done.stdout


def test_a_day_or_venue_on_which_nothing_traded_is_an_error_that_says_so(scored: Any) -> None:
    assert isinstance((error := run("--day", "2022-06-05").exception), TerminalError)
    assert "nothing traded on 2022-06-05" in str(error)
    assert "nothing traded on okx on 2022-06-01" in str(run("--venue", "okx").exception)
    scored.empty()
    assert "there are no bars yet" in str(run().exception)
