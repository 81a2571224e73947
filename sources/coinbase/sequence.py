"""The number of a message on its connection, which shows lost messages of Advanced Trade whatever they carried."""

import re

import orjson

# What precedes it as the venue writes it: plain strings of the envelope, so that a number within events can't match.
_HEAD = re.compile(
    rb'\s*\{(?:\s*"(?:channel|client_id|timestamp)"\s*:\s*"[^"\\]*"\s*,)*\s*"sequence_num"\s*:\s*([0-9]+)\s*[,}]'
)
_LONGEST = 2**63 - 1


def message_sequence(payload: bytes) -> int | None:
    """Return sequence_num of an Advanced Trade message: it counts all messages of a connection, from 0, without holes.

    None for payloads without one: the Exchange's, REST answers, errors. Reads the first bytes alone, so that a message
    that was cut off is still counted; the whole only if the venue should write its envelope in another order.
    """
    head = _HEAD.match(payload)
    if head is not None and len(head.group(1)) < 19:
        return int(head.group(1))
    if b'"sequence_num"' not in payload:
        return None
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    number = message.get("sequence_num") if type(message) is dict else None
    return number if type(number) is int and 0 <= number <= _LONGEST else None
