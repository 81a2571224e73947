"""`tapehouse check`: findings as text and JSON, exit codes by severity, columns by the user's word, stored ranges."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer

from contracts.errors import TerminalError
from orchestration.cli.check import EXIT_CODES, check
from orchestration.stored_history import as_recorded, stored_history
from quality.history.examine import examine
from stores.settings import WarehouseSettings

ROOT = Path(__file__).resolve().parents[2]
FIELDS = ["check", "severity", "dataset", "instrument", "from", "to", "rows", "evidence", "deduction"]
HEADER = "DATE,OPEN,HIGH,LOW,CLOSE,VOL"


def lines(count: int = 60) -> list[str]:
    """Return bars of a minute each, all of them right."""
    start, told = datetime(2020, 1, 6, tzinfo=UTC), []
    for at in range(count):
        prices = f"{100 + at % 7 / 10:.2f},101.5,99.1,{100 + at % 5 / 10:.2f}"
        told.append(f"{start + timedelta(minutes=at):%Y-%m-%d %H:%M},{prices},{100 + 37 * at % 91}")
    return told


def written(path: Path, rows: list[str], header: str = HEADER) -> str:
    path.write_text("\n".join([header, *rows]) + "\n")
    return str(path)


def run(capsys: Any, targets: list[str], **options: Any) -> tuple[int, dict[str, Any]]:
    """Return the command's exit code and its JSON."""
    code = 0
    try:
        check(targets, as_json=True, **options)
    except typer.Exit as ended:
        code = ended.exit_code
    return code, json.loads(capsys.readouterr().out)


def test_a_clean_file_ends_with_zero(tmp_path: Path, capsys: Any) -> None:
    code, told = run(capsys, [written(tmp_path / "a.csv", lines())])
    assert (code, told["findings"], told["severity"]) == (0, [], "info")
    assert told["files"][0]["series"][0]["rows"] == 60


def test_a_warning_and_an_error_end_with_their_codes(tmp_path: Path, capsys: Any) -> None:
    rows = lines()
    code, told = run(capsys, [written(tmp_path / "a.csv", rows[::-1])])
    assert (code, [one["check"] for one in told["findings"]]) == (EXIT_CODES["warn"], ["descending_order"])
    rows[7] = rows[7].replace(",99.1,", ",-99.1,")
    code, told = run(capsys, [written(tmp_path / "a.csv", rows)])
    assert (code, told["exit_code"], told["severity"]) == (EXIT_CODES["error"], EXIT_CODES["error"], "error")
    found = told["findings"][0]
    assert list(found) == FIELDS
    assert (found["check"], found["rows"], found["evidence"]["lines"]) == ("non_positive_price", 1, [9])
    assert found["from"] == found["to"] == "2020-01-06T00:07:00+00:00"


def test_codes_differ_from_each_other_and_from_those_of_every_command() -> None:
    assert EXIT_CODES["info"] == 0
    assert len({*EXIT_CODES.values(), 1, 2, 3, 130}) == 7
    page = (ROOT / "docs" / "cli.md").read_text()
    for severity in ("warn", "error"):
        assert f"| {EXIT_CODES[severity]} | `check` alone" in page


def test_columns_are_named_where_their_names_do_not_tell(tmp_path: Path, capsys: Any) -> None:
    path = written(tmp_path / "a.csv", lines(), "a,b,c,d,e,f")
    with pytest.raises(TerminalError, match="--as bars"):
        check([path])
    columns = "time=a,open=b,high=c,low=d,close=e,volume=f"
    assert run(capsys, [path], kind="bars", columns=columns)[0] == 0
    swapped = "time=a,open=b,high=d,low=c,close=e,volume=f"
    code, told = run(capsys, [path], kind="bars", columns=swapped)
    assert (code, told["findings"][0]["check"], told["findings"][0]["rows"]) == (5, "ohlc_bounds", 60)
    with pytest.raises(TerminalError, match="no kind of rows"):
        check([path], kind="candles")


def test_another_file_is_compared_with(tmp_path: Path, capsys: Any) -> None:
    first = written(tmp_path / "a.csv", lines())
    second = [row.split(",") for row in lines()]
    rows = [",".join([row[0], *(f"{float(cell) * 100:.2f}" for cell in row[1:5]), row[5]]) for row in second]
    other = Path(written(tmp_path / "b.csv", rows))
    code, told = run(capsys, [first], against=[other])
    assert (code, [one["check"] for one in told["findings"]]) == (5, ["price_differs"])


def test_the_worst_of_many_files_counts_and_text_names_each(tmp_path: Path, capsys: Any) -> None:
    rows = lines()
    bad = [*rows[:9], "nonsense", *rows[9:]]
    paths = [written(tmp_path / "a.csv", rows), written(tmp_path / "b.csv", bad)]
    with pytest.raises(typer.Exit) as ended:
        check(paths)
    text = capsys.readouterr().out
    assert ended.value.exit_code == 5
    assert f"{paths[0]}: bars, 60 rows" in text and "nothing found" in text
    assert "unreadable_rows" in text and "1 errors, 0 warnings, 0 notes: exit code 5" in text


@pytest.mark.parametrize(
    ("targets", "options", "message"),
    [
        (["absent.csv"], {}, "is no file"),
        (["market.trades"], {}, "name one with --instrument"),
        (["market.trades", "market.bars"], {"instrument": "X"}, "name it alone"),
    ],
)
def test_what_cannot_be_checked_says_why(targets: list[str], options: dict[str, str], message: str) -> None:
    with pytest.raises(TerminalError, match=message):
        check(targets, **options)  # type: ignore[arg-type]


def test_the_program_exits_with_the_code(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "orchestration.cli", "check", written(tmp_path / "a.csv", lines()[::-1])]
    environment = os.environ | {"TAPEHOUSE_CONFIG": ""}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (4, "")
    assert "descending_order" in done.stdout


def stored_trades() -> pl.DataFrame:
    start = datetime(2024, 8, 8, tzinfo=UTC)
    ids = [at for at in range(200) if at not in (50, 51)]
    return pl.DataFrame(
        {
            "venue": "binance",
            "id_space": "spot.trade",
            "trade_id": [str(at) for at in ids],
            "price": [Decimal(100 + at % 3) for at in ids],
            "quantity": [Decimal(1)] * len(ids),
            "side": "buy",
            "event_time": [start + timedelta(seconds=at) for at in ids],
            "received_time": [start + timedelta(seconds=at, milliseconds=20) for at in ids],
        }
    )


def test_stored_rows_are_checked_like_a_file() -> None:
    found = examine(as_recorded("market.trades", "BTCUSDT", stored_trades()))
    assert [(one.check, one.rows, one.dataset) for one in found] == [
        ("id_gap", 2, "market.trades binance spot.trade"),
    ]


def test_another_dataset_is_refused() -> None:
    with pytest.raises(TerminalError, match=r"valid: market\.trades"):
        stored_history(WarehouseSettings("127.0.0.1", 1), "market.nonsense", "X")
