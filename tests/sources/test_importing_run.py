"""An import that is killed goes on where it was: nothing missing, nothing twice; a finished one is passed over."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import TerminalError
from contracts.imports import IMPORT
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE, tape_topic
from contracts.trades import TRADES
from sources.collector.wire import topic_of
from sources.importing import content
from sources.importing.files import Imported, import_part
from sources.importing.planning import Wish
from sources.importing.run import ImportSettings, sender
from stores.broker import end_offsets, read_ranges
from stores.records import RecordDecoder
from tests.sources.conftest import Platform
from tests.sources.importing_parts import kill_import, only

LINES = 1400


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "LINES_A_PIECE", 20)


def written(folder: Path, name: str) -> Path:
    lines = [f"{1_700_000_000_000 + n},{n + 1},1" if n % 100 else f"{1_700_000_000_000 + n},?,1" for n in range(LINES)]
    path = folder / f"{name}.csv"
    path.write_text("\n".join(["time,price,quantity", *lines]))
    return path


def stored(platform: Platform, dataset: Any, topic: str, connection: str) -> list[dict[str, Any]]:
    decoder = RecordDecoder(platform.registry, dataset)
    ranges = {p: (0, end) for p, end in end_offsets(platform.broker, topic).items()}
    values = (message.value() or b"" for message in read_ranges(platform.broker, topic, ranges))
    # Other tests of this room leave records behind that nobody can read; texts stand in Avro as they are.
    rows = [decoder.decode(value) for value in values if connection.encode() in value]
    return [row for row in rows if row["connection_id"] == connection]


def settings_of(platform: Platform, folder: Path) -> ImportSettings:
    return ImportSettings(platform.broker, platform.registry, folder / "imports")


def imported(settings: ImportSettings, path: Path, name: str, **more: Any) -> Imported:
    with sender(settings) as sending:
        begun = import_part(sending, only(path, Wish("v", name)), lambda *_: lambda *_: None, **more)
        return asyncio.run(begun)


@pytest.mark.parametrize(("after", "whole"), [(10, 5), (55, 40)], ids=["before a commit", "after one"])
def test_a_killed_import_goes_on_and_is_whole(platform: Platform, tmp_path: Path, after: int, whole: int) -> None:
    name = f"KILL{after}"
    path, settings = written(tmp_path, name), settings_of(platform, tmp_path)
    kill_import(platform.broker, platform.registry, settings.folder, path, Wish("v", name), after=after, whole=whole)
    connection = only(path, Wish("v", name)).connection_id
    assert 0 < len(stored(platform, TRADES, topic_of(TRADES).name, connection)) < LINES * 0.99
    told = imported(settings, path, name)
    assert not told.skipped
    trades = stored(platform, TRADES, topic_of(TRADES).name, connection)
    assert Counter(int(row["price"]) for row in trades) == Counter(n + 1 for n in range(LINES) if n % 100)
    refused = stored(platform, QUARANTINE, topic_of(QUARANTINE).name, connection)
    assert sorted(row["payload"] for row in refused) == sorted(
        f"{1_700_000_000_000 + n},?,1".encode() for n in range(0, LINES, 100)
    )
    tape = stored(platform, TAPE, tape_topic(IMPORT).name, connection)
    assert [row["message_number"] for row in tape] == list(range(1, LINES // 20 + 1))
    assert b"\n".join(row["payload"] for row in tape) == path.read_bytes().split(b"\n", 1)[1]
    assert (told.record.rows, told.record.refused) == (len(trades), len(refused))


def test_a_finished_file_is_passed_over_and_so_is_its_copy(platform: Platform, tmp_path: Path) -> None:
    path, settings = written(tmp_path, "TWICE"), settings_of(platform, tmp_path)
    first = imported(settings, path, "TWICE")
    copy = tmp_path / "copy.csv"
    copy.write_bytes(path.read_bytes())
    again = [imported(settings, one, "TWICE") for one in (path, copy)]
    assert [one.skipped for one in again] == [True, True]
    assert len(stored(platform, TRADES, topic_of(TRADES).name, first.record.connection_id)) == first.record.rows


def test_another_file_of_the_same_time_is_refused_unless_both_are_wanted(platform: Platform, tmp_path: Path) -> None:
    path, settings = written(tmp_path, "MEET"), settings_of(platform, tmp_path)
    imported(settings, path, "MEET")
    later = tmp_path / "later.csv"
    later.write_text("time,price,quantity\n1700000000500,1,1\n")
    with pytest.raises(TerminalError, match=r"MEET\.csv"):
        imported(settings, later, "MEET")
    assert imported(settings, later, "MEET", overlap=True).record.rows == 1


def test_two_imports_at_once_are_refused(platform: Platform, tmp_path: Path) -> None:
    settings = settings_of(platform, tmp_path)
    with sender(settings), pytest.raises(TerminalError, match="another import"), sender(settings):
        pass
