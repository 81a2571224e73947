"""`tapehouse import --dry-run` says what files would become and writes nothing; a file that can't be is named."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer

from contracts.errors import TerminalError
from orchestration.cli.imports import bring


def told(capsys: Any, targets: list[str], **options: Any) -> list[dict[str, Any]]:
    bring(targets, dry_run=True, as_json=True, **options)
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_plan_says_kind_series_times_and_what_can_t_be_read(tmp_path: Path, capsys: Any) -> None:
    lines = [f"2024-01-02 00:0{n}:00,1,2,1,{'x' if n == 7 else 2},5" for n in range(10)]
    path = written(tmp_path / "X.csv", "\n".join(["DATE,A,B,C,D,VOL", *lines]))
    named = "time=DATE,open=A,high=B,low=C,close=D,volume=VOL"
    [part] = told(capsys, [path], kind="bars", columns=named, venue="v", instrument="X-USD")
    assert (part["kind"], part["instruments"], part["id_space"], part["lines"]) == (
        "bars",
        ["X-USD"],
        "file.bars_1m",
        10,
    )
    assert (part["from"], part["to"]) == ("2024-01-02T00:00:00+00:00", "2024-01-02T00:09:00+00:00")
    assert (part["unreadable"], part["reasons"][0][:8]) == (1, "line 9: ")


def test_a_file_that_can_t_be_imported_does_not_stop_the_others(tmp_path: Path, capsys: Any) -> None:
    written(tmp_path / "a.csv", "time,price,quantity\n2024-01-02,1,1")
    written(tmp_path / "b.csv", "nothing,known\n1,2")
    with pytest.raises(typer.Exit) as ended:
        bring([str(tmp_path)], dry_run=True, as_json=True, venue="v")
    shown = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert [part["file"] for part in json.loads(shown.out)] == ["a.csv"]
    assert "b.csv" in shown.err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rest": "binance"}, "--from"),
        ({"rest": "binance", "ccxt": "okx"}, "name one"),
        ({"ccxt": "nowhere"}, "--from"),
        ({"zone": "Mars"}, "no zone"),
        ({"kind": "bars", "columns": "open=x,width=3"}, "--columns"),
    ],
)
def test_wrong_options_say_what_is_valid(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TerminalError, match=says):
        bring(["X"], **options)
