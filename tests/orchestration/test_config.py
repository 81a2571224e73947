"""Settings: environment over file over default, each with its origin; what is wrong is named with what is valid."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import TerminalError
from orchestration import configuration
from orchestration.configuration import MASK, effective, example, is_secret, read_settings, variable_of
from orchestration.settings import REPOSITORY, Settings
from orchestration.values import environment_of, stack_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TAPEHOUSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TAPEHOUSE_CONFIG", "")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The settings file; empty."""
    path = tmp_path / "some.toml"
    path.write_text("")
    monkeypatch.setenv("TAPEHOUSE_CONFIG", str(path))
    return path  # type: ignore[return-value]


def by_name() -> dict[str, configuration.Effective]:
    return {one.name: one for one in effective(read_settings())}


def refused() -> str:
    with pytest.raises(TerminalError) as error:
        read_settings()
    return str(error.value)


def test_the_environment_goes_before_the_file_and_the_file_before_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('demo_speed = 3\nport_offset = 11\nvenues = ["kraken"]')
    monkeypatch.setenv("TAPEHOUSE_PORT_OFFSET", "12")
    found = by_name()
    assert {
        name: (found[name].value, found[name].origin, found[name].source) for name in found if found[name].source
    } == {
        "demo_speed": (3.0, "file", str(file)),
        "venues": (["kraken"], "file", str(file)),
        "port_offset": (12, "environment", "TAPEHOUSE_PORT_OFFSET"),
    }
    assert {one.origin for one in found.values() if not one.source} == {"default"}


def test_every_setting_says_what_it_is_for() -> None:
    assert [one.name for one in effective(Settings()) if not one.description] == []


def test_paths_of_the_file_count_from_its_folder(file: Path) -> None:
    file.write_text('data_dir = "here"')
    assert read_settings().data_dir == file.parent / "here"


def test_secrets_are_masked_when_set_and_shown_as_empty_when_not(file: Path) -> None:
    assert by_name()["warehouse_password"].value == ""
    file.write_text('warehouse_password = "hush"\nkafka_security = { "sasl.password" = "hush" }')
    found = by_name()
    assert (found["warehouse_password"].value, found["kafka_security"].value) == (MASK, MASK)
    assert "hush" not in json.dumps([vars(one) for one in found.values()])
    assert read_settings().warehouse_password == "hush"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port_offset = 99999", ("port_offset in", "99999", "less than or equal to 50000", "from 0 to 50,000")),
        ('live = "maybe"', ("live in", "'maybe'", "valid: true or false")),
        ("min_score = 1.5", ("min_score in", "1.5", "a number from 0 to 1")),
        ('venue = ["kraken"]', ("venue in", "is no setting", "did you mean venues?")),
        ("zzz = 1", ("zzz in", "is no setting", "valid: data_dir, jars_dir")),
        ('dagster_postgres_url = "mysql://hush"', ("dagster_postgres_url in", MASK, "postgresql://")),
        ('venues = ["nasdaq"]', ("venues in", "nasdaq", "valid: binance, coinbase, kraken")),
        ("live = ", ("can't be read", "it has to be TOML")),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_what_is_valid(file: Path, text: str, words: tuple[str, ...]) -> None:
    file.write_text(text)
    message = refused()
    assert [word for word in (*words, str(file)) if word not in message] == []
    assert "hush" not in message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TAPEHOUSE_PORT_OFFSET", "many", ("TAPEHOUSE_PORT_OFFSET='many'", "a whole number from 0 to 50,000")),
        ("TAPEHOUSE_VENUES", "kraken", ("TAPEHOUSE_VENUES='kraken'", "it is no JSON", 'valid: a list, such as ["')),
        ("TAPEHOUSE_KAFKA_SECURITY", "hush", ("TAPEHOUSE_KAFKA_SECURITY=" + MASK, "valid: a table")),
        ("TAPEHOUSE_VENUE", "kraken", ("TAPEHOUSE_VENUE is no setting", "did you mean TAPEHOUSE_VENUES?")),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_by_its_variable(
    name: str, value: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    message = refused()
    assert [word for word in words if word not in message] == []
    assert "hush" not in message


def test_all_that_is_wrong_is_told_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("port_offset = -1\nnothing = 1")
    monkeypatch.setenv("TAPEHOUSE_DEMO_SPEED", "0")
    message = refused()
    assert [word for word in ("port_offset", "nothing", "TAPEHOUSE_DEMO_SPEED") if word not in message] == []


def test_a_file_that_is_named_has_to_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAPEHOUSE_CONFIG", str(tmp_path / "none.toml"))
    assert "there is no such file" in refused()


def test_what_the_platform_starts_reads_our_settings_and_not_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable set back to the default must hold in every process, whatever the file says."""
    file.write_text("port_offset = 20000\ndemo_speed = 3")
    monkeypatch.setenv("TAPEHOUSE_PORT_OFFSET", "10000")
    ours = read_settings()
    given = stack_settings(ours).environment
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TAPEHOUSE_PORT_OFFSET")
    theirs = read_settings()
    assert (theirs.port_offset, theirs.demo_speed) == (10_000, 3.0)
    assert set(environment_of(ours)) == {"TAPEHOUSE_CONFIG", "TAPEHOUSE_DEMO_SPEED"}


def test_the_committed_example_is_the_printed_one() -> None:
    """After a change: tapehouse config --example > docs/tapehouse.example.toml."""
    assert (ROOT / "docs" / "tapehouse.example.toml").read_text() == example()


def test_the_example_uncommented_is_the_defaults(file: Path) -> None:
    lines = [line.removeprefix("# ") for line in example().splitlines() if " = " in line and line.startswith("# ")]
    told = tomllib.loads("\n".join(lines))
    assert set(told) == set(Settings.model_fields)
    default: dict[str, Any] = Settings().model_dump(mode="json")
    assert {name: str(REPOSITORY / told[name]) for name in ("data_dir", "jars_dir")} == {
        name: default[name] for name in ("data_dir", "jars_dir")
    }
    file.write_text("\n".join(line for line in lines if not line.startswith(("data_dir", "jars_dir"))))
    assert read_settings().model_dump(mode="json") == default


def test_the_command_tells_programs_and_people(file: Path) -> None:
    file.write_text('demo_speed = 3\nregistry_auth = "user:hush"')
    program = Path(sys.executable).with_name("tapehouse")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, "config", *words], capture_output=True, text=True, timeout=60, check=False)

    done = run("--json", "--changed")
    told = json.loads(done.stdout)
    assert set(told) == {"demo_speed", "registry_auth"}
    assert (told["demo_speed"]["value"], told["demo_speed"]["origin"]) == (3.0, "file")
    assert told["registry_auth"]["value"] == MASK
    done = run()
    assert [name for name in Settings.model_fields if name not in done.stdout] == []
    file.write_text("demo_speed = -3")
    done = run()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("wrong settings: demo_speed in ")


def test_what_reaches_a_secret_is_kept_out_of_repr() -> None:
    secrets = [name for name, field in Settings.model_fields.items() if is_secret(field)]
    assert {"warehouse_password", "kafka_security", "registry_auth", "redis_url", "dagster_postgres_url"} <= set(
        secrets
    )
    assert variable_of("redis_url") == "TAPEHOUSE_REDIS_URL"
    shown = repr(Settings(warehouse_password="hush", dagster_postgres_url="postgresql://hush@x/y"))
    assert "hush" not in shown
