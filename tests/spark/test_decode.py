"""Records are read by the schema they were written with, and every record gets a status."""

import io
import json
import struct
from dataclasses import replace
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from contracts.avro import avro_schema, avro_text
from contracts.books import BOOKS
from contracts.dataset import Dataset, Type
from contracts.trades import TRADES
from spark.decode import decode
from spark.unpacking import unpack

ROW: dict[str, Any] = {
    "venue": "binance", "instrument": "BTCUSDT", "id_space": "spot.trade", "trade_id": "7", "venue_sequence": 7,
    "price": Decimal("61800.3"), "quantity": Decimal("0.000000001234"), "side": "buy", "trade_count": 1,
    "event_time": 1_723_161_256_322_000, "received_time": 1_723_161_255_088_176, "connection_id": "c",
    "message_number": 5, "message_index": 0,
}  # fmt: skip
CURRENT, PREVIOUS = 8, 7


def previous(dataset: Dataset) -> dict[str, Any]:
    """The schema before: other order, a column that is gone, one that was not there yet."""
    schema = avro_schema(dataset)
    fields = [f for f in schema["fields"] if f["name"] != "message_index"]
    return {**schema, "fields": [{"name": "gone", "type": "string"}, *reversed(fields)]}


def current(dataset: Dataset) -> dict[str, Any]:
    schema = avro_schema(dataset)
    return {**schema, "fields": [{**f, "default": 5} if f["name"] == "message_index" else f for f in schema["fields"]]}


def encode(schema_id: int, schema: dict[str, Any], **changes: object) -> bytes:
    buffer = io.BytesIO()
    buffer.write(struct.pack(">bI", 0, schema_id))
    plain = json.loads(json.dumps(schema).replace('{"type": "long", "logicalType": "timestamp-micros"}', '"long"'))
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(plain), {**ROW, "gone": "x", **changes})
    return buffer.getvalue()


@pytest.fixture
def decoded(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Decode values as the stream does; the contract's reader has a default for the column that is new."""
    monkeypatch.setattr("spark.decode.avro_text", lambda dataset: json.dumps(current(dataset)))
    schemas = {CURRENT: avro_text(TRADES), PREVIOUS: json.dumps(previous(TRADES))}
    columns = [replace(c, default=5) if c.name == "message_index" else c for c in TRADES.columns]

    def run(*values: bytes | None) -> list[dict[str, Any]]:
        rows = [(value, "market.trades", 0, offset) for offset, value in enumerate(values)]
        frame = spark.createDataFrame(rows, "value binary, topic string, partition int, offset bigint").coalesce(1)
        found = [row.asDict() for row in decode(frame, TRADES, schemas).collect()]
        agrees(found, unpack(records(*values), replace(TRADES, columns=tuple(columns)), schemas), TRADES)
        return found

    return run


def test_a_record_of_the_previous_schema_reads_field_by_field_as_the_current_one(decoded: Any) -> None:
    old, new = decoded(encode(PREVIOUS, previous(TRADES)), encode(CURRENT, avro_schema(TRADES)))
    names = [c.name for c in TRADES.wire_columns if c.name != "message_index"]
    assert {name: old[name] for name in names} == {name: new[name] for name in names}
    assert (old["message_index"], new["message_index"]) == (5, 0)
    assert (old["price"], old["quantity"]) == (Decimal("61800.300000000000"), Decimal("0.000000001234"))
    assert old["rejection"] is None
    assert old["rejected_value"] is None


def test_every_damaged_record_has_its_reason_and_its_bytes(decoded: Any) -> None:
    good = encode(CURRENT, avro_schema(TRADES))
    cases: list[tuple[bytes | None, str | None]] = [
        (good, None),
        (b"", "not_framed"),
        (None, "not_framed"),
        (b"\x01" + good[1:], "not_framed"),
        (good[:4], "not_framed"),
        (b"\x00\x7f\xff\xff\xff" + good[5:], "unknown_schema_id"),
        (good[:20], "undecodable"),
        (good[:5] + b"\xff\xff\xff\xff\x0f", "undecodable"),  # a string of two gigabytes, it says
        (encode(CURRENT, avro_schema(TRADES), side="sideways"), "side_unknown"),
        (encode(CURRENT, avro_schema(TRADES), trade_id=""), "trade_id_missing"),
        (encode(CURRENT, avro_schema(TRADES), trade_count=0), "trade_count_not_positive"),
        (encode(CURRENT, avro_schema(TRADES), price=Decimal("100000000000.1")), "price_absurd"),
    ]
    rows = decoded(*(value for value, _ in cases))
    assert [row["rejection"] for row in rows] == [reason for _, reason in cases]
    assert [row["kafka_offset"] for row in rows] == list(range(len(cases)))
    for row, (value, reason) in zip(rows, cases, strict=True):
        assert row["rejected_value"] == (None if reason is None else value or b"")


def records(*values: bytes | None) -> pa.Table:
    """Records as unpack() takes them."""
    size = len(values)
    return pa.table(
        {
            "kafka_partition": pa.array([0] * size, pa.int32()),
            "kafka_offset": pa.array(range(size), pa.int64()),
            "value": pa.array(values, pa.binary()),
        }
    )


def agrees(decoded: list[dict[str, Any]], unpacked: pa.Table, dataset: Dataset) -> None:
    """Claim that what is decoded in the worker is what the JVM decodes; there, a refused row keeps what was read."""
    status = ["kafka_partition", "kafka_offset", "rejection", "rejected_value"]
    names = [c.name for c in dataset.wire_columns]
    times = {c.name for c in dataset.wire_columns if c.type is Type.TIMESTAMP}
    rows = unpacked.to_pylist()
    assert [{name: row[name] for name in status} for row in rows] == [
        {name: row[name] for name in status} for row in decoded
    ]
    assert {row["kafka_index"] for row in rows} <= {0}
    for here, there in zip(rows, decoded, strict=True):
        mine = {n: here[n].replace(tzinfo=None) if n in times and here[n] is not None else here[n] for n in names}
        assert mine == {name: there[name] for name in names}


LISTS = ("bid_prices", "bid_quantities", "ask_prices", "ask_quantities")
BOOK: dict[str, Any] = {
    "venue": "kraken", "instrument": "XBT/USD", "id_space": "v1.book-1000", "update_id": "c:5:0", "venue_sequence": 7,
    "kind": "delta", "chain": "c", "first_sequence": 7, "previous_sequence": -1, "depth": 1000, "checksum": 974947235,
    "bid_prices": [Decimal("61800.3"), Decimal("61800.2")], "bid_quantities": [Decimal("0.000000001234"), Decimal(0)],
    "ask_prices": [], "ask_quantities": [], "event_time": 1_723_161_256_322_000, "event_clock": "venue",
    "received_time": 1_723_161_255_088_176, "connection_id": "c", "message_number": 5, "message_index": 0,
}  # fmt: skip


def encode_book(**changes: object) -> bytes:
    buffer = io.BytesIO()
    buffer.write(struct.pack(">bI", 0, CURRENT))
    plain = json.dumps(avro_schema(BOOKS)).replace('{"type": "long", "logicalType": "timestamp-micros"}', '"long"')
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(json.loads(plain)), {**BOOK, **changes})
    return buffer.getvalue()


def test_books_are_read_digit_for_digit_and_every_broken_rule_of_their_lists_is_named(spark: SparkSession) -> None:
    one, none = [Decimal(1)], [Decimal(0)]
    good = encode_book()
    # Behind chain, first and previous sequence stands the number of bids; here it says two thousand million.
    place = good.index(b"\x02c\x0e\x01\x04") + 4
    cases: list[tuple[bytes, str | None]] = [
        (good, None),
        (encode_book(bid_prices=[], bid_quantities=[]), None),
        (encode_book(ask_prices=one, ask_quantities=none), None),
        (encode_book(bid_prices=one), "bid_levels_uneven"),
        (encode_book(ask_quantities=one), "ask_levels_uneven"),
        (encode_book(ask_prices=none, ask_quantities=one), "ask_price_not_positive"),
        (encode_book(bid_prices=[*one, *none], bid_quantities=[*one, *one]), "bid_price_not_positive"),
        (encode_book(bid_prices=one, bid_quantities=[-one[0]]), "bid_quantity_negative"),
        (encode_book(ask_prices=one, ask_quantities=[-one[0]]), "ask_quantity_negative"),
        (encode_book(kind="rumour"), "kind_unknown"),
        (good[:-30], "undecodable"),
        (good[:place] + b"\xfe\xff\xff\xff\x0f" + good[place + 1 :], "undecodable"),
    ]
    rows = [(value, "market.books", 0, offset) for offset, (value, _) in enumerate(cases)]
    frame = spark.createDataFrame(rows, "value binary, topic string, partition int, offset bigint").coalesce(1)
    schemas = {CURRENT: avro_text(BOOKS)}
    found = [row.asDict() for row in decode(frame, BOOKS, schemas).collect()]
    agrees(found, unpack(records(*(value for value, _ in cases)), BOOKS, schemas), BOOKS)
    assert [row["rejection"] for row in found] == [reason for _, reason in cases]
    assert {name: found[0][name] for name in LISTS} == {name: BOOK[name] for name in LISTS}
    assert {name: found[1][name] for name in LISTS} == {name: [] for name in LISTS}
