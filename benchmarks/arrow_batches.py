"""Trades as records of many, made from columns."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from benchmarks.events import CONNECTION, ID_SPACE, PRICE_DIGITS, QUANTITY_DIGITS, SIDES, VENUE, Events, Ints
from contracts.dataset import BATCH_EVENTS
from contracts.trades import PRICE, QUANTITY, TRADES
from stores.arrow import arrow_schema, arrow_type
from stores.records import pack

ROWS_AT_ONCE = 200 * BATCH_EVENTS


def encode_batches(events: Events, schema_id: int) -> Iterator[tuple[int, bytes]]:
    """Yield the records of all events with their partitions: each partition's in its order, each as full as can be."""
    rows = [np.flatnonzero(events.partition == number) for number in range(events.shape.partitions)]
    for start in range(0, max(map(len, rows)), ROWS_AT_ONCE):
        for partition, mine in enumerate(rows):
            some = mine[start : start + ROWS_AT_ONCE]
            whole = _columns(events, some)
            for first in range(0, len(some), BATCH_EVENTS):
                yield partition, pack(schema_id, whole.slice(first, BATCH_EVENTS))


def _columns(events: Events, rows: Ints) -> pa.RecordBatch:
    one = np.zeros(len(rows), np.int64)
    sequence = events.sequence[rows]
    columns = {
        "venue": _named(one, [VENUE]),
        "instrument": _named(events.instrument[rows], events.names),
        "id_space": _named(one, [ID_SPACE]),
        "trade_id": pa.array(sequence).cast(pa.string()),
        "venue_sequence": pa.array(sequence),
        "price": _decimals(events.price[rows] * 10 ** (PRICE.scale - PRICE_DIGITS), arrow_type(PRICE)),
        "quantity": _decimals(events.quantity[rows] * 10 ** (QUANTITY.scale - QUANTITY_DIGITS), arrow_type(QUANTITY)),
        "side": _named(events.side[rows], list(SIDES)),
        "trade_count": pa.array(one + 1),
        "event_time": _times(events.event_time[rows]),
        "received_time": _times(events.received_time[rows]),
        "connection_id": _named(one, [CONNECTION]),
        "message_number": pa.array(events.message[rows]),
        "message_index": pa.array(events.index[rows].astype(np.int32)),
    }
    schema = arrow_schema(TRADES.wire_columns)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _named(codes: Ints, names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)).cast(pa.string())


def _times(micros: Ints) -> pa.Array:
    return pa.array(micros).cast(pa.timestamp("us", "UTC"))


def _decimals(whole: Ints, kind: pa.DataType) -> pa.Array:
    words = np.stack([whole, whole >> 63], axis=1)
    return pa.Array.from_buffers(kind, len(whole), [None, pa.py_buffer(words)])
