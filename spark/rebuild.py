"""Rebuild a day from the lake's tape: the same parsers, rules, rows and bars, written beside the streamed ones."""

import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as f

from contracts.bars import BARS
from contracts.dataset import Dataset
from contracts.errors import TerminalError
from contracts.trades import TRADES
from spark.bars import Minute, refresh
from spark.comparison import Comparison, Scratch, compare_day
from spark.decode import judged
from spark.deliver import connection
from spark.schema import wire_schema
from stores.arrow import arrow_schema
from stores.lake import open_tape, tape_path
from stores.settings import LakeSettings, WarehouseSettings
from stores.warehouse import Warehouse

Derive = Callable[[pa.RecordBatch], dict[str, pa.Table]]
TAPE_COLUMNS = ["venue", "endpoint", "payload", "received_time", "connection_id", "message_number"]


def rows_of(batches: Iterator[pa.RecordBatch], derive: Derive, dataset: Dataset) -> Iterator[pa.RecordBatch]:
    """Parse stretches of tape and yield the rows of one dataset, in its wire columns."""
    for batch in batches:
        rows = derive(batch).get(dataset.name)
        if rows is not None:
            yield from rows.to_batches()


def trades_of_day(spark: SparkSession, lake: LakeSettings, day: date, derive: Derive) -> DataFrame:
    """Derive the day's trades from the tape, each grain once: the row that lies earliest on the tape."""
    if open_tape(lake) is None:
        raise TerminalError(f"there is no tape at {tape_path(lake)}; nothing has been archived yet")
    # An event may be stamped up to a day ahead of its receipt (a rule of its contract) and arrive any time later.
    tape = (
        spark.read.format("delta")
        .load(tape_path(lake))
        .where(f.col("received_date") >= f.lit(day - timedelta(days=1)))
        .select(TAPE_COLUMNS)
    )
    parsed = tape.mapInArrow(partial(rows_of, derive=derive, dataset=TRADES), wire_schema(TRADES))
    valid = judged(parsed, TRADES).where(f.col("rejection").isNull()).drop("rejection")
    earliest = Window.partitionBy(*TRADES.grain).orderBy(
        "received_time", "connection_id", "message_number", "message_index"
    )
    once = valid.withColumn("place", f.row_number().over(earliest)).where("place = 1").drop("place")
    return once.where(f.to_date("event_time") == f.lit(day))


def write_scratch(
    batches: Iterator[pa.RecordBatch], warehouse: WarehouseSettings, table: str
) -> Iterator[pa.RecordBatch]:
    """Insert a partition's rows and yield how many they were. Delivery columns stay empty: no Kafka is involved."""
    columns = [c for c in TRADES.columns if c in TRADES.wire_columns]
    written = 0
    for batch in batches:
        if batch.num_rows == 0:
            continue
        rows = pa.Table.from_batches([batch]).select([c.name for c in columns]).cast(arrow_schema(columns))
        # No token of an offset range: what a repeated task inserts again has the same grain and is read once.
        connection(warehouse).insert(table, rows, token=uuid.uuid4().hex)
        written += batch.num_rows
    yield pa.RecordBatch.from_pydict({"written": [written]})


def rebuild_day(
    spark: SparkSession,
    *,
    lake: LakeSettings,
    warehouse_settings: WarehouseSettings,
    derive: Derive,
    day: date,
    bars_query: str,
    scratch: Scratch,
    on_progress: Callable[[str], None] = lambda _: None,
) -> list[Comparison]:
    """Rebuild a day's trades and bars into `scratch` and compare them with what was streamed."""
    warehouse = Warehouse(warehouse_settings)
    scratch.create(warehouse)
    on_progress("parsing the tape")
    trades = trades_of_day(spark, lake, day, derive)
    writer = partial(write_scratch, warehouse=warehouse_settings, table=scratch.trades)
    written = sum(row["written"] for row in trades.mapInArrow(writer, "written long").collect())
    on_progress(f"{written} trades rebuilt; making their bars")
    found = warehouse.rows(
        "SELECT DISTINCT venue, instrument, id_space, "
        "intDiv(toUnixTimestamp64Micro(event_time), 60000000) * 60000000 "
        f"FROM {scratch.trades} FINAL"
    )
    minutes: list[Minute] = [(str(v), str(i), str(s), int(t)) for v, i, s, t in found]
    refresh(
        warehouse,
        bars_query,
        [(minute, "final") for minute in minutes],
        known_time=0,
        trades=scratch.trades,
        bars=scratch.bars,
    )
    on_progress("comparing")
    streamed_bars = "market_bars_current"
    return [
        compare_day(warehouse, TRADES, f"{TRADES.table} FINAL", f"{scratch.trades} FINAL", "event_time", day),
        compare_day(warehouse, BARS, streamed_bars, f"{scratch.bars} FINAL", "bar_time", day),
    ]
