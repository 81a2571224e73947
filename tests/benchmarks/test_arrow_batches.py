"""The batches of the benchmark are the events: each partition's in its order, digit for digit, as full as can be."""

from decimal import Decimal

import numpy as np
import pyarrow as pa

from benchmarks.arrow_batches import encode_batches
from benchmarks.avro_columns import encode_trades
from benchmarks.events import Shape, make_events
from contracts.avro import avro_text
from contracts.dataset import BATCH_EVENTS
from contracts.trades import TRADES
from spark.unpacking import unpack
from stores.records import BatchDecoder

SCHEMA_ID = 7


def test_batches_hold_what_single_records_hold() -> None:
    events = make_events(Shape(6_000, instruments=7, partitions=3))
    decoder = BatchDecoder(TRADES)
    parts: dict[int, list[pa.Table]] = {}
    for partition, value in encode_batches(events, SCHEMA_ID):
        parts.setdefault(partition, []).append(decoder.decode(pa.py_buffer(value)))
    singles = [value for values in encode_trades(events, SCHEMA_ID) for value in values]
    for partition, tables in parts.items():
        assert [table.num_rows for table in tables[:-1]] == [BATCH_EVENTS] * (len(tables) - 1)
        rows = np.flatnonzero(events.partition == partition)
        records = {
            "kafka_partition": pa.array([partition] * len(rows), pa.int32()),
            "kafka_offset": pa.array(range(len(rows)), pa.int64()),
            "value": pa.array([singles[row] for row in rows], pa.binary()),
        }
        alone = unpack(pa.table(records), TRADES, {SCHEMA_ID: avro_text(TRADES)})
        together = pa.concat_tables(tables)
        assert together.to_pylist() == alone.select(together.column_names).to_pylist()
        assert alone["rejection"].null_count == len(rows)
    assert sum(table.num_rows for tables in parts.values() for table in tables) == len(events)
    assert max(table["price"].to_pylist()[0] for table in parts[0]) > Decimal(0)
