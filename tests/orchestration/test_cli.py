"""The command line as a whole: every command is documented, tells programs what it tells people, ends as it says."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from orchestration.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cli.md"
BEGIN, END = "<!-- commands -->\n", "<!-- end of commands -->"
# These print no table: they do something, or print lines that are JSON anyway.
WITHOUT_JSON = {"up", "down", "record", "parse"}


def commands(group: Any = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """Return every command that is shown, with its full name."""
    root: Any = group or typer.main.get_command(app)
    for name, command in root.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def table() -> str:
    """Return the table of commands as it stands in docs/cli.md."""
    rows = ["| command | what it does | options |", "|---|---|---|"]
    for name, command in commands():
        arguments = [one.metavar or one.name.upper() for one in command.params if one.param_type_name == "argument"]
        options = [f"`{one.opts[0]}`" for one in command.params if one.param_type_name == "option"]
        said = " ".join(command.help.split("\n\n")[0].split()).replace("|", "\\|")
        rows.append(f"| `{' '.join([name, *arguments])}` | {said} | {' '.join(options)} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """Return docs/cli.md with its table made anew."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    outside = {name: value for name, value in os.environ.items() if not name.startswith("TAPEHOUSE_")}
    return subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *words],
        cwd=ROOT,
        env=outside | {"TAPEHOUSE_CONFIG": ""} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_page_names_every_command_and_option() -> None:
    """After a change: python tests/orchestration/test_cli.py."""
    assert PAGE.read_text() == page()


def test_whatever_prints_a_table_prints_json_too() -> None:
    without = {name for name, command in commands() if not any("--json" in one.opts for one in command.params)}
    assert without == WITHOUT_JSON


def test_every_command_and_every_word_of_it_is_explained() -> None:
    for name, command in commands():
        assert command.help, name
        for one in command.params:
            assert getattr(one, "help", "") or one.param_type_name == "argument", f"{name} {one.name}"


@pytest.mark.parametrize("words", [("nonsense",), ("audit", "--nonsense"), ("rebuild", "--day", "x"), ("rebuild",)])
def test_a_wrong_usage_is_two_and_says_so_on_stderr(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error" in done.stderr


@pytest.mark.parametrize("words", [("sql", "SELECT 1"), ("backfill", "list"), ("topics",), ("migrate",), ("config",)])
def test_an_error_is_one_line_on_stderr_and_one(words: tuple[str, ...]) -> None:
    done = run(*words, TAPEHOUSE_PORT_OFFSET="many")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("wrong settings: TAPEHOUSE_PORT_OFFSET='many'")
    assert "Traceback" in run(*words, TAPEHOUSE_PORT_OFFSET="many", TAPEHOUSE_DEBUG="1").stderr


@pytest.mark.parametrize(
    ("typed", "position", "offered"),
    [
        ("tapehouse ba", "1", "backfill"),
        ("tapehouse backfill re", "2", "resume"),
        ("tapehouse audit --w", "2", "--wait"),
    ],
)
def test_the_shell_completes_commands_and_options(typed: str, position: str, offered: str) -> None:
    """What bash asks of the program, by the variables that the installed completion sets."""
    program = "import sys; from orchestration.cli import app; sys.argv = ['tapehouse']; app(prog_name='tapehouse')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"_TAPEHOUSE_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": position},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert offered in done.stdout.split(), done.stderr


def test_starting_to_type_brings_no_heavy_library_along() -> None:
    heavy = ("pyspark", "dagster", "clickhouse_connect", "polars", "pydantic", "rich.table", "pyarrow")
    code = f"import sys, orchestration.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_topics_tells_programs_what_it_tells_people(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from orchestration.cli import data

    listed = [
        data.Listed("market.trades", 4, "7 d", ("venue", "instrument"), True, 1, 12_345, 2**20),
        data.Listed("tape.kraken", 1, "unlimited", ("venue",), False),
    ]
    monkeypatch.setattr(data, "_listed", lambda _: (listed, ["market.trades has 3 partitions, not 4"]))
    with pytest.raises(typer.Exit) as ended:
        data.topics(as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (ended.value.exit_code, told["topics"][0]["records"], told["topics"][1]["there"]) == (1, 12_345, False)
    with pytest.raises(typer.Exit):
        data.topics()
    shown = capsys.readouterr().out
    for word in ("market.trades", "venue, instrument", "v1", "12,345", "1.0 MiB", "not there", *told["differences"]):
        assert word in shown
    assert re.search(r"tape\.kraken\s+1\s+unlimited", shown)


if __name__ == "__main__":
    PAGE.write_text(page())
