"""The commands that a person or a script types, against the running platform."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.processes import LocalProcesses
from orchestration.settings import REPOSITORY
from orchestration.values import environment_of
from stores.lake import open_tape

COLLECTOR = "collector-binance"


@pytest.fixture
def tapehouse(flow: Any) -> Any:
    program = Path(sys.executable).parent / "tapehouse"
    environment = os.environ | environment_of(flow.settings)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words], env=environment, capture_output=True, text=True, timeout=200, check=False
        )

    return run


def prove(road: Any, home: Path) -> dg.AssetCheckEvaluation:
    """Run the job of Dagster's that rebuilds the day, as its daemon would, and return what its check says."""
    home.mkdir()
    program, tags = str(Path(sys.executable).with_name("dagster")), json.dumps({"dagster/partition": str(road.day)})
    command = [program, "job", "execute", "-m", "orchestration.definitions", "-j", "parity", "--tags", tags]
    environment = os.environ | environment_of(road.platform.settings) | {"DAGSTER_HOME": str(home)}
    done = subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False
    )
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_runs()
        events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        assert len(events) == 1, done.stderr
        assert events[0].dagster_event is not None
        return events[0].dagster_event.asset_check_evaluation_data


def test_audit_and_rebuild_tell_programs_and_exit_codes_what_they_found(
    road: Any, tapehouse: Any, wait_until: Any, tmp_path: Path
) -> None:
    road.play(road.records(300))
    wait_until(lambda: road.stored() == 300, "300 trades stored")
    done = tapehouse("audit", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["missing"], told["twice"], told["balanced"]) == (0, 0, 0, True)
    assert {row["check"] for row in told["rows"]} >= {"kafka to ledger", "ledger to table", "tape to tables"}
    done = tapehouse("rebuild", "--day", str(road.day), "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["equal"], told["share_equal"]) == (0, True, 1.0)
    assert [table["rebuilt_count"] for table in told["tables"] if table["table"] == "market.trades"] == [300]
    # A day whose trades were altered fails its proof, which a run of Dagster's makes in a Spark session of its own.
    one = f"venue_sequence = {road.first_id + 3}"
    kept = f"SELECT * FROM market_trades FINAL WHERE {one}"
    (row,) = road.platform.ask(f"SELECT price FROM ({kept})")
    change = "ALTER TABLE market_trades UPDATE price = {} WHERE {} SETTINGS mutations_sync = 2"
    road.platform.run(change.format("price + 1", one))
    proof = prove(road, tmp_path / "dagster")
    road.platform.run(change.format(str(row[0]), one))
    assert (proof.passed, proof.blocking, proof.partition) == (False, True, str(road.day))
    first = {name: value.value for name, value in proof.metadata.items()}
    # Trades and bars of one instrument: one of the two differs, and the message that held the trade is named.
    assert (first["share_equal"], first["dataset"]) == (0.5, "market.trades")
    assert f"trade_id {road.first_id + 3}: price is " in str(first["first_difference"])
    place = [("connection_id", "=", first["connection_id"]), ("message_number", "=", first["message_number"])]
    lake = open_tape(road.platform.settings.lake)
    assert lake is not None
    (payload,) = lake.to_pyarrow_table(filters=place, columns=["payload"])["payload"].to_pylist()
    assert f'"t":{road.first_id + 3},'.encode() in payload
    compared = road.platform.ask(
        "SELECT dataset, revision, equal, message_number FROM system_parity_current "
        f"WHERE day_time = '{road.day}' ORDER BY dataset"
    )
    assert compared == [("market.bars", 2, 1, -1), ("market.trades", 2, 0, first["message_number"])]


def test_topics_lists_what_the_contracts_ask_for(tapehouse: Any) -> None:
    done = tapehouse("topics")
    assert done.returncode == 0, done.stderr
    for word in ("tape.binance", "market.trades", "system.quarantine", "venue, instrument", "7 d", "v1", "MiB"):
        assert word in done.stdout, word


def test_migrate_says_that_nothing_is_to_be_done(tapehouse: Any) -> None:
    done = tapehouse("migrate")
    assert (done.returncode, done.stdout.split(";")[0]) == (0, "nothing to apply")


def test_a_wrong_day_is_a_usage_error_and_an_unknown_venue_one_clear_line(tapehouse: Any, tmp_path: Path) -> None:
    assert tapehouse("rebuild", "--day", "yesterday").returncode == 2
    done = tapehouse("record", str(tmp_path / "x"), "--venue", "nasdaq")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("no venue is called 'nasdaq'; valid: binance, coinbase, kraken")


def test_status_shows_every_process_with_its_lag_and_memory(tapehouse: Any) -> None:
    told = json.loads(tapehouse("status", "--json").stdout)
    services = {service["name"]: service for service in told["services"]}
    assert set(services) >= {"kafka", "registry", "warehouse", "redis", "replay", "collector-binance", "streams"}
    for name in ("collector-binance", "streams"):
        assert services[name]["state"] == "healthy"
        assert services[name]["lag"] is not None
        assert services[name]["memory_bytes"] > 10_000_000


def test_a_process_restarted_from_the_ui_goes_on_where_it_was(road: Any, wait_until: Any) -> None:
    records = road.records(200)
    road.play(records[:100])
    wait_until(lambda: road.stored() == 100, "100 trades stored")
    processes = LocalProcesses(road.platform.stack)
    before = processes.view([COLLECTOR])[COLLECTOR]
    assert (before.state, before.health["status"]) == ("healthy", "running")
    processes.restart(COLLECTOR)
    after = processes.view([COLLECTOR])[COLLECTOR]
    assert after.state == "healthy"
    assert (after.uptime_s or 0) < (before.uptime_s or 0)
    road.play(records[100:])
    wait_until(lambda: road.stored() == 200, "200 trades stored")
    road.platform.balances()
