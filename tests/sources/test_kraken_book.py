"""Kraken's books add up: what it says of them by checksum is what our books hold."""

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.events import Accepted
from sources.foreign import read_foreign
from sources.kraken import VENUE
from sources.kraken.checksum import checksum
from sources.kraken.parse import parse
from sources.placing import placed
from sources.tape_file import TapeRecord
from sources.watch.books import Book

# The worked example of Kraken's guide to the checksum of v2.
ASKS = (
    "45285.2 0.00100000, 45286.4 1.54571953, 45286.6 1.54571109, 45289.6 1.54560911, 45290.2 0.15890660, "
    "45291.8 1.54553491, 45294.7 0.04454749, 45296.1 0.35380000, 45297.5 0.09945542, 45299.5 0.18772827"
)
BIDS = (
    "45283.5 0.10000000, 45283.4 1.54582015, 45282.1 0.10000000, 45281.0 0.10000000, 45280.3 1.54592586, "
    "45279.0 0.07990000, 45277.6 0.03310103, 45277.5 0.30000000, 45277.3 1.54602737, 45276.6 0.15445238"
)
DOCUMENTED = 3310070434


def levels(text: str) -> list[tuple[Decimal, Decimal]]:
    pairs = [level.split() for level in text.split(", ")]
    return [(Decimal(price), Decimal(quantity)) for price, quantity in pairs]


def books(recordings: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of the recorded books as the collector would make them."""
    lines = read_foreign(recordings / "bmoscon+cryptofeed" / "sample_data__KRAKEN.ws.50.0")
    for number, line in enumerate((line for line in lines if not line.control), 1):
        record = TapeRecord(line.received_time, "kraken", "v1", "one", number, line.payload)
        for index, event in enumerate(parse("v1", line.payload)):
            if isinstance(event, Accepted):
                yield placed(event, record, index)


def test_documented_checksum_is_computed() -> None:
    assert checksum(levels(ASKS), levels(BIDS)) == DOCUMENTED


def test_levels_beyond_the_tenth_do_not_count() -> None:
    assert checksum([*levels(ASKS), *levels("45300.0 1.0")], [*levels(BIDS), *levels("45000.0 1.0")]) == DOCUMENTED


def test_zeros_at_the_end_count() -> None:
    assert checksum(levels(ASKS.replace("0.00100000", "0.001")), levels(BIDS)) != DOCUMENTED


def test_documented_snapshot_of_v2_matches_from_its_payload_on() -> None:
    def side(text: str) -> str:
        pairs = [level.split() for level in text.split(", ")]
        return ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in pairs)

    payload = (
        f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"BTC/USD","bids":[{side(BIDS)}],'
        f'"asks":[{side(ASKS)}],"checksum":{DOCUMENTED}}}]}}'
    ).encode()
    (event,) = parse("v2", payload)
    assert isinstance(event, Accepted)
    outcome = Book(checksum=VENUE.checksum).apply(placed(event, TapeRecord(1, "kraken", "v2", "c", 1, payload), 0))
    assert (outcome.kind, outcome.checksum) == ("snapshot", True)


NUMBERS = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False, places=8).filter(bool)
SIDES = st.lists(st.tuples(NUMBERS, NUMBERS | st.just(Decimal("0.00000010"))), max_size=12)


@given(SIDES, SIDES)
def test_checksum_is_that_of_the_digits_as_written(asks: list[Any], bids: list[Any]) -> None:
    written = [f"{number:f}" for side in (asks[:10], bids[:10]) for level in side for number in level]
    text = "".join(number.replace(".", "").lstrip("0") for number in written)
    assert checksum(asks, bids) == zlib.crc32(text.encode())


def test_every_checksum_of_the_recording_matches(recordings: Path) -> None:
    kept: dict[str, Book] = {}
    outcomes: Counter[tuple[str, bool | None]] = Counter()
    for row in books(recordings):
        outcome = kept.setdefault(row["instrument"], Book(checksum=VENUE.checksum)).apply(row)
        outcomes[outcome.kind, outcome.checksum] += 1
    assert outcomes == {("snapshot", None): 10, ("applied", True): 4269}
    assert len(kept) == 10
    assert all(book.complete for book in kept.values())
    assert sum(book.checksums_failed for book in kept.values()) == 0


def test_checksum_tells_of_a_lost_update(recordings: Path) -> None:
    """Lose, of each book, an update of its best ten levels; the next one, which leaves them alone, must fail."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in books(recordings):
        by_name.setdefault(row["instrument"], []).append(row)
    assert len(by_name) == 10
    for rows in by_name.values():
        told = [row["checksum"] for row in rows]
        lost = next(i for i in range(2, len(rows) - 1) if told[i - 1] != told[i] == told[i + 1])
        book = Book(checksum=VENUE.checksum)
        assert {book.apply(row).kind for row in rows[1:lost]} == {"incomplete"}  # no snapshot yet
        assert [book.apply(row).kind for row in rows[:lost]] == ["snapshot"] + ["applied"] * (lost - 1)
        assert book.apply(rows[lost + 1]).kind == "checksum_failed"
        assert not book.complete


@pytest.mark.parametrize("side", ["a", "b"])
def test_checksum_tells_of_a_changed_digit(recordings: Path, side: str) -> None:
    rows = books(recordings)
    changed = next(row for row in rows if row["kind"] == "snapshot")
    quantities = changed["ask_quantities" if side == "a" else "bid_quantities"]
    quantities[9] += Decimal("0.00000001")
    book = Book(checksum=VENUE.checksum)
    book.apply(changed)
    following = next(row for row in rows if row["instrument"] == changed["instrument"] and row["kind"] == "delta")
    assert book.apply(following).kind == "checksum_failed"


def test_recorded_checksums_are_those_of_the_messages(recordings: Path) -> None:
    lines = read_foreign(recordings / "bmoscon+cryptofeed" / "sample_data__KRAKEN.ws.50.0")
    messages = [json.loads(line.payload) for line in lines if line.payload.startswith(b"[") and not line.control]
    told = [message[-3]["c"] for message in messages if "c" in message[-3]]
    assert [str(row["checksum"]) for row in books(recordings) if row["checksum"] >= 0] == told
    assert len(told) == 4269
