"""Rebuild a day from the lake's tape: the same parsers, rules, rows and bars, written beside the streamed ones."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import partial

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import StringType, StructField, StructType

from contracts.bars import BARS
from contracts.catalog import MARKET
from contracts.dataset import Dataset
from contracts.errors import TerminalError
from contracts.provenance import TAPE_POSITION
from contracts.tape import TAPE
from contracts.trades import TRADES
from spark.bars import Minute, refresh
from spark.comparison import Comparison, Scratch, compare_day, day_span
from spark.deliver import connection
from spark.schema import broken_rule, wire_schema
from stores.arrow import arrow_schema
from stores.lake import open_tape, tape_path
from stores.seals import sealed_datasets
from stores.settings import LakeSettings, WarehouseSettings
from stores.warehouse import Warehouse

Derive = Callable[[pa.RecordBatch], dict[str, pa.Table]]


def _parsed_schema() -> StructType:
    """Return the schema of parsed rows: the dataset's name, and the row in the column of its dataset alone."""
    rows = [StructField(dataset.table, wire_schema(dataset)) for dataset in MARKET]
    return StructType([StructField("dataset", StringType()), *rows])


def parse_stretches(batches: Iterator[pa.RecordBatch], derive: Derive) -> Iterator[pa.RecordBatch]:
    """Parse stretches of tape and yield the rows of all datasets, each batch those of one; see _parsed_schema()."""
    fields = [(dataset, pa.struct(list(arrow_schema(dataset.wire_columns)))) for dataset in MARKET]
    for batch in batches:
        derived = derive(batch)
        for dataset, _ in fields:
            rows = derived.get(dataset.name)
            for part in rows.to_batches() if rows is not None else ():
                columns = [pa.repeat(pa.scalar(dataset.name), part.num_rows)]
                columns += [
                    part.to_struct_array() if other is dataset else pa.nulls(part.num_rows, kind)
                    for other, kind in fields
                ]
                yield pa.RecordBatch.from_arrays(columns, names=["dataset", *(other.table for other, _ in fields)])


def read_tape(spark: SparkSession, lake: LakeSettings, since: date) -> DataFrame:
    """Read the tape from a day of receipt on, in wire columns; what an older archive lacks has its default."""
    if open_tape(lake) is None:
        raise TerminalError(f"there is no tape at {tape_path(lake)}; nothing has been archived yet")
    tape = spark.read.format("delta").load(tape_path(lake)).where(f.col("received_date") >= f.lit(since))
    present = set(tape.columns)

    def column(name: str, default: str | int | None) -> Column:
        if default is None:
            return f.col(name)
        filled = f.coalesce(f.col(name), f.lit(default)) if name in present else f.lit(default)
        return filled.alias(name)

    return tape.select([column(c.name, c.default) for c in TAPE.wire_columns])


def parse_tape(tape: DataFrame, derive: Derive) -> DataFrame:
    """Derive the rows of all datasets from the tape and keep those that break no rule of their contract."""
    parsed = tape.mapInArrow(partial(parse_stretches, derive=derive), _parsed_schema())
    cases = " ".join(f"WHEN '{d.name}' THEN {broken_rule(d, prefix=f'{d.table}.')}" for d in MARKET)
    return parsed.where(f.expr(f"CASE dataset {cases} END IS NULL"))


def write_parsed(
    batches: Iterator[pa.RecordBatch], warehouse: WarehouseSettings, tables: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """Insert parsed rows into the tables of their datasets and yield how many they were.

    Delivery columns stay empty: no Kafka is involved.
    """
    written = 0
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        for dataset in MARKET:
            mine = rows.filter(pa.compute.equal(rows["dataset"], dataset.name))
            if mine.num_rows == 0:
                continue
            schema = arrow_schema(dataset.wire_columns)
            columns = pa.Table.from_struct_array(mine[dataset.table].combine_chunks()).cast(schema)
            # No token of an offset range: what a repeated task inserts again has the same place on the tape.
            connection(warehouse).insert(tables[dataset.name], columns, token=uuid.uuid4().hex)
            written += mine.num_rows
    yield pa.RecordBatch.from_pydict({"written": [written]})


def keep_earliest(warehouse: Warehouse, dataset: Dataset, scratch: Scratch, day: date) -> int:
    """Take of each grain the row that lies earliest on the tape, of these the day's, and return their number."""
    grain, place = ", ".join(dataset.grain), ", ".join(column.name for column in TAPE_POSITION)
    names = ", ".join(column.name for column in dataset.wire_columns)
    table = scratch.table(dataset)
    warehouse.run(
        f"INSERT INTO {table} ({names}) SELECT {names} FROM "
        f"(SELECT {names} FROM {scratch.parsed(dataset)} ORDER BY {grain}, {place} LIMIT 1 BY {grain}) "
        f"WHERE {day_span('event_time', day)}"
    )
    return int(warehouse.value(f"SELECT count() FROM {table}"))


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
    """Rebuild a day's rows of every market dataset, and its bars, into `scratch`; compare them with what was streamed.

    The tape is parsed once. A dataset without a row on either side is left out, and so is one of which the day is
    sealed.
    """
    warehouse = Warehouse(warehouse_settings)
    sealed = sealed_datasets(warehouse, day)
    scratch.create(warehouse)
    on_progress("parsing the tape")
    # An event may be stamped up to a day ahead of its receipt (a rule of its contract) and arrive any time later.
    rows = parse_tape(read_tape(spark, lake, day - timedelta(days=1)), derive)
    tables = {dataset.name: scratch.parsed(dataset) for dataset in MARKET}
    writer = partial(write_parsed, warehouse=warehouse_settings, tables=tables)
    written = sum(row["written"] for row in rows.mapInArrow(writer, "written long").collect())
    on_progress(f"{written} rows parsed; keeping the day's, each once")
    for dataset in MARKET:
        keep_earliest(warehouse, dataset, scratch, day)
    on_progress("making bars")
    make_bars(warehouse, bars_query, scratch)
    on_progress("comparing")
    found = [
        compare_day(warehouse, dataset, f"{dataset.table} FINAL", f"{scratch.table(dataset)} FINAL", "event_time", day)
        for dataset in MARKET
        if dataset.name not in sealed
    ]
    bars = f"{scratch.table(BARS)} FINAL"
    trades = f"{scratch.table(TRADES)} FINAL"
    if BARS.name not in sealed:
        found.append(compare_day(warehouse, BARS, f"{BARS.table}_current", bars, "bar_time", day, trades))
    return [one for one in found if one.streamed_count or one.rebuilt_count]


def make_bars(warehouse: Warehouse, bars_query: str, scratch: Scratch) -> None:
    """Make the bars of every minute of the rebuilt trades."""
    trades = scratch.table(TRADES)
    found = warehouse.rows(
        "SELECT DISTINCT venue, instrument, id_space, "
        f"intDiv(toUnixTimestamp64Micro(event_time), 60000000) * 60000000 FROM {trades} FINAL"
    )
    minutes: list[tuple[Minute, str]] = [((str(v), str(i), str(s), int(t)), "final") for v, i, s, t in found]
    refresh(warehouse, bars_query, minutes, known_time=0, trades=trades, bars=scratch.table(BARS))
