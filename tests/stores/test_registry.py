"""Schemas are registered BACKWARD compatible; a producer whose schema breaks that is refused before it sends."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from contracts.dataset import Column, Type
from contracts.errors import RetryableError, TerminalError
from contracts.trades import TRADES
from stores import registry
from stores.records import RecordDecoder, RecordEncoder
from stores.settings import RegistrySettings

ROW = {
    "venue": "binance", "instrument": "BTCUSDT", "id_space": "spot.trade", "trade_id": "7", "venue_sequence": 7,
    "price": Decimal(1), "quantity": Decimal(2), "side": "buy", "trade_count": 1, "event_time": 5, "received_time": 6,
    "connection_id": "c", "message_number": 5, "message_index": 0,
}  # fmt: skip


def test_an_incompatible_schema_is_refused_and_nothing_changes(platform: Any) -> None:
    topic = "test.refused"
    first = registry.register(platform.registry, TRADES, topic)
    broken = replace(
        TRADES, columns=(*TRADES.columns, Column("colour", Type.STRING, "No default: old records lack it."))
    )
    with pytest.raises(TerminalError, match=r"breaks BACKWARD compatibility.*give new columns a default"):
        RecordEncoder(platform.registry, broken, topic)
    assert list(registry.schemas_of(platform.registry, topic)) == [first]
    assert registry.latest_version(platform.registry, topic) == 1


def test_a_column_with_a_default_is_a_new_version_and_old_records_read_on(platform: Any) -> None:
    topic = "test.grown"
    old = RecordEncoder(platform.registry, TRADES, topic).encode(ROW)
    wider = replace(TRADES, columns=(*TRADES.columns, Column("colour", Type.STRING, "New.", default="none")))
    new = RecordEncoder(platform.registry, wider, topic).encode({**ROW, "colour": "red"})
    assert registry.latest_version(platform.registry, topic) == 2
    decoder = RecordDecoder(platform.registry, wider)
    assert [decoder.decode(value)["colour"] for value in (old, new)] == ["none", "red"]
    # And the other way round: a reader of the older contract leaves out what it does not know.
    assert "colour" not in RecordDecoder(platform.registry, TRADES).decode(new)


def test_registering_again_returns_the_same_id(platform: Any) -> None:
    ids = {registry.register(platform.registry, TRADES, "test.again") for _ in range(3)}
    assert len(ids) == 1


def test_records_of_an_unknown_schema_or_cut_short_are_terminal(platform: Any) -> None:
    encoder = RecordEncoder(platform.registry, TRADES, "test.again")
    decoder = RecordDecoder(platform.registry, TRADES)
    for value in (b"", b"\x01abcdef", encoder.encode(ROW)[:20], b"\x00\x00\x0f\x42\x3f rest"):
        with pytest.raises(TerminalError):
            decoder.decode(value)


def test_a_row_that_does_not_fit_its_contract_names_itself(platform: Any) -> None:
    encoder = RecordEncoder(platform.registry, TRADES, "test.again")
    with pytest.raises(TerminalError, match=r"does not fit contract market\.trades.*'side': 7"):
        encoder.encode({**ROW, "side": 7})


def test_a_registry_that_is_away_is_retryable() -> None:
    with pytest.raises(RetryableError, match="did not answer"):
        registry.schemas_of(RegistrySettings("http://127.0.0.1:9/apis/ccompat/v7"), "x")
