"""Kafka's records as rows of one event each, held against the contract: decoded where they are written, in Arrow.

What spark/decode.py says of single records in the JVM, this says of them here, and of batches too. To hand over bytes
costs a third of handing over columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.dataset import Dataset
from contracts.errors import TerminalError
from spark.judging import broken_rules
from spark.sealed import behind_seals
from stores.arrow import arrow_schema
from stores.avro_blocks import BlockDecoder
from stores.records import ARROW_MARK, FRAME_BYTES, MAGIC, BatchDecoder, pack
from stores.seals import SealedSpan

Ints = npt.NDArray[np.int64]
NOT_FRAMED, UNKNOWN, UNDECODABLE = "not_framed", "unknown_schema_id", "undecodable"
_HEAD = FRAME_BYTES + len(ARROW_MARK)
_NO_ID = -1


@dataclass
class _Found:
    """What records turned out to be: parts of events with the row of each one's record and its place there."""

    events: list[pa.Table] = field(default_factory=list)
    records: list[Ints] = field(default_factory=list)
    index: list[Ints] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)  # by the row of the record, why

    def add(self, events: pa.Table, records: Ints, index: Ints) -> None:
        self.events.append(events)
        self.records.append(records)
        self.index.append(index)


def unpack(
    records: pa.Table, dataset: Dataset, schemas: Mapping[int, str], sealed: Sequence[SealedSpan] = ()
) -> pa.Table:
    """Return the events of records, in their order.

    Takes kafka_partition, kafka_offset and value; returns the first two, kafka_index, rejection (the reason, null where
    accepted), rejected_value (null where accepted) and the contract's wire columns. What can't be read stays one row,
    with its bytes; an event that breaks a rule has its record's or, from a batch, a batch of itself alone. So has
    an event of a day that is sealed.
    """
    values = records["value"].combine_chunks()
    heads = _heads(values)
    lengths = pa.compute.fill_null(pa.compute.binary_length(values), 0).to_numpy(zero_copy_only=False)
    ids = _schema_ids(heads, lengths)
    batched = (heads[:, FRAME_BYTES:] == np.frombuffer(ARROW_MARK, np.uint8)).all(axis=1) & (lengths >= _HEAD)
    found = _Found()
    for schema_id in np.unique(ids).tolist():
        mine = ids == schema_id
        if schema_id == _NO_ID or schema_id not in schemas:
            reason = NOT_FRAMED if schema_id == _NO_ID else UNKNOWN
            found.refused |= dict.fromkeys(np.flatnonzero(mine).tolist(), reason)
            continue
        _singles(found, values, np.flatnonzero(mine & ~batched), dataset, schemas[schema_id])
        _batches(found, values, np.flatnonzero(mine & batched), dataset)
    return _rows(records, values, ids, batched, found, dataset, sealed)


def _heads(values: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the first bytes of each value; behind a value that is shorter stands what is not its own."""
    _, offsets, data = values.buffers()
    if data is None or len(values) == 0:
        return np.zeros((len(values), _HEAD), np.uint8)
    starts = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values)]
    content = np.frombuffer(data, np.uint8)
    if int(starts[-1]) + _HEAD > len(content):
        content = np.concatenate([content, np.zeros(_HEAD, np.uint8)])
    return np.lib.stride_tricks.sliding_window_view(content, _HEAD)[starts]


def _schema_ids(heads: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int32]) -> Ints:
    framed = (lengths >= FRAME_BYTES) & (heads[:, 0] == MAGIC)
    ids = np.ascontiguousarray(heads[:, 1:FRAME_BYTES]).view(">u4").ravel().astype(np.int64)
    return np.where(framed, ids, _NO_ID)


def _singles(found: _Found, values: pa.Array, rows: Ints, dataset: Dataset, writer: str) -> None:
    if not len(rows):
        return
    mine = values if len(rows) == len(values) else values.take(pa.array(rows))
    events, sound = BlockDecoder(dataset, writer).decode(mine)
    found.add(events, rows[sound], np.zeros(events.num_rows, np.int64))
    found.refused |= dict.fromkeys(rows[~sound].tolist(), UNDECODABLE)


def _batches(found: _Found, values: pa.Array, rows: Ints, dataset: Dataset) -> None:
    decoder = BatchDecoder(dataset)
    for row in rows.tolist():
        try:
            events = decoder.decode(values[row].as_buffer())
        except TerminalError:
            found.refused[row] = UNDECODABLE
        else:
            found.add(events, np.full(events.num_rows, row), np.arange(events.num_rows))


def _rows(
    records: pa.Table,
    values: pa.Array,
    ids: Ints,
    batched: npt.NDArray[np.bool_],
    found: _Found,
    dataset: Dataset,
    sealed: Sequence[SealedSpan],
) -> pa.Table:
    wire = arrow_schema(dataset.wire_columns)
    events = pa.concat_tables(found.events or [wire.empty_table()]).combine_chunks()
    record = np.concatenate([*found.records, np.empty(0, np.int64)])
    index = np.concatenate([*found.index, np.empty(0, np.int64)])
    reasons = behind_seals(dataset, events, sealed) | broken_rules(dataset, events)
    rejected: dict[int, bytes] = {}
    for row in reasons:
        whole = int(record[row])
        alone = events.slice(row, 1).to_batches()[0]
        rejected[row] = pack(int(ids[whole]), alone) if batched[whole] else values[whole].as_py()
    if found.refused:
        refused = sorted(found.refused)
        size = len(record)
        reasons |= {size + place: found.refused[row] for place, row in enumerate(refused)}
        rejected |= {size + place: values[row].as_py() or b"" for place, row in enumerate(refused)}
        record = np.concatenate([record, np.array(refused, np.int64)])
        index = np.concatenate([index, np.zeros(len(refused), np.int64)])
        blank = pa.table({column.name: pa.nulls(len(refused), column.type) for column in wire})
        events = pa.concat_tables([events, blank]).combine_chunks()
    table = pa.table(
        {
            "kafka_partition": records["kafka_partition"].take(pa.array(record)),
            "kafka_offset": records["kafka_offset"].take(pa.array(record)),
            "kafka_index": pa.array(index.astype(np.int32)),
            "rejection": _scattered(reasons, len(record), pa.string()),
            "rejected_value": _scattered(rejected, len(record), pa.binary()),
            **dict(zip(wire.names, events.columns, strict=True)),
        }
    )
    if (np.diff(record) < 0).any():
        table = table.take(pa.array(np.lexsort((index, record))))
    return table


def _scattered(values: Mapping[int, object], size: int, kind: pa.DataType) -> pa.Array:
    return pa.array([values.get(row) for row in range(size)], kind) if values else pa.nulls(size, kind)
