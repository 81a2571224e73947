"""Trades between columns and the Avro of their contract, many at once: one by one would take ten times as long."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.events import (
    CONNECTION,
    ID_SPACE,
    PRICE_DIGITS,
    QUANTITY_DIGITS,
    SIDES,
    VENUE,
    Events,
    Ints,
)
from contracts.trades import PRICE, QUANTITY

FRAME_BYTES = 5
ROWS_AT_ONCE = 200_000
NAME_BYTES = 16
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)

Bytes = NDArray[np.uint8]
# One field of many rows: a row of bytes each, and how many of them count.
Field = tuple[Bytes, Ints]


def encode_trades(events: Events, schema_id: int) -> Iterator[list[bytes]]:
    """Yield the records of all events in their order, framed as the registry has it, some at a time."""
    for start in range(0, len(events), ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, len(events)))
        yield _assembled(_fields(events, rows, schema_id))


def _fields(events: Events, rows: slice, schema_id: int) -> list[Field]:
    frame = b"\0" + schema_id.to_bytes(FRAME_BYTES - 1, "big")
    instrument, size = events.instrument[rows], len(events.instrument[rows])
    heads = [frame + _text(VENUE) + _text(name) + _text(ID_SPACE) for name in events.names]
    one = np.zeros(size, np.int64)
    return [
        _looked_up(heads, instrument),
        _digits(events.sequence[rows]),
        _longs(events.sequence[rows]),
        _decimals(events.price[rows] * 10 ** (PRICE.scale - PRICE_DIGITS)),
        _decimals(events.quantity[rows] * 10 ** (QUANTITY.scale - QUANTITY_DIGITS)),
        _looked_up([_text(side) for side in SIDES], events.side[rows]),
        _longs(one + 1),
        _longs(events.event_time[rows]),
        _longs(events.received_time[rows]),
        _looked_up([_text(CONNECTION)], one),
        _longs(events.message[rows]),
        _longs(events.index[rows]),
    ]


def _text(value: str) -> bytes:
    return bytes([2 * len(value)]) + value.encode()


def _looked_up(table: list[bytes], codes: Ints) -> Field:
    lengths = np.array([len(entry) for entry in table])
    matrix = np.zeros((len(table), lengths.max()), np.uint8)
    for row, entry in enumerate(table):
        matrix[row, : len(entry)] = np.frombuffer(entry, np.uint8)
    return matrix[codes], lengths[codes]


def _longs(values: Ints) -> Field:
    left = ((values << 1) ^ (values >> 63)).view(np.uint64)
    columns, lengths = [], np.ones(len(values), np.int64)
    while True:
        low, left = (left & np.uint64(0x7F)).astype(np.uint8), left >> np.uint64(7)
        more = left > 0
        columns.append(low | (more.astype(np.uint8) << 7))
        if not more.any():
            return np.stack(columns, axis=1), lengths
        lengths = lengths + more


def _decimals(values: Ints) -> Field:
    """Write positive numbers: the length, then the fewest bytes that keep the sign."""
    lengths = np.ones(len(values), np.int64)
    for size in range(1, 8):
        lengths += values >= 1 << (8 * size - 1)
    whole = values.astype(">i8").view(np.uint8).reshape(-1, 8)
    return _prefixed(whole, lengths)


def _digits(values: Ints) -> Field:
    """Write positive numbers as text."""
    powers = 10 ** np.arange(len(str(values.max())) - 1, -1, -1, dtype=np.int64)
    lengths = np.ones(len(values), np.int64)
    for power in powers[:-1]:
        lengths += values >= power
    whole = (values[:, None] // powers % 10 + ord("0")).astype(np.uint8)
    return _prefixed(whole, lengths)


def _prefixed(whole: Bytes, lengths: Ints) -> Field:
    """Take the last `lengths` bytes of each row and put their number before them."""
    width = whole.shape[1]
    longest = int(lengths.max())
    source = np.minimum(width - lengths[:, None] + np.arange(longest), width - 1)
    head = (2 * lengths).astype(np.uint8)[:, None]
    return np.concatenate([head, np.take_along_axis(whole, source, axis=1)], axis=1), lengths + 1


def _assembled(fields: Sequence[Field]) -> list[bytes]:
    sizes = np.sum([lengths for _, lengths in fields], axis=0)
    ends = np.cumsum(sizes)
    at = ends - sizes
    buffer = np.empty(int(ends[-1]), np.uint8)
    for matrix, lengths in fields:
        shortest = int(lengths.min())
        for column in range(matrix.shape[1]):
            if column < shortest:
                buffer[at + column] = matrix[:, column]
            else:
                there = lengths > column
                buffer[at[there] + column] = matrix[there, column]
        at = at + lengths
    whole = buffer.tobytes()
    return [whole[start:end] for start, end in zip((ends - sizes).tolist(), ends.tolist(), strict=True)]


def decode_trades(values: Sequence[bytes]) -> dict[str, NDArray[np.int64] | Bytes]:
    """Read what a bar needs: `instrument` as rows of NAME_BYTES bytes, `sequence`, `price`, `quantity`, `event_time`.

    Numbers as they are on the wire, whole and positive, of at most eight bytes. Texts of at most 63 bytes.
    """
    buffer = np.frombuffer(b"".join([*values, b"\0" * NAME_BYTES]), np.uint8)
    at = np.zeros(len(values), np.int64)
    np.cumsum(np.fromiter(map(len, values), np.int64, len(values))[:-1], out=at[1:])
    at += FRAME_BYTES
    at = _skip_text(buffer, at)
    lengths = buffer[at].astype(np.int64) >> 1
    name = np.lib.stride_tricks.sliding_window_view(buffer, NAME_BYTES)[at + 1]
    name = np.where(np.arange(NAME_BYTES) < lengths[:, None], name, 0)
    at = _skip_text(buffer, _skip_text(buffer, at + 1 + lengths))
    sequence, at = _read_longs(buffer, at)
    price, at = _read_decimals(buffer, at)
    quantity, at = _read_decimals(buffer, at)
    _, at = _read_longs(buffer, _skip_text(buffer, at))
    event_time, _ = _read_longs(buffer, at)
    return {"instrument": name, "sequence": sequence, "price": price, "quantity": quantity, "event_time": event_time}


def _skip_text(buffer: Bytes, at: Ints) -> Ints:
    return at + 1 + (buffer[at].astype(np.int64) >> 1)


def _read_longs(buffer: Bytes, at: Ints) -> tuple[Ints, Ints]:
    value, shift = np.zeros(len(at), np.uint64), 0
    more = np.ones(len(at), bool)
    while True:
        byte = np.where(more, buffer[at], 0)
        value |= (byte & 0x7F).astype(np.uint64) << np.uint64(shift)
        at = at + more
        more = more & (byte > 0x7F)
        if not more.any():
            return (value >> np.uint64(1)).view(np.int64), at
        shift += 7


def _read_decimals(buffer: Bytes, at: Ints) -> tuple[Ints, Ints]:
    lengths = buffer[at].astype(np.int64) >> 1
    ends = at + 1 + lengths
    # The eight bytes that end where the number ends; what lies before it is cut off.
    whole = np.lib.stride_tricks.sliding_window_view(buffer, 8)[ends - 8]
    value = np.ascontiguousarray(whole).view(">u8").ravel().astype(np.uint64)
    return (value & _MASKS[lengths]).view(np.int64), ends
