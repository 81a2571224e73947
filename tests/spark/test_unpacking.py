"""Records, one event or many, become the rows of their events, judged as the single-row judge would judge them.

That single records are read as the JVM reads them is claimed in test_decode.py.
"""

import io
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.avro import avro_schema, avro_text
from contracts.catalog import DELIVERED
from contracts.dataset import Column, Dataset, ListOf, Type
from contracts.judging import broken_rule
from contracts.trades import TRADES
from spark.judging import broken_rules
from spark.unpacking import unpack
from stores.arrow import arrow_schema
from stores.records import BatchDecoder, pack, plain_times

MOMENT = 1_700_000_000_000_000
COLUMNS = arrow_schema(TRADES.wire_columns)
ID = 7
SCHEMAS = {ID: avro_text(TRADES)}
WRITER = fastavro.parse_schema(plain_times(avro_schema(TRADES)))


def trade(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "venue": "v", "instrument": "i", "id_space": "s", "trade_id": str(number), "venue_sequence": number,
        "price": Decimal(number + 1), "quantity": Decimal(1), "side": "buy", "trade_count": 1, "event_time": MOMENT,
        "received_time": MOMENT, "connection_id": "c", "message_number": number, "message_index": 0,
    } | changes  # fmt: skip


def single(row: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    buffer.write(bytes([0, 0, 0, 0, ID]))
    fastavro.schemaless_writer(buffer, WRITER, row)
    return buffer.getvalue()


def batch(*rows: dict[str, Any]) -> bytes:
    return pack(ID, pa.RecordBatch.from_pylist(list(rows), schema=COLUMNS))


def unpacked(*values: bytes | None) -> pa.Table:
    size = len(values)
    records = {
        "kafka_partition": pa.array([2] * size, pa.int32()),
        "kafka_offset": pa.array(range(10, 10 + size), pa.int64()),
        "value": pa.array(values, pa.binary()),
    }
    return unpack(pa.table(records), TRADES, SCHEMAS)


def told(rows: pa.Table) -> list[tuple[Any, ...]]:
    names = ("kafka_offset", "kafka_index", "venue_sequence", "rejection")
    return [tuple(row[name] for name in names) for row in rows.to_pylist()]


def test_events_stand_where_their_records_stood() -> None:
    bad, damaged = trade(4, side="sideways"), batch(trade(9))[:900]
    alone = single(trade(6, price=Decimal(0)))
    rows = unpacked(
        single(trade(0)),
        batch(trade(1), trade(2)),
        damaged,
        batch(trade(3), bad, trade(5)),
        alone,
        single(trade(7))[:30],
        None,
        b"\0\0\0\0\x08" + single(trade(8))[5:],
    )
    assert told(rows) == [
        (10, 0, 0, None),
        (11, 0, 1, None),
        (11, 1, 2, None),
        (12, 0, None, "undecodable"),
        (13, 0, 3, None),
        (13, 1, 4, "side_unknown"),
        (13, 2, 5, None),
        (14, 0, 6, "price_not_positive"),
        (15, 0, None, "undecodable"),
        (16, 0, None, "not_framed"),
        (17, 0, None, "unknown_schema_id"),
    ]
    assert set(rows["kafka_partition"].to_pylist()) == {2}
    values = rows["rejected_value"].to_pylist()
    assert (values[3], values[7], values[9]) == (damaged, alone, b"")
    kept = BatchDecoder(TRADES).decode(pa.py_buffer(values[5]))  # what was refused can be read again
    assert kept.to_pylist() == pa.Table.from_pylist([bad], schema=COLUMNS).to_pylist()


def test_both_framings_give_the_same_columns_and_rows() -> None:
    singles, together = unpacked(single(trade(0)), single(trade(1))), unpacked(batch(trade(0), trade(1)))
    assert singles.schema.equals(together.schema)
    assert singles.select(COLUMNS.names).to_pylist() == together.select(COLUMNS.names).to_pylist()
    assert told(together) == [(10, 0, 0, None), (10, 1, 1, None)]
    assert unpacked().schema.equals(singles.schema)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("sbtxl"), st.integers(0, 60), st.integers(0, 255)), max_size=30))
def test_whatever_is_damaged_its_neighbours_are_read_and_nothing_is_lost(drawn: list[tuple[str, int, int]]) -> None:
    records = []
    for number, (kind, place, byte) in enumerate(drawn):
        value = batch(trade(number)) if kind == "b" else single(trade(number))
        if kind == "t":  # ends early
            value = value[: 5 + place]
        elif kind == "x":  # another byte, somewhere behind the schema's id
            value = value[: 5 + place] + bytes([byte]) + value[6 + place :]
        elif kind == "l":  # more behind its end, which nobody reads
            value += bytes([byte] * (place + 1))
        records.append(value)
    rows = unpacked(*records).to_pylist()
    assert [row["kafka_offset"] for row in rows] == list(range(10, 10 + len(drawn)))
    for number, ((kind, _, _), row) in enumerate(zip(drawn, rows, strict=True)):
        if kind in "sbl":
            assert (row["venue_sequence"], row["rejection"]) == (number, None)
        else:
            assert row["rejection"] is None or row["rejected_value"] == records[number]


def test_decimals_of_more_digits_than_their_type_are_not_read() -> None:
    good = single(trade(5, price=Decimal(3)))
    price = (3 * 10**12).to_bytes(6, "big")
    assert price in good
    place = good.index(price)
    most, more = (10**24 - 1).to_bytes(11, "big"), (10**24).to_bytes(11, "big")
    made = [good[: place - 1] + bytes([22]) + digits + good[place + 6 :] for digits in (most, more)]
    assert [row[3] for row in told(unpacked(made[0], made[1], good))] == ["price_absurd", "undecodable", None]


def values(column: Column) -> st.SearchStrategy[Any]:
    kind = column.type
    if isinstance(kind, ListOf):
        return st.lists(st.sampled_from([Decimal(0), Decimal(-1), Decimal(5)]), max_size=2)
    if not isinstance(kind, Type):
        whole = 10 ** (kind.precision - kind.scale) - 1
        numbers = [Decimal(n) for n in ("0", "-1", "1.5", "100000000000", "100000000000.000000000001", "3e11")]
        return st.sampled_from([number for number in numbers if number <= whole])
    if kind is Type.STRING:
        return st.sampled_from(["", "a", "buy", "sell", "snapshot", "venue", "é" * 64, "é" * 65, "x" * 129])
    if kind is Type.BYTES:
        return st.binary(max_size=2)
    if kind is Type.TIMESTAMP:
        return st.sampled_from([MOMENT, MOMENT + 86_400_000_000, MOMENT + 86_400_000_001, 0, -(2**62), 2**62])
    return st.sampled_from([-1, 0, 1, 7])


@pytest.mark.parametrize("dataset", DELIVERED, ids=lambda d: d.name)
def test_many_events_are_judged_as_each_is_alone(dataset: Dataset) -> None:
    row = st.fixed_dictionaries({column.name: values(column) for column in dataset.wire_columns})

    @settings(max_examples=80)
    @given(st.lists(row, min_size=1, max_size=12))
    def check(rows: list[dict[str, Any]]) -> None:
        # A slice: what lies before it in memory is nobody's.
        events = pa.Table.from_pylist([rows[-1], *rows], schema=arrow_schema(dataset.wire_columns)).slice(1)
        alone = {number: reason for number, one in enumerate(rows) if (reason := broken_rule(dataset, one)) is not None}
        assert broken_rules(dataset, events) == alone

    check()
