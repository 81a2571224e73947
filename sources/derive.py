"""From stretches of tape to rows: the parsers again, over what was written down. Pure; serves rebuild and audit."""

import pyarrow as pa

from contracts.catalog import dataset
from contracts.quarantine import QUARANTINE
from sources.events import Accepted, Rejected
from sources.venues import venue
from stores.arrow import arrow_schema

TAPE_COLUMNS = ("venue", "endpoint", "payload", "received_time", "connection_id", "message_number")


def derive(batch: pa.RecordBatch) -> dict[str, pa.Table]:
    """Parse payloads (TAPE_COLUMNS) and return the rows of each dataset they hold, in wire columns.

    What parsers refuse comes as rows of system.quarantine, just as the collector sends it.
    """
    rows: dict[str, list[dict[str, object]]] = {}
    received = batch["received_time"].cast(pa.int64()).to_pylist()
    columns = [batch[name].to_pylist() for name in TAPE_COLUMNS if name != "received_time"]
    for name, endpoint, payload, connection_id, message_number, received_time in zip(*columns, received, strict=True):
        for index, event in enumerate(venue(name).parse(endpoint, payload)):
            position = {
                "received_time": received_time,
                "connection_id": connection_id,
                "message_number": message_number,
                "message_index": index,
            }
            if isinstance(event, Accepted):
                rows.setdefault(event.dataset, []).append({**event.row, **position})
            elif isinstance(event, Rejected):
                refused = {"dataset": event.dataset, "venue": name, "reason": event.reason, "detail": event.detail}
                rows.setdefault(QUARANTINE.name, []).append({**refused, "payload": payload, **position})
    return {
        name: pa.Table.from_pylist(found, schema=arrow_schema(dataset(name).wire_columns))
        for name, found in rows.items()
    }
