"""`tapehouse retention`, `compact` and `mute`, as a person and as a program see them."""

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contracts.dataset import Type
from contracts.mutes import MUTES
from contracts.venue_bars import VENUE_BARS
from orchestration.settings import Settings
from stores.arrow import arrow_schema


@pytest.fixture
def command(answering: Any, tapehouse: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run a command on a lake of its own."""
    own = Settings(data_dir=tmp_path, warehouse_host=answering.settings.host, warehouse_port=answering.settings.port)
    return lambda *words: tapehouse(*words, settings=own)


def store(answering: Any, parts: int) -> None:
    """Insert bars of venues of an old month, each in a part of its own."""
    moment = datetime(2021, 3, 1, tzinfo=UTC)
    zero = {Type.STRING: "v", Type.TIMESTAMP: moment}
    blank = {c.name: zero.get(c.type, 0) if isinstance(c.type, Type) else Decimal(1) for c in VENUE_BARS.columns}
    for number in range(parts):
        table = pa.Table.from_pylist([blank | {"update_id": str(number)}], schema=arrow_schema(VENUE_BARS.columns))
        answering.warehouse.insert(VENUE_BARS.table, table, token=secrets.token_hex(8))


def test_what_is_over_its_time_is_listed_with_what_keeps_it(answering: Any, command: Any) -> None:
    store(answering, 3)
    try:
        told = json.loads(command("retention", "--dry-run", "--json").stdout)["partitions"]
        mine = [one for one in told if one["dataset"] == "market.venue_bars"]
        assert [(one["partition"], one["rows"], one["state"]) for one in mine] == [("202103", 3, "kept")]
        shown = command("retention")
        assert shown.returncode == 0, shown.stderr
        assert "tapehouse rebuild --day 2021-03-01" in " ".join(shown.stdout.split())
        assert json.loads(command("retention", "--record", "--json").stdout) == {"seals": []}
        refused = command("retention", "--export")
        assert (refused.returncode, "TAPEHOUSE_RETENTION_BACKUP" in refused.stderr) == (1, True)
    finally:
        answering.warehouse.run(f"TRUNCATE TABLE {VENUE_BARS.table}")


def test_compaction_tells_files_and_bytes_before_and_after(answering: Any, command: Any) -> None:
    store(answering, 3)
    try:
        told = json.loads(command("compact", "--json").stdout)
        (sizes,) = [one for one in told["tables"] if one["table"] == "market_venue_bars"]
        assert sizes["rows"] == 3
        assert sizes["bytes a million"] == round(sizes["bytes after"] * 1_000_000 / 3)
        assert all(one["dataset"] != "market_venue_bars" for one in told["compacted"]), "written a moment ago"
        assert "partitions would be compacted" in command("compact", "--dry-run").stdout
    finally:
        answering.warehouse.run(f"TRUNCATE TABLE {VENUE_BARS.table}")


def test_incidents_are_muted_for_a_while(answering: Any, command: Any) -> None:
    answering.warehouse.run(f"TRUNCATE TABLE {MUTES.table}")
    assert command("mute").stdout.strip() == "nothing is muted"
    assert "stale/*: until 20" in command("mute", "stale/*", "--hours", "2", "--why", "maintenance").stdout
    (one,) = json.loads(command("mute", "--json").stdout)["mutes"]
    assert (one["pattern"], one["reason"]) == ("stale/*", "maintenance")
    assert command("mute", "stale/*", "--hours", "0").stdout.strip() == "nothing is muted"
