"""What a certificate says of its variants, and that it comes back from its file and shows on its page."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts.errors import TerminalError
from quality.certificate import Certificate, Outcome, Table, line, newest, read, render, write

BEGAN = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TABLES = {"market.trades": Table(7, "00000000000000aa"), "market.bars": Table(2, "00000000000000bb")}
ONE = Outcome("full-4", "full speed, 4 partitions", 12.5, 0, 0, (), TABLES)
OTHER = replace(ONE, name="shuffled-8", described="shuffled, 8 partitions", killed=("streams", "warehouse"))
ASKED = replace(OTHER, name="shuffled-1", tables={**TABLES, "reference.instruments": Table(3, "00000000000000cc")})
SAME = Certificate("binance.tape.zst", 60.0, 123_456, 1, BEGAN, 300.0, (ONE, OTHER, ASKED), {"system.gaps": "why"})


def test_equal_throughout_is_said_in_a_sentence() -> None:
    assert SAME.equal
    assert SAME.sentence.startswith("The same throughout: 123,456 payloads replayed in 3 ways")
    assert SAME.names == ("market.trades", "market.bars", "reference.instruments")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tables": {**TABLES, "market.bars": Table(2, "00000000000000bc")}}, "market.bars holds 2 rows with hash"),
        ({"tables": {**TABLES, "market.trades": Table(8, "00000000000000aa")}}, "market.trades holds 7 rows"),
        ({"missing": 1}, "the audit of shuffled-8 found 1 missing and 0 twice"),
        ({"twice": 2}, "the audit of shuffled-8 found 0 missing and 2 twice"),
    ],
)
def test_one_row_or_one_hash_that_differs_makes_it_unequal_and_is_named(changed: dict[str, object], told: str) -> None:
    certificate = replace(SAME, variants=(ONE, replace(OTHER, **changed), ASKED))  # type: ignore[arg-type]
    assert not certificate.equal
    assert any(one.startswith(told) for one in certificate.differences)
    assert told in render(certificate)


def test_nothing_to_compare_is_no_certificate() -> None:
    assert not replace(SAME, variants=(ONE,)).equal
    empty = {name: Table(0, "0" * 16) for name in TABLES}
    assert not replace(SAME, variants=(replace(ONE, tables=empty), replace(OTHER, tables=empty))).equal


def test_it_comes_back_from_its_file_and_the_newest_is_the_one_told_of(tmp_path: Path) -> None:
    assert newest(tmp_path) is None
    assert line(tmp_path) == ""
    document, page = write(tmp_path, SAME)
    assert read(document) == SAME
    told = json.loads(document.read_text())
    assert (told["equal"], told["differences"], told["variants"][1]["killed"]) == (True, [], ["streams", "warehouse"])
    later = replace(SAME, began=BEGAN + timedelta(hours=1), variants=(ONE, replace(OTHER, missing=1)))
    write(tmp_path, later)
    assert newest(tmp_path) == later
    assert line(tmp_path).startswith("Not the same throughout: the audit of shuffled-8")
    assert line(tmp_path).endswith("Tape binance.tape.zst, 2026-11-21 13:00 UTC.")
    assert page.read_text() == render(SAME)
    for found in tmp_path.glob("*.json"):
        found.write_text("{}")
    with pytest.raises(TerminalError, match="is no certificate"):
        read(document)
    assert "is no certificate" in line(tmp_path)


def test_the_page_holds_every_hash_and_needs_nothing_else() -> None:
    page = render(replace(SAME, tape="<b>x"))
    for one in SAME.variants:
        assert one.name in page
        assert all(table.hash in page for table in one.tables.values())
    assert "<script" not in page
    assert "<b>x" not in page
    assert "asked for anew" in page
    assert "<code>system.gaps</code>: why" in page
