"""Every form of a contract says the same: Avro, Spark, ClickHouse, Arrow."""

import io
import json
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from pyspark.sql.types import DataType, DecimalType, IntegerType, LongType, StringType, TimestampType

from contracts.avro import avro_schema, avro_text
from contracts.catalog import DATASETS, dataset
from contracts.dataset import Column, Dataset
from contracts.dataset import Decimal as DecimalColumn
from contracts.errors import TerminalError
from contracts.trades import TRADES
from spark.schema import spark_type
from stores.arrow import arrow_type
from stores.columns import clickhouse_type

ON_WIRE = [d for d in DATASETS if d.topic is not None]


def kind(column: Column) -> str:
    """Reduce each form to a common word, so that forms can be held against each other."""
    return str(column.type) if isinstance(column.type, DecimalColumn) else column.type.value


def avro_kind(entry: Any) -> str:
    if isinstance(entry, dict):
        if entry["logicalType"] == "decimal":
            return str(DecimalColumn(entry["precision"], entry["scale"]))
        return {"timestamp-micros": "timestamp"}[entry["logicalType"]]
    return {"string": "string", "bytes": "bytes", "int": "int32", "long": "int64"}[entry]


def spark_kind(form: DataType) -> str:
    if isinstance(form, DecimalType):
        return str(DecimalColumn(form.precision, form.scale)) if form.scale else "uint64"
    kinds = {StringType: "string", IntegerType: "int32", LongType: "int64", TimestampType: "timestamp"}
    return kinds.get(type(form), "bytes")


def clickhouse_kind(form: str) -> str:
    plain = form.removeprefix("LowCardinality(").rstrip(")") if form.startswith("Low") else form
    if plain.startswith("Decimal("):
        precision, scale = plain[8:-1].split(", ")
        return str(DecimalColumn(int(precision), int(scale)))
    return {"String": "string", "Int32": "int32", "Int64": "int64", "UInt64": "uint64"}.get(plain, "timestamp")


@pytest.mark.parametrize("known", DATASETS, ids=lambda d: d.name)
def test_spark_clickhouse_and_arrow_forms_agree_with_the_contract(known: Dataset) -> None:
    for column in known.columns:
        expected = kind(column)
        assert spark_kind(spark_type(column)) == expected, column.name
        stored = clickhouse_kind(clickhouse_type(column))
        assert stored == ("string" if expected == "bytes" else expected), column.name
        arrow = str(arrow_type(column))
        assert arrow.replace("timestamp[us, tz=UTC]", "timestamp").replace("binary", "bytes") == (
            f"decimal128({column.type.precision}, {column.type.scale})"
            if isinstance(column.type, DecimalColumn)
            else expected
        ), column.name


@pytest.mark.parametrize("known", ON_WIRE, ids=lambda d: d.name)
def test_the_avro_form_holds_the_wire_columns_in_order(known: Dataset) -> None:
    fields = avro_schema(known)["fields"]
    assert [(f["name"], avro_kind(f["type"])) for f in fields] == [(c.name, kind(c)) for c in known.wire_columns]
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


def test_an_unknown_dataset_is_named_with_the_valid_ones() -> None:
    with pytest.raises(TerminalError, match=r"market\.tradez.*valid: .*market\.trades"):
        dataset("market.tradez")


def test_a_contract_refuses_columns_that_it_does_not_have() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Dataset("x", "", (TRADES.columns[0],), grain=("nonsense",))
