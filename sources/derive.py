"""From stretches of tape to rows: the parsers again, over what was written down. Pure; serves rebuild and audit."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from contracts.catalog import dataset
from contracts.quarantine import QUARANTINE
from contracts.tape import TAPE
from sources.events import Accepted, Rejected
from sources.placing import placed
from sources.tape_file import TapeRecord
from sources.venues import venue
from stores.arrow import arrow_schema

TAPE_COLUMNS = tuple(column.name for column in TAPE.wire_columns)


def derive(batch: pa.RecordBatch, columns: Mapping[str, Sequence[str]] | None = None) -> dict[str, pa.Table]:
    """Parse payloads (TAPE_COLUMNS) and return the rows of each dataset they hold, in wire columns.

    With `columns`, only these columns of the datasets that it names, which saves most of the time for books. What
    parsers refuse comes as rows of system.quarantine, just as the collector sends it.
    """
    rows: dict[str, list[dict[str, object]]] = {}
    for record in _records(batch):
        events = venue(record.venue).parse(record.endpoint, record.payload, record.request)
        for index, event in enumerate(events):
            if isinstance(event, Accepted):
                rows.setdefault(event.dataset, []).append(placed(event, record, index))
            elif isinstance(event, Rejected):
                rows.setdefault(QUARANTINE.name, []).append(_refused(event, record, index))
    return {name: _table(found, name, (columns or {}).get(name)) for name, found in rows.items()}


def _records(batch: pa.RecordBatch) -> list[TapeRecord]:
    columns = {name: batch[name] for name in TapeRecord._fields}
    columns["received_time"] = columns["received_time"].cast(pa.int64())
    return [TapeRecord(*values) for values in zip(*(column.to_pylist() for column in columns.values()), strict=True)]


def _refused(event: Rejected, record: TapeRecord, index: int) -> dict[str, object]:
    return {
        "dataset": event.dataset,
        "venue": record.venue,
        "reason": event.reason,
        "detail": event.detail,
        "payload": event.part or record.payload,
        "received_time": record.received_time,
        "connection_id": record.connection_id,
        "message_number": record.message_number,
        "message_index": index,
    }


def _table(rows: list[dict[str, object]], name: str, columns: Sequence[str] | None) -> pa.Table:
    known = dataset(name)
    wanted = known.wire_columns if columns is None else [known.column_index[column] for column in columns]
    return pa.Table.from_pylist(rows, schema=arrow_schema(wanted))
