"""A tape without end: recorded trades, quotes and book updates again and again, with new times and ids.

Ids count on where the recording ended, so that a venue seems to go on: whatever is missing from it is a gap.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import orjson

from orchestration.drill.plan import BOOK, TRADES
from sources.demo import TAPES
from sources.tape_file import TapeRecord, TapeWriter, read_tape

ENDPOINT, QUOTES = "spot", "btcusdt@bookTicker"
SNAPSHOT = "/api/v3/depth?symbol=BTCUSDT&limit=1000"
# Quotes are most of the recording; one in so many is enough, since their ids need not be without holes.
_QUOTES_KEPT = 5
_MINUTE_US = 60_000_000
_MILLI_US = 1000


@dataclass(frozen=True)
class Recording:
    """The payloads to repeat, a repetition's length in microseconds, and how many ids one takes."""

    records: list[TapeRecord]
    length_us: int
    trade_ids: int
    update_ids: int


def recorded() -> Recording:
    """Read trades, some quotes and the book of one instrument from the demo tape."""
    found: list[TapeRecord] = []
    trades: list[int] = []
    updates: list[tuple[int, int]] = []
    quotes = count()
    for record in read_tape(TAPES["binance"]):
        if record.endpoint != ENDPOINT or (record.request and record.request != SNAPSHOT):
            continue
        message = orjson.loads(record.payload)
        stream = message.get("stream")
        if stream == TRADES:
            trades.append(message["data"]["t"])
        elif stream == BOOK:
            updates.append((message["data"]["U"], message["data"]["u"]))
        elif stream == QUOTES:
            if next(quotes) % _QUOTES_KEPT:
                continue
        elif record.request != SNAPSHOT:
            continue
        found.append(record)
    first, last = updates[0][0], updates[-1][1]
    kept = [record for record in found if _within(record, first, last)]
    whole = kept[-1].received_time - kept[0].received_time + _MILLI_US
    length = whole - whole % _MILLI_US
    return Recording(kept, length, trades[-1] - trades[0] + 1, last - first + 1)


def _within(record: TapeRecord, first: int, last: int) -> bool:
    """Leave out quotes beside the book's updates: the next repetition would use their ids again."""
    message = orjson.loads(record.payload)
    return message.get("stream") != QUOTES or first <= int(message["data"]["u"]) <= last


def endless(recording: Recording, day: date) -> Iterator[TapeRecord]:
    """Yield the recording again and again, from a minute after the day's midnight on."""
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    began = recording.records[0].received_time
    shift = midnight + _MINUTE_US - (began - began % _MILLI_US)
    numbers = count(1)
    for turn in count():
        for record in recording.records:
            if record.request and turn:
                continue  # one snapshot begins the book; its updates go on from there
            yield moved(record, recording, turn, shift + turn * recording.length_us, next(numbers))


def moved(record: TapeRecord, recording: Recording, turn: int, shift_us: int, number: int) -> TapeRecord:
    """Return a record with the times and ids of a repetition; `shift_us` is whole milliseconds."""
    message = orjson.loads(record.payload)
    if not record.request:
        data, later, ids = message["data"], shift_us // _MILLI_US, turn * recording.update_ids
        if "t" in data:
            data["t"] += turn * recording.trade_ids
        for name in ("U", "u"):
            if name in data:
                data[name] += ids
        for name in ("E", "T"):
            if name in data:
                data[name] += later
    return record._replace(
        received_time=record.received_time + shift_us,
        connection_id="drill",
        message_number=number,
        payload=orjson.dumps(message),
    )


def sections(records: Iterator[TapeRecord], folder: Path, seconds: float) -> Callable[[], Path]:
    """Return what writes the next so many seconds of the tape into a file of their own, and names it."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = count(1)
    waiting = [next(records)]

    def following() -> Path:
        path = folder / f"{next(numbers):06}.tape.zst"
        end = waiting[0].received_time + seconds * 1_000_000
        with TapeWriter(path, source="the demo tape, repeated", licence="as the demo tape", level=1) as writer:
            writer.streams[ENDPOINT] = [BOOK, QUOTES, TRADES]
            while waiting[0].received_time < end:
                writer.write(waiting[0])
                waiting[0] = next(records)
        return path

    return following
