"""What is derived from the tape again: placed like the collector's rows, and no column more than asked for."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from contracts.books import BOOKS
from contracts.quarantine import QUARANTINE
from contracts.quotes import QUOTES
from contracts.tape import TAPE
from sources import derive as module
from sources.derive import TAPE_COLUMNS, derive
from sources.events import Accepted, Event, Ignored, Rejected
from sources.venues import venue
from stores.arrow import arrow_schema

RECEIVED = 1_700_000_000_000_000


def parse(endpoint: str, payload: bytes, request: str = "") -> list[Event]:
    """Stand in for a venue's parser: a book, a quote that repeats what it was handed, and what is not accepted."""
    lists: dict[str, object] = {f"{side}_{what}": [] for side in ("bid", "ask") for what in ("prices", "quantities")}
    book = {"venue": "v", "instrument": "i", "id_space": "s", "kind": "delta", **lists}
    told = {"venue": payload.decode(), "instrument": request, "id_space": endpoint}
    numbers = dict.fromkeys(("bid_price", "bid_quantity", "ask_price", "ask_quantity"), Decimal(1))
    return [
        Accepted(BOOKS.name, {**book, "bid_prices": [Decimal("1.50")], "bid_quantities": [Decimal(2)]}),
        Ignored("heartbeat"),
        Accepted(QUOTES.name, {**told, **numbers, "update_id": "7", "venue_sequence": 7, "event_time": 5}),
        Rejected(BOOKS.name, "missing_field", "no field b"),
    ]


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> pa.RecordBatch:
    monkeypatch.setattr(module, "venue", lambda _: replace(venue("binance"), parse=parse))
    row: dict[str, Any] = {
        "venue": "binance", "endpoint": "spot", "payload": b"p", "received_time": RECEIVED, "connection_id": "c",
        "request": "/depth?limit=5",
    }  # fmt: skip
    rows = [{**row, "message_number": number} for number in (1, 2)]
    return pa.RecordBatch.from_pylist(rows, schema=arrow_schema(TAPE.wire_columns))


def test_rows_have_their_place_and_stand_ins_for_what_the_venue_does_not_tell(tape: pa.RecordBatch) -> None:
    assert tuple(tape.schema.names) == TAPE_COLUMNS
    found = derive(tape)
    assert set(found) == {BOOKS.name, QUOTES.name, QUARANTINE.name}
    assert {name: rows.schema for name, rows in found.items()} == {
        dataset.name: arrow_schema(dataset.wire_columns) for dataset in (BOOKS, QUOTES, QUARANTINE)
    }
    first, second = found[BOOKS.name].to_pylist()
    assert (first["update_id"], second["update_id"]) == ("c:1:0", "c:2:0")
    assert (first["venue_sequence"], first["chain"], first["event_clock"]) == (RECEIVED, "c", "collector")
    assert first["bid_prices"] == [Decimal("1.5")]
    quote = found[QUOTES.name].to_pylist()[0]
    assert (quote["venue"], quote["instrument"], quote["id_space"]) == ("p", "/depth?limit=5", "spot")
    assert (quote["message_index"], quote["event_clock"]) == (2, "venue")
    refused = found[QUARANTINE.name].to_pylist()[1]
    assert (refused["reason"], refused["payload"], refused["message_number"], refused["message_index"]) == (
        "missing_field", b"p", 2, 3,
    )  # fmt: skip


def test_only_the_columns_asked_for_are_made(tape: pa.RecordBatch) -> None:
    found = derive(tape, {BOOKS.name: ["update_id", "event_time"]})
    assert found[BOOKS.name].column_names == ["update_id", "event_time"]
    assert found[BOOKS.name]["update_id"].to_pylist() == ["c:1:0", "c:2:0"]
    assert found[QUOTES.name].schema == arrow_schema(QUOTES.wire_columns)
