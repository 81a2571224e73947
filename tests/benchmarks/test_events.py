"""The generated trades: the same every time, and as contract and parsers know them."""

import io

import fastavro
import numpy as np
import pytest

from benchmarks.avro_columns import FRAME_BYTES, decode_trades, encode_trades
from benchmarks.events import CONNECTION, ENDPOINT, ID_SPACE, VENUE, Events, Shape, make_events
from benchmarks.messages import payloads
from contracts.avro import avro_schema
from contracts.trades import PRICE, TRADES
from sources.events import Accepted
from sources.placing import placed
from sources.tape_file import TapeRecord
from sources.venues import venue

SCHEMA_ID = 258


@pytest.fixture(scope="module")
def events() -> Events:
    return make_events(Shape(count=20_000, instruments=20))


@pytest.fixture(scope="module")
def records(events: Events) -> list[bytes]:
    return [value for some in encode_trades(events, SCHEMA_ID) for value in some]


def test_the_same_shape_gives_the_same_bytes(records: list[bytes]) -> None:
    again = make_events(Shape(count=20_000, instruments=20))
    assert [value for some in encode_trades(again, SCHEMA_ID) for value in some] == records


def test_another_seed_gives_others(records: list[bytes]) -> None:
    other = make_events(Shape(count=20_000, instruments=20, seed=8))
    assert [value for some in encode_trades(other, SCHEMA_ID) for value in some] != records


def test_one_in_a_hundred_is_a_repeat_of_an_earlier_trade(events: Events) -> None:
    frame = events.frame()
    content = ["instrument", "sequence", "price", "quantity", "side", "event_time"]
    assert frame.height == 20_000
    assert frame.unique(["instrument", "sequence"]).height == 20_000 - 200
    assert frame.unique(content).height == 20_000 - 200


def test_trades_share_times_and_come_late(events: Events) -> None:
    frame = events.frame().filter(~events.closing)
    once = frame.unique(["instrument", "sequence"])
    assert once.unique(["instrument", "event_time"]).height < 0.8 * once.height
    behind = np.maximum.accumulate(events.event_time[~events.closing]) - events.event_time[~events.closing]
    assert (behind > 10_000_000).sum() > 50


def test_every_partition_ends_with_a_trade_of_a_day_later(events: Events) -> None:
    for partition in range(events.shape.partitions):
        times = events.event_time[events.partition == partition]
        assert times[-1] > times[:-1].max() + 3600 * 1_000_000


def test_records_are_what_the_contract_s_schema_writes(events: Events, records: list[bytes]) -> None:
    schema = fastavro.parse_schema(avro_schema(TRADES))
    for value in records[:200] + records[-200:]:
        assert value[:FRAME_BYTES] == b"\0" + SCHEMA_ID.to_bytes(4, "big")
        row = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schema, None)
        written = io.BytesIO()
        fastavro.schemaless_writer(written, schema, row)
        assert written.getvalue() == value[FRAME_BYTES:]


def test_the_loop_by_hand_reads_the_numbers_that_were_written(events: Events, records: list[bytes]) -> None:
    read = decode_trades(records)
    assert (read["sequence"] == events.sequence).all()
    assert (read["event_time"] == events.event_time).all()
    assert (read["price"] == events.price * 10 ** (PRICE.scale - 6)).all()
    assert (read["quantity"] == events.quantity * 10**4).all()
    names = [bytes(name).rstrip(b"\0").decode() for name in read["instrument"]]
    assert names == [events.names[number] for number in events.instrument]


def test_the_venue_s_messages_hold_the_same_trades(events: Events, records: list[bytes]) -> None:
    schema = fastavro.parse_schema(avro_schema(TRADES))
    parse = venue(VENUE).parse
    found: list[dict[str, object]] = []
    for number, payload in enumerate(value for some in payloads(events) for value in some):
        received = int(events.received_time[len(found)])
        record = TapeRecord(received, VENUE, ENDPOINT, CONNECTION, number + 1, payload)
        for index, event in enumerate(parse(ENDPOINT, payload, "")):
            assert isinstance(event, Accepted)
            found.append(placed(event, record, index))
    assert len(found) == len(records)
    assert {row["id_space"] for row in found} == {ID_SPACE}
    for row, value in list(zip(found, records, strict=True))[::97]:
        sent = fastavro.schemaless_reader(io.BytesIO(value[FRAME_BYTES:]), schema, None)
        assert isinstance(sent, dict)
        for name in ("event_time", "received_time"):
            sent[name] = round(sent[name].timestamp() * 1_000_000)
        assert sent == row
