"""What `tapehouse rebuild` prints of a day that differs, for people and for programs."""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.bars import BARS
from contracts.trades import TRADES
from orchestration.cli import app
from spark.comparison import Comparison, InstrumentComparison
from spark.differences import Difference, TapePlace

EQUAL = InstrumentComparison(TRADES.name, "binance", "ETHUSDT", 9, 9, 5, 5)
LATER = Difference("trade_id 9: missing in the tables", 90, TapePlace(90_000_000, "c-1", 9, 0))
FIRST = Difference("trade_id 3: price is 2 in the tables, 1 on the tape", 30, TapePlace(30_000_000, "c-1", 3, 0))
WRONG = [
    replace(EQUAL, instrument="A", streamed_count=8, difference=LATER),
    replace(EQUAL, instrument="B", streamed_hash=6, difference=FIRST),
]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Comparison]:
    """What the rebuild comes to; the rebuild itself takes a Spark session and is tested where there is one."""
    comparisons: list[Comparison] = []
    monkeypatch.setattr("assets.parity.run_rebuild", lambda *_, **__: comparisons)
    return comparisons


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["rebuild", "--day", str(date(2022, 5, 1)), *words], env={"COLUMNS": "200"})


def test_a_difference_is_exit_code_1_with_the_share_and_what_differs_first(found: list[Comparison]) -> None:
    found += [Comparison.of(TRADES, [EQUAL, *WRONG]), Comparison.of(BARS, [replace(EQUAL, dataset=BARS.name)])]
    shown = run()
    assert shown.exit_code == 1
    assert "2022-05-01: different, 50.00 % of instruments and tables are equal" in shown.output
    told = " ".join(shown.output.split())
    assert "first difference in market.trades: binance B: trade_id 3: price is 2 in the tables, 1 on the tape" in told
    assert "connection c-1, message 3, index 0, received 1970-01-01 00:00:30.000000" in told


def test_programs_are_told_each_instrument_that_differs_in_the_order_of_the_events(found: list[Comparison]) -> None:
    found.append(Comparison.of(TRADES, [EQUAL, *WRONG]))
    shown = run("--json")
    told = json.loads(shown.stdout)
    assert (shown.exit_code, told["equal"], told["share_equal"]) == (1, False, 0.3333)
    (table,) = told["tables"]
    assert (table["instruments"], [one["instrument"] for one in table["different"]]) == (3, ["B", "A"])
    assert (table["streamed_count"], table["rebuilt_count"]) == (26, 27)
    assert told["first_difference"] == table["different"][0]
    assert (told["first_difference"]["connection_id"], told["first_difference"]["message_number"]) == ("c-1", 3)


def test_an_equal_day_is_exit_code_0(found: list[Comparison]) -> None:
    found.append(Comparison.of(TRADES, [EQUAL]))
    shown = run()
    assert (shown.exit_code, "2022-05-01: equal" in shown.output) == (0, True)
