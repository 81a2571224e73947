"""What is missing is what was not heard, whatever order, repetition and restarts do."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from contracts.gaps import GAPS, MARKS, STATES
from contracts.gaps import KINDS as GAP_KINDS
from sources.watch.gap import GapKey, OpenGap
from sources.watch.gaps import GapBook

BTC, ETH = ("BTCUSDT", "trade"), ("ETHUSDT", "trade")
QUOTES = ("BTCUSDT", "bookTicker")
Row = dict[str, Any]
T = 1_700_000_000_000_000


def book(marks: Iterable[Row] = (), run: str = "run1", **more: Any) -> GapBook:
    return GapBook("binance", {"trade"}, run, marks, **more)


def missing(gaps: Iterable[OpenGap]) -> set[int]:
    return {i for gap in gaps for first, last in gap.ranges for i in range(first, last + 1)}


def current(rows: Iterable[Row]) -> dict[GapKey, Row]:
    """Return the last revision of each gap, as the view does."""
    last: dict[GapKey, Row] = {}
    for row in sorted(rows, key=lambda row: row["revision"]):
        last[GapKey(row["instrument"], row["id_space"], row["gap_number"])] = row
    return last


class Heard:
    """One series heard in any order, its gap book possibly made again from its marks."""

    def __init__(self, **more: Any) -> None:
        self.more = more
        self.gaps = book(**more)
        self.now = T
        self.rows: list[Row] = []
        self.mark: dict[tuple[str, str], Row] = {}  # as the compacted topic keeps them
        self.lowest: int | None = None
        self.highest = -1
        self.heard: set[int] = set()
        self.ever_missing: set[int] = set()

    def hear(self, sequence: int, delivered: bool) -> bool:
        self.now += 1000
        new = self.gaps.hear(*BTC, sequence, self.now - 500, self.now, delivered)
        if self.lowest is None:
            self.lowest = sequence
        if delivered:
            self.heard.add(sequence)
        self.highest = max(self.highest, sequence)
        self.ever_missing |= self.missing
        return new

    @property
    def missing(self) -> set[int]:
        assert self.lowest is not None
        return set(range(self.lowest + 1, self.highest + 1)) - self.heard

    def drain(self) -> None:
        self.rows += self.gaps.drain()
        for row in self.gaps.marks():
            self.mark[row["instrument"], row["id_space"]] = orjson.loads(orjson.dumps(row))

    def restart(self) -> None:
        self.drain()
        self.now += 1000
        self.gaps = book(self.mark.values(), f"run{self.now}", **self.more)


HEARD = st.tuples(st.integers(0, 40), st.sampled_from([True, True, True, False]))
STEPS = st.lists(st.one_of(HEARD, HEARD, st.sampled_from(["drain", "restart"])), max_size=60)


@given(STEPS)
def test_missing_is_the_span_without_what_was_heard_in_any_order_through_restarts(steps: list[Any]) -> None:
    series = Heard()
    for step in steps:
        if step == "drain":
            series.drain()
        elif step == "restart":
            series.restart()
        else:
            sequence, delivered = step
            known = series.heard | (set() if series.lowest is None else set(range(series.lowest + 1)))
            fresh = series.lowest is None
            assert series.hear(sequence, delivered) == (delivered and (fresh or sequence not in known))
        if series.lowest is None:
            continue
        found = series.gaps.open_gaps()
        assert missing(found) == series.missing
        assert sum(last - first + 1 for gap in found for first, last in gap.ranges) == len(series.missing)
        assert (series.gaps.heard(*BTC) or (0, 0))[0] == series.highest
    series.drain()
    rows = current(series.rows)
    assert {key for key, row in rows.items() if row["state"] == "open"} == {g.key for g in series.gaps.open_gaps()}
    assert sum(row["missing_count"] for row in rows.values() if row["state"] == "open") == len(
        series.missing if series.lowest is not None else ()
    )
    assert sum(row["recovered_count"] for row in rows.values()) == len(series.ever_missing & series.heard)
    for row in rows.values():
        assert (row["state"] == "filled") == (row["missing_count"] == 0) == (row["repair_ms"] >= 0)
        assert row["recovered_count"] + row["missing_count"] == row["to_sequence"] - row["from_sequence"] + 1
    grain = [tuple(row[name] for name in GAPS.grain) for row in series.rows]
    assert len(set(grain)) == len(grain)
    closed = {key for key, row in rows.items() if row["state"] == "filled"}
    for row in series.rows:  # what is filled was never filled before and opened again
        key = GapKey(row["instrument"], row["id_space"], row["gap_number"])
        assert row["state"] != "filled" or (key in closed and row["revision"] == rows[key]["revision"])


@given(
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from([True, True, True, False])), max_size=80),
    st.integers(1, 12),
)
def test_beyond_the_bound_gaps_merge_and_nothing_is_forgotten(steps: list[tuple[int, bool]], bound: int) -> None:
    series = Heard(most_open=bound)
    for sequence, delivered in steps:
        series.hear(sequence, delivered)
        found = series.gaps.open_gaps()
        assert missing(found) >= series.missing
        assert missing(found) <= set(range(series.highest + 1))
        assert sum(len(gap.ranges) for gap in found) <= bound
    series.drain()
    rows = current(series.rows)
    assert {key for key, row in rows.items() if row["state"] == "open"} == {g.key for g in series.gaps.open_gaps()}
    assert sum(r["missing_count"] for r in rows.values() if r["state"] == "open") == len(
        missing(series.gaps.open_gaps())
    )
    assert all(row["missing_count"] == 0 for row in rows.values() if row["state"] == "filled")
    for gap in series.gaps.open_gaps():
        ends = rows[gap.key]["from_sequence"], rows[gap.key]["to_sequence"]
        assert ends[0] <= gap.ranges[0][0]
        assert gap.ranges[-1][1] <= ends[1]
    for sequence in range(201):
        series.hear(sequence, True)
    assert series.gaps.open_gaps() == []
    counts = series.gaps.counts()
    assert counts["found"] == counts["filled"] + counts["merged"]


def test_a_hole_is_found_shrunk_and_filled() -> None:
    gaps = book()
    gaps.hear(*BTC, 10, T, T + 5)
    gaps.hear(*BTC, 14, T + 100, T + 105)
    (found,) = gaps.drain()
    assert found == {
        "venue": "binance",
        "instrument": "BTCUSDT",
        "id_space": "trade",
        "gap_number": T + 105,
        "revision": 1,
        "kind": "trade_ids",
        "state": "open",
        "from_sequence": 11,
        "to_sequence": 13,
        "missing_count": 3,
        "recovered_count": 0,
        "from_time": T,
        "to_time": T + 100,
        "attempt_count": 0,
        "repair_ms": -1,
        "detail": "before id 14",
        "event_time": T,
        "received_time": T + 105,
        "connection_id": "run1",
        "message_number": 1,
        "message_index": 0,
    }
    assert [gaps.hear(*BTC, n, T + 50, T + 3000) for n in (11, 11, 13)] == [True, False, True]
    (shrunk,) = gaps.drain()
    assert (shrunk["missing_count"], shrunk["recovered_count"], shrunk["state"]) == (1, 2, "open")
    assert gaps.drain() == []
    gaps.hear(*BTC, 12, T + 50, T + 7105)
    (filled,) = gaps.drain()
    assert (filled["state"], filled["missing_count"], filled["repair_ms"], filled["revision"]) == ("filled", 0, 7, 3)
    assert gaps.heard(*BTC) == (14, T + 100)


def test_rows_and_marks_fit_their_contracts() -> None:
    gaps = book()
    for sequence in (1, 5, 2):
        gaps.hear(*BTC, sequence, T, T)
    gaps.hear(*QUOTES, None, T, T)
    gaps.silence([QUOTES], None, T + 9, T + 9, "no message for 60 s")
    gaps.hole("BTCUSDT", "depth", 4, 7, T, T + 1, T + 2)
    gaps.hole("BTCUSDT", "depth", -1, -1, T, T + 1, T + 2, detail="checksum")
    gaps.resynced("BTCUSDT", "depth", T + 3)
    rows = gaps.drain()
    wire = {column.name for column in GAPS.wire_columns}
    assert all(set(row) == wire for row in rows)
    assert {row["kind"] for row in rows} <= set(GAP_KINDS)
    assert {row["state"] for row in rows} <= set(STATES)
    assert [row["message_number"] for row in rows] == list(range(1, len(rows) + 1))
    marks = gaps.marks()
    assert {(mark["instrument"], mark["id_space"]) for mark in marks} == {BTC, QUOTES, ("BTCUSDT", "depth")}
    assert all(set(mark) == {column.name for column in MARKS.wire_columns} for mark in marks)
    assert gaps.marks() == []


def test_a_number_that_was_not_delivered_is_missing_itself() -> None:
    gaps = book()
    assert not gaps.hear(*BTC, 10, T, T, delivered=False)  # the first only says where the series is
    assert gaps.open_gaps() == []
    gaps.hear(*BTC, 12, T, T, delivered=False)
    assert missing(gaps.open_gaps()) == {11, 12}
    gaps.hear(*BTC, 12, T, T, delivered=False)
    gaps.hear(*BTC, 13, T, T)
    assert missing(gaps.open_gaps()) == {11, 12}
    assert gaps.hear(*BTC, 12, T, T)
    assert missing(gaps.open_gaps()) == {11}


def test_what_went_by_while_the_collector_was_down_is_a_gap() -> None:
    gaps = book()
    gaps.hear(*BTC, 10, T, T)
    gaps.hear(*QUOTES, None, T + 3, T + 3)
    after = book(gaps.marks(), "run2")
    assert sorted(after.series()) == sorted([BTC, QUOTES])
    after.silence([QUOTES], None, T + 500, T + 500, "the collector was away")
    after.hear(*BTC, 20, T + 600, T + 600)
    hole, silence = sorted(after.open_gaps(), key=lambda gap: gap.kind, reverse=True)
    assert (hole.ranges, hole.from_time, hole.to_time) == (((11, 19),), T, T + 600)
    assert (silence.from_time, silence.to_time, silence.ranges) == (T + 3, T + 500, ())


def test_several_gaps_noticed_at_once_have_their_own_numbers() -> None:
    gaps = book()
    for sequence in (1, 3, 5):
        gaps.hear(*BTC, sequence, T, T)
        gaps.hear(*ETH, sequence, T, T)
    assert [gap.key for gap in gaps.open_gaps()] == [
        GapKey(*series, number) for number in (T, T + 1) for series in (BTC, ETH)
    ]


def test_a_silence_is_filled_when_rest_answered_for_all_of_it() -> None:
    gaps = book()
    (key,) = gaps.silence([QUOTES], T, T + 1000, T + 1000, "reconnected")
    left = gaps.attempted(key, T + 2000, 30, answered_through=T + 400)
    assert left is not None
    assert (left.from_time, left.to_time, left.attempts) == (T + 400, T + 1000, 1)
    assert gaps.attempted(key, T + 3000, 12, answered_through=T + 1000) is None
    opened, half, filled = gaps.drain()
    assert [row["missing_count"] for row in (opened, half, filled)] == [-1, -1, 0]
    assert (filled["state"], filled["recovered_count"], filled["attempt_count"]) == ("filled", 42, 2)
    assert filled["repair_ms"] == 2
    assert gaps.attempted(key, T + 4000, 5, answered_through=T + 1000) is None
    assert gaps.drain() == []
    assert gaps.counts()["recovered"] == 42


def test_a_silence_of_counted_ids_ends_when_an_id_tells_what_it_hid() -> None:
    gaps = book()
    gaps.hear(*BTC, 10, T, T)
    gaps.hear(*ETH, 10, T, T)
    gaps.silence([BTC, ETH], None, T + 1000, T + 1000, "no message for 60 s")
    gaps.hear(*BTC, 11, T + 900, T + 1100)  # of before the silence ended
    assert len(gaps.open_gaps()) == 2
    gaps.hear(*BTC, 12, T + 1500, T + 1500)
    gaps.hear(*ETH, 13, T + 1500, T + 1500)
    (hole,) = gaps.open_gaps()
    assert (hole.kind, hole.instrument, hole.ranges) == ("trade_ids", "ETHUSDT", ((11, 12),))
    assert gaps.counts()["filled"] == 2


def test_a_silence_that_goes_on_is_one_gap() -> None:
    gaps = book()
    gaps.hear(*QUOTES, None, T, T)
    keys = [gaps.silence([QUOTES], None, T + end, T + end, "away") for end in (60, 120, 90)]
    assert keys[0] == keys[1] == keys[2]
    (gap,) = gaps.open_gaps()
    assert (gap.from_time, gap.to_time) == (T, T + 120)
    assert len(gaps.drain()) == 2
    other = gaps.silence([QUOTES], T + 500, T + 600, T + 600, "away")
    assert other != keys[0]
    assert gaps.silence([QUOTES], T + 110, T + 550, T + 600, "away") == keys[0]


def test_a_series_never_heard_has_no_silence_of_unknown_begin() -> None:
    assert book().silence([QUOTES], None, T, T, "away") == []


def test_a_gap_is_not_given_up_while_nobody_answers() -> None:
    gaps = book(give_up_after=3)
    for sequence in (1, 9):
        gaps.hear(*BTC, sequence, T, T)
    (gap,) = gaps.open_gaps()
    for _ in range(20):
        left = gaps.attempted(gap.key, T + 5, 0, error="503", answered=False)
        assert left is not None and left.state == "open"
    answers = [gaps.attempted(gap.key, T + 6, 0) for _ in range(3)]
    assert [one.state for one in answers if one] == ["open", "open", "unfillable"]


@pytest.mark.parametrize("error", ["", "HTTP 400: Invalid symbol."])
def test_a_gap_is_given_up_after_vain_attempts_and_stays_visible(error: str) -> None:
    gaps = book(give_up_after=3)
    for sequence in (1, 9):
        gaps.hear(*BTC, sequence, T, T)
    (gap,) = gaps.open_gaps()
    for _ in range(2):
        gaps.attempted(gap.key, T + 5, 0, error=error)
    gaps.hear(*BTC, 4, T, T + 6)
    gaps.attempted(gap.key, T + 6, 1)  # brought something: patience begins anew
    states = []
    for _ in range(3):
        left = gaps.attempted(gap.key, T + 7, 0, error=error)
        assert left is not None
        states.append(left.state)
    assert states == ["open", "open", "unfillable"]
    row = gaps.drain()[-1]
    assert (row["state"], row["attempt_count"], row["repair_ms"], row["missing_count"]) == ("unfillable", 6, -1, 6)
    assert (error or "REST did not have it") in row["detail"]
    again = book(gaps.marks(), "run2")
    assert gaps.unfillable == gaps.open_gaps() == again.unfillable == again.open_gaps()
    assert (again.counts()["unfillable"], again.counts()["open"]) == (1, 0)
    for sequence in (2, 3, 5, 6, 7, 8):
        again.hear(*BTC, sequence, T, T + 9)
    assert again.open_gaps() == []
    assert again.drain()[-1]["state"] == "filled"


def test_holes_of_a_book_are_one_gap_until_it_is_resynced() -> None:
    gaps = book()
    key = gaps.hole("BTCUSDT", "depth", 10, 12, T, T + 5, T + 5, detail="update ids do not connect")
    assert gaps.hole("BTCUSDT", "depth", 20, 21, T + 6, T + 8, T + 8) == key
    (gap,) = gaps.open_gaps()
    assert (gap.kind, gap.ranges, gap.to_time) == ("update_ids", ((10, 12), (20, 21)), T + 8)
    assert gaps.resynced("BTCUSDT", "depth", T + 3005) == [key]
    assert gaps.resynced("BTCUSDT", "depth", T + 3006) == []
    row = gaps.drain()[-1]
    assert (row["state"], row["missing_count"], row["repair_ms"]) == ("resynced", -1, 3)
    assert (row["from_sequence"], row["to_sequence"]) == (10, 21)
    assert gaps.counts()["resynced"] == 1
    assert gaps.hole("BTCUSDT", "depth", 30, 30, T + 9000, T + 9000, T + 9000) != key
    with pytest.raises(ValueError, match="trade_ids"):
        gaps.hole("BTCUSDT", "depth", 1, 1, T, T, T, kind="trade_ids")


def test_a_book_with_endless_holes_stays_small() -> None:
    gaps = book()
    for n in range(1000):
        gaps.hole("BTCUSDT", "depth", 2 * n, 2 * n, T, T, T)
    (gap,) = gaps.open_gaps()
    assert len(gap.ranges) <= 101
    assert missing([gap]) >= {2 * n for n in range(1000)}


def test_silences_merge_beyond_the_bound() -> None:
    gaps = book(most_open=10)
    for n in range(100):
        gaps.silence([QUOTES, BTC], T + 1000 * n, T + 1000 * n + 500, T + 1000 * n + 500, "away")
    found = gaps.open_gaps()
    assert len(found) <= 10
    for n in range(100):
        for series in (QUOTES, BTC):
            spans = [gap for gap in found if (gap.instrument, gap.id_space) == series]
            assert any(gap.from_time <= T + 1000 * n and T + 1000 * n + 500 <= gap.to_time for gap in spans)
    rows = current(gaps.drain())
    assert sum(row["state"] == "open" for row in rows.values()) == len(found)
    assert len(gaps.marks()[0]["open_gaps"]) < 10_000


def test_revisions_that_no_mark_knows_of_are_not_used_again() -> None:
    gaps = book()
    for sequence in (1, 9):
        gaps.hear(*BTC, sequence, T, T)
    marks, sent = gaps.marks(), gaps.drain()
    for sequence in (2, 3, 4):
        gaps.hear(*BTC, sequence, T, T)
        sent += gaps.drain()  # the collector dies before it writes its marks
    after = book(marks, "run2")
    after.hear(*BTC, 5, T, T)
    (row,) = after.drain()
    assert row["gap_number"] == sent[0]["gap_number"]
    assert row["revision"] > max(earlier["revision"] for earlier in sent)


def test_a_mark_that_can_not_be_read_says_which() -> None:
    mark = {"venue": "binance", "instrument": "BTCUSDT", "id_space": "trade", "sequence": 1, "heard_time": T}
    for text in ("[", "{}x", '[{"number": 1}]', "[1]"):
        with pytest.raises(TerminalError, match="BTCUSDT trade"):
            book([mark | {"open_gaps": text}])
