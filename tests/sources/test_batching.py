"""Events go together when there are enough or the first has waited; each is acknowledged, and keys keep their order."""

from collections.abc import Sequence
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, Message
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import BATCH_EVENTS
from contracts.errors import TerminalError
from sources.collector.batching import FEWEST, LONGEST_WAIT_S, Acknowledge, Batches
from sources.collector.wire import Outgoing

MESSAGE = cast(Message, None)


class Kept:
    """Batches with a clock of their own, and what became of the events put in: their numbers."""

    def __init__(self, limit: int = 10**6, misfit: int = -1) -> None:
        self.now = 0.0
        self.misfit = misfit
        self.sent: list[tuple[bytes, list[int], Acknowledge]] = []
        self.acknowledged: list[tuple[int, Any]] = []
        self.batches = Batches(self._send, self._encode, limit, lambda: self.now)

    def _encode(self, topic: str, rows: Sequence[Any]) -> bytes:
        assert topic == "t"
        if any(row["number"] == self.misfit for row in rows):
            raise TerminalError("does not fit")
        return b",".join(b"%d" % row["number"] for row in rows)

    def _send(self, outgoing: Outgoing, acknowledge: Acknowledge) -> None:
        self.sent.append((outgoing.key, [int(part) for part in outgoing.value.split(b",")], acknowledge))

    def add(self, number: int, key: bytes = b"k") -> None:
        event = Outgoing("t", key, b"%d" % number, {"number": number})
        self.batches.add(event, lambda fault, _: self.acknowledged.append((number, fault)))

    @property
    def records(self) -> list[list[int]]:
        return [numbers for _, numbers, _ in self.sent]


def test_a_full_batch_goes_at_once_and_the_rest_when_its_first_event_has_waited() -> None:
    kept = Kept()
    for number in range(BATCH_EVENTS + FEWEST):
        kept.add(number)
    assert kept.records == [list(range(BATCH_EVENTS))]
    kept.batches.cut_due()
    assert len(kept.records) == 1
    kept.now += LONGEST_WAIT_S
    kept.batches.cut_due()
    assert kept.records[1:] == [list(range(BATCH_EVENTS, BATCH_EVENTS + FEWEST))]


@pytest.mark.parametrize(
    ("kept", "why"), [(Kept(), "too few"), (Kept(misfit=3), "one does not fit"), (Kept(limit=14), "too large")]
)
def test_events_that_are_better_alone_go_alone_in_their_order(kept: Kept, why: str) -> None:
    count = FEWEST - 1 if why == "too few" else FEWEST
    for number in range(count):
        kept.add(number)
    kept.now += LONGEST_WAIT_S
    kept.batches.cut_due()
    assert kept.records == [[number] for number in range(count)], why


def test_every_event_of_a_batch_is_told_what_became_of_it() -> None:
    kept = Kept()
    for number in range(BATCH_EVENTS):
        kept.add(number)
    fault = KafkaError(KafkaError._MSG_TIMED_OUT)
    kept.sent[0][2](fault, MESSAGE)
    assert kept.acknowledged == [(number, fault) for number in range(BATCH_EVENTS)]


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.floats(0, LONGEST_WAIT_S), st.integers(1, 300))))
def test_whatever_comes_when_each_key_keeps_its_order_and_nothing_stays(
    steps: list[tuple[bytes, float, int]],
) -> None:
    kept, wanted, number = Kept(), dict[bytes, list[int]](), 0
    for key, pause, count in steps:
        kept.now += pause
        kept.batches.cut_due()
        for _ in range(count):
            kept.add(number, key)
            wanted.setdefault(key, []).append(number)
            number += 1
    kept.now += 2 * LONGEST_WAIT_S
    kept.batches.cut_due()
    found: dict[bytes, list[int]] = {}
    for key, numbers, acknowledge in kept.sent:
        assert len(numbers) <= BATCH_EVENTS
        found.setdefault(key, []).extend(numbers)
        acknowledge(None, MESSAGE)
    assert found == wanted
    assert sorted(kept.acknowledged) == [(n, None) for n in range(number)]
