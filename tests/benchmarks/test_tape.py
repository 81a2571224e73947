"""The lake's tape and the Parquet of W4: both hold the trades that the oracle counts."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks.events import Events, Shape, make_events
from benchmarks.workloads.w4 import write_tape, write_trades
from contracts.trades import PRICE, QUANTITY, TRADES
from sources.derive import TAPE_COLUMNS, derive
from stores.lake import read_tape
from stores.settings import LakeSettings


@pytest.fixture(scope="module")
def events() -> Events:
    return make_events(Shape(count=3000, instruments=7))


def test_what_is_parsed_from_the_lake_is_what_was_generated(events: Events, tmp_path: Path) -> None:
    lake = LakeSettings(str(tmp_path))
    write_tape(lake, events)
    write_tape(lake, events)  # anew, not once more
    derived = [derive(batch) for batch in read_tape(lake, TAPE_COLUMNS)]
    assert all(set(found) == {TRADES.name} for found in derived)
    rows = pl.concat([pl.DataFrame(pl.from_arrow(found[TRADES.name])) for found in derived])
    rows = rows.sort("message_number", "message_index")
    assert rows["venue_sequence"].to_list() == events.sequence.tolist()
    assert rows["event_time"].dt.timestamp("us").to_list() == events.event_time.tolist()
    assert rows["received_time"].dt.timestamp("us").to_list() == events.received_time.tolist()
    assert [int(price.scaleb(6)) for price in rows["price"]] == events.price.tolist()
    assert [int(quantity.scaleb(8)) for quantity in rows["quantity"]] == events.quantity.tolist()


def test_the_parquet_holds_each_trade_once_in_the_contract_s_decimals(events: Events, tmp_path: Path) -> None:
    write_trades(events, tmp_path / "trades.parquet")
    found = pl.read_parquet(tmp_path / "trades.parquet")
    once = events.frame().filter(~events.closing).unique(["instrument", "sequence"])
    assert found.height == once.height
    assert found.schema["price"] == pl.Decimal(PRICE.precision, PRICE.scale)
    assert found.schema["quantity"] == pl.Decimal(QUANTITY.precision, QUANTITY.scale)
    assert sum(found["price"].to_list()).scaleb(6) == once["price"].sum()
    assert sum(found["quantity"].to_list()).scaleb(8) == once["quantity"].sum()
