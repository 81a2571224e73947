"""From an accepted event to the row on the wire: what only its place on the tape tells is filled in."""

from sources.events import Accepted
from sources.tape_file import TapeRecord


def placed(event: Accepted, record: TapeRecord, index: int) -> dict[str, object]:
    """Return the event's row with its tape position, and stand-ins for what the venue did not tell.

    Without a time of the venue the time of receipt stands in, and event_clock says so; without an id the tape position
    is the id and the time of receipt the order. A function of the tape alone, so that a rebuild gives the same row.
    """
    row = event.row
    row["received_time"] = record.received_time
    row["connection_id"] = record.connection_id
    row["message_number"] = record.message_number
    row["message_index"] = index
    if event.dataset == "market.trades":
        return row
    if "event_time" not in row:
        row["event_time"] = record.received_time
        row["event_clock"] = "collector"
    else:
        row.setdefault("event_clock", "venue")
    if "update_id" not in row:
        row["update_id"] = f"{record.connection_id}:{record.message_number}:{index}"
    if "venue_sequence" not in row:
        row["venue_sequence"] = record.received_time
    if event.dataset == "market.books":
        row.setdefault("chain", record.connection_id)
        row.setdefault("first_sequence", row["venue_sequence"])
        row.setdefault("previous_sequence", -1)
        row.setdefault("checksum", -1)
        row.setdefault("depth", 0)
    return row
