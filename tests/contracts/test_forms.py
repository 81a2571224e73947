"""Every form of a contract says the same: Avro, Spark, ClickHouse, Arrow."""

import io
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import fastavro
import pyarrow as pa
import pytest
from pyspark.sql.types import ArrayType, DataType, DecimalType, IntegerType, LongType, StringType, TimestampType

from contracts.avro import avro_schema, avro_text
from contracts.books import BOOKS
from contracts.catalog import DATASETS, dataset
from contracts.dataset import Dataset, Framing, ListOf, Type
from contracts.dataset import Decimal as DecimalColumn
from contracts.errors import TerminalError
from contracts.gaps import MARKS
from contracts.tape import TAPE
from contracts.trades import TRADES
from spark.schema import spark_type
from stores.arrow import arrow_type
from stores.columns import clickhouse_type

ON_WIRE = [d for d in DATASETS if d.topic is not None]


def kind(type: Type | DecimalColumn | ListOf) -> str:
    """Reduce each form to a common word, so that forms can be held against each other."""
    if isinstance(type, ListOf):
        return f"list of {kind(type.item)}"
    return str(type) if isinstance(type, DecimalColumn) else type.value


def avro_kind(entry: Any) -> str:
    if isinstance(entry, dict):
        if entry["type"] == "array":
            return f"list of {avro_kind(entry['items'])}"
        if entry["logicalType"] == "decimal":
            return str(DecimalColumn(entry["precision"], entry["scale"]))
        return {"timestamp-micros": "timestamp"}[entry["logicalType"]]
    return {"string": "string", "bytes": "bytes", "int": "int32", "long": "int64"}[entry]


def spark_kind(form: DataType) -> str:
    if isinstance(form, ArrayType):
        return f"list of {spark_kind(form.elementType)}"
    if isinstance(form, DecimalType):
        return str(DecimalColumn(form.precision, form.scale)) if form.scale else "uint64"
    kinds = {StringType: "string", IntegerType: "int32", LongType: "int64", TimestampType: "timestamp"}
    return kinds.get(type(form), "bytes")


def clickhouse_kind(form: str) -> str:
    if form.startswith("Array("):
        return f"list of {clickhouse_kind(form.removeprefix('Array(')[:-1])}"
    plain = form.removeprefix("LowCardinality(").rstrip(")") if form.startswith("Low") else form
    if plain.startswith("Decimal("):
        precision, scale = plain[8:-1].split(", ")
        return str(DecimalColumn(int(precision), int(scale)))
    return {"String": "string", "Int32": "int32", "Int64": "int64", "UInt64": "uint64"}.get(plain, "timestamp")


def arrow_kind(form: pa.DataType) -> str:
    if pa.types.is_list(form):
        return f"list of {arrow_kind(form.value_type)}"
    if pa.types.is_decimal(form):
        return str(DecimalColumn(form.precision, form.scale))
    return str(form).replace("timestamp[us, tz=UTC]", "timestamp").replace("binary", "bytes")


@pytest.mark.parametrize("known", DATASETS, ids=lambda d: d.name)
def test_spark_clickhouse_and_arrow_forms_agree_with_the_contract(known: Dataset) -> None:
    for column in known.columns:
        expected = kind(column.type)
        assert spark_kind(spark_type(column.type)) == expected, column.name
        stored = clickhouse_kind(clickhouse_type(column))
        assert stored == ("string" if expected == "bytes" else expected), column.name
        assert arrow_kind(arrow_type(column.type)) == expected, column.name


@pytest.mark.parametrize("known", ON_WIRE, ids=lambda d: d.name)
def test_the_avro_form_holds_the_wire_columns_in_order(known: Dataset) -> None:
    fields = avro_schema(known)["fields"]
    assert [(f["name"], avro_kind(f["type"])) for f in fields] == [(c.name, kind(c.type)) for c in known.wire_columns]
    assert json.loads(avro_text(known)) == avro_schema(known)


def test_a_record_of_the_previous_version_reads_as_the_current_one() -> None:
    # The version before trade_count came: exactly the change that BACKWARD allows, a column with a default.
    current = avro_schema(TRADES)
    with_default = [{**f, "default": 1} if f["name"] == "trade_count" else f for f in current["fields"]]
    reader = fastavro.parse_schema({**current, "fields": with_default})
    writer = fastavro.parse_schema({**current, "fields": [f for f in current["fields"] if f["name"] != "trade_count"]})
    row = {
        "venue": "binance", "instrument": "BTCUSDT", "id_space": "spot.trade", "trade_id": "7", "venue_sequence": 7,
        "price": Decimal("61800.3"), "quantity": Decimal("0.000000001234"), "side": "buy",
        "event_time": 1_723_161_256_322_000, "received_time": 1_723_161_255_088_176, "connection_id": "c",
        "message_number": 5, "message_index": 0,
    }  # fmt: skip
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, writer, row)
    buffer.seek(0)
    read = fastavro.schemaless_reader(buffer, writer, reader)
    assert isinstance(read, dict)
    assert read["trade_count"] == 1
    assert (read["price"], read["quantity"]) == (Decimal("61800.300000000000"), Decimal("0.000000001234"))
    assert read["message_number"] == 5


def test_a_book_comes_back_from_the_wire_digit_for_digit_with_sides_that_may_be_empty() -> None:
    schema = fastavro.parse_schema(avro_schema(BOOKS))
    lists = {
        "bid_prices": [Decimal("61800.3"), Decimal("0.000000000001")],
        "bid_quantities": [Decimal(0), Decimal("999999999999.999999999999")],
        "ask_prices": [],
        "ask_quantities": [],
    }
    numbers = ("venue_sequence", "first_sequence", "previous_sequence", "depth", "checksum", "event_time")
    row: dict[str, Any] = {c.name: "x" for c in BOOKS.wire_columns} | dict.fromkeys(numbers, 7) | lists
    row |= {"received_time": 7, "message_number": 7, "message_index": 0}
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, schema, row)
    buffer.seek(0)
    read = fastavro.schemaless_reader(buffer, schema, schema)
    assert isinstance(read, dict)
    assert {name: read[name] for name in lists} == lists


def test_a_tape_record_from_before_requests_reads_as_one_without() -> None:
    current = avro_schema(TAPE)
    fields = [field for field in current["fields"] if field["name"] != "request"]
    assert len(fields) == len(current["fields"]) - 1
    writer = fastavro.parse_schema({**current, "fields": fields})
    row = {
        "venue": "v", "endpoint": "e", "payload": b"{}", "received_time": 7, "connection_id": "c", "message_number": 1,
    }  # fmt: skip
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, writer, row)
    buffer.seek(0)
    read = fastavro.schemaless_reader(buffer, writer, fastavro.parse_schema(current))
    assert isinstance(read, dict)
    assert (read["payload"], read["request"]) == (b"{}", "")


def test_an_unknown_dataset_is_named_with_the_valid_ones() -> None:
    with pytest.raises(TerminalError, match=r"market\.tradez.*valid: .*market\.trades"):
        dataset("market.tradez")


def test_a_contract_refuses_columns_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Dataset("x", "", (TRADES.columns[0],), grain=("nonsense",))


def test_a_compacted_topic_takes_no_batches() -> None:
    assert MARKS.topic is not None
    with pytest.raises(ValueError, match="one record a key"):
        replace(MARKS, topic=replace(MARKS.topic, framing=Framing.BATCH))
