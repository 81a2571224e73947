"""Damaged messages of every venue: whatever a parser makes of them can be written as its contract says, or is refused.

A longer search: `TEST_FUZZ=20 pytest tests/sources/test_parse_fuzz.py` tries twenty times as many examples.
"""

import copy
import io
import json
import os
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any

import fastavro
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.avro import avro_schema
from contracts.catalog import dataset
from contracts.quarantine import QUARANTINE
from sources.demo import TAPES
from sources.events import IGNORED, REJECTIONS, Accepted, Ignored, Rejected
from sources.placing import placed
from sources.tape_file import TapeRecord, read_tape
from sources.venues import venue

EXAMPLES = 200 * int(os.environ.get("TEST_FUZZ", "1"))
A_KIND = 3  # so many messages of each kind
LONGEST = 20_000  # larger ones say the same more often


@cache
def messages(name: str) -> tuple[TapeRecord, ...]:
    """Return some recorded messages of every kind that the venue sends, by their endpoint and shape."""
    found: dict[object, list[TapeRecord]] = {}
    for record in read_tape(TAPES[name]):
        if len(record.payload) > LONGEST:
            continue
        path = record.request.partition("?")[0]
        kind = (record.endpoint, path, shape(orjson.loads(record.payload)))
        if len(kept := found.setdefault(kind, [])) < A_KIND:
            kept.append(record)
    return tuple(record for kept in found.values() for record in kept)


def shape(value: Any) -> object:
    """Tell messages of different kinds apart: their names, and what their words say that are no numbers."""
    if isinstance(value, dict):
        words = {"e", "type", "channel", "event", "stream"}
        return tuple(
            (name, one.rpartition("@")[2] if name == "stream" else one) if name in words and isinstance(one, str)
            else (name, shape(one) if isinstance(one, dict) else "")
            for name, one in sorted(value.items())
        )  # fmt: skip
    if isinstance(value, list):
        return tuple(type(one).__name__ for one in value[:4]), *(one for one in value[2:3] if isinstance(one, str))
    return type(value).__name__


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


# What a field may hold instead: as JSON text, for much of it no Python value would be written so.
NUMBERS = (
    "0", "-0", "-1", "1e400", "1e-400", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
    "18446744073709551616", "253402300800000", "0.1", "1E5", "9" * 400,
)  # fmt: skip
WORDS = (
    '""', '" "', '"0"', '"-0"', '"1e5"', '"1e-13"', '"1e9999"', '"1e99999"', '"NaN"', '"Infinity"', '"-1"', '"+1"',
    '"1_000"', '"0x10"', '"\\u0661"', '"\\u0000"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\u202e"', '"\\ufeff"',
    '"' + "9" * 25 + '"', '"' + "9" * 5000 + '"', '"0.' + "0" * 30 + '1"', '"1.' + "0" * 30 + '"', '"' + "X" * 70 + '"',
    '"0001-01-01T00:00:00+14:00"', '"9999-12-31T23:59:59-14:00"', '"2024-02-30T00:00:00Z"', '"2024-01-01"',
    '"2024-01-01T00:00:60Z"', '"buy"', '"XBT/USD"', '"trade"',
)  # fmt: skip
SHAPES = (
    "null", "true", "false", "[]", "{}", "[[]]", '[["1"]]', '[["1","2"],["x","y"]]', '{"a":{"b":[]}}', nested(60),
    nested(2000), '{"e":"trade"}', '["1","2","3"]',
)  # fmt: skip
ODD = {int: st.sampled_from(NUMBERS), str: st.sampled_from(WORDS)}
ANY_ODD = st.sampled_from((*NUMBERS, *WORDS, *SHAPES))
MARK = "\N{PILE OF POO}place"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a document, itself first."""
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list):
        for number in range(min(len(value), 6)):
            yield from places(value[number], (*path, number))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    """Return what lies at a path."""
    for step in path:
        value = value[step]
    return value


@st.composite
def damaged(draw: st.DrawFn, name: str) -> tuple[str, bytes, str]:
    """Draw a recorded message with up to three of its fields changed, or its bytes cut or overwritten."""
    record = draw(st.sampled_from(messages(name)))
    payload = record.payload
    for _ in range(draw(st.integers(0, 3))):
        try:
            payload = changed(draw, payload)
        except (orjson.JSONDecodeError, TypeError):
            break  # no JSON any more: only its bytes can be changed
    if draw(st.integers(0, 4)) == 0:
        start = draw(st.integers(0, len(payload)))
        end = draw(st.sampled_from([start, min(start + 1, len(payload)), len(payload)]))
        payload = payload[:start] + draw(st.binary(max_size=4)) + payload[end:]
    endpoint = record.endpoint
    if draw(st.integers(0, 9)) == 0:
        endpoint = draw(st.sampled_from([*venue(name).dialects, "elsewhere"]))
    request = record.request
    if draw(st.integers(0, 9)) == 0:
        request = draw(st.sampled_from(["", "/", "?", "/api/v3/depth?symbol=", "\N{SNOWMAN}"]) | st.text(max_size=30))
    return endpoint, payload, request


def changed(draw: st.DrawFn, payload: bytes) -> bytes:
    document = orjson.loads(payload)
    # Most often a single value: with the whole shape gone there is little left to look at.
    found = list(places(document))
    single = [path for path in found if not isinstance(at(document, path), dict | list)]
    anywhere = draw(st.integers(0, 5)) == 0 or not single
    path = draw(st.sampled_from(found if anywhere else single))
    if not path:
        return draw(ANY_ODD).encode()
    document = copy.deepcopy(document)
    holder = at(document, path[:-1])
    how = draw(st.sampled_from(["replace"] * 6 + ["drop", "double", "rename"]))
    if how == "drop":
        del holder[path[-1]]
    elif how == "rename" and isinstance(holder, dict):
        holder[draw(st.text(max_size=5))] = holder.pop(path[-1])
    elif how == "double" and isinstance(holder, list):
        holder.append(holder[path[-1]])
    else:
        # Most often one of the same type, which is looked at more closely than one of another.
        kind = ODD.get(type(holder[path[-1]]), ANY_ODD)
        odd = draw(kind if draw(st.integers(0, 3)) else ANY_ODD)
        holder[path[-1]] = MARK
        text = json.dumps(document, ensure_ascii=False)
        if how == "double":  # one name twice in an object
            odd = f"{odd},{json.dumps(path[-1])}:{odd}"
        return text.replace(json.dumps(MARK, ensure_ascii=False), odd).encode()
    return orjson.dumps(document)


@cache
def writer(name: str) -> Any:
    return fastavro.parse_schema(avro_schema(dataset(name)))


@pytest.mark.parametrize("name", sorted(TAPES))
def test_whatever_a_parser_accepts_can_be_written_and_whatever_else_is_explained(name: str) -> None:
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(damaged(name))
    def hold(drawn: tuple[str, bytes, str]) -> None:
        endpoint, payload, request = drawn
        events = venue(name).parse(endpoint, payload, request)
        assert events
        record = TapeRecord(1_700_000_000_000_000, name, endpoint, "c", 1, payload, request)
        for index, event in enumerate(events):
            if isinstance(event, Ignored):
                assert event.reason in IGNORED
            elif isinstance(event, Rejected):
                assert event.reason in REJECTIONS
                assert event.reason != "contract_misfit"
                assert event.dataset
                assert len(event.detail) < 500
                refused = {"message_index": index, "detail": event.detail, "reason": event.reason}
                write(QUARANTINE.name, BLANK | refused)
            else:
                assert isinstance(event, Accepted)
                write(event.dataset, placed(event, record, index))

    hold()


BLANK: dict[str, object] = {
    "dataset": "", "venue": "", "payload": b"", "received_time": 0, "connection_id": "", "message_number": 1,
}  # fmt: skip


def write(name: str, row: dict[str, object]) -> None:
    """Claim that a row has every column of its contract and no other, and that each comes back as it was."""
    target = io.BytesIO()
    fastavro.schemaless_writer(target, writer(name), row, strict=True)
    target.seek(0)
    read = fastavro.schemaless_reader(target, writer(name), writer(name))
    assert isinstance(read, dict)
    assert {column: value for column, value in read.items() if not isinstance(value, datetime)} == {
        column: value for column, value in row.items() if not isinstance(read[column], datetime)
    }


def test_the_recorded_messages_are_of_many_kinds() -> None:
    assert {name: len(messages(name)) > 15 for name in TAPES} == dict.fromkeys(TAPES, True)
