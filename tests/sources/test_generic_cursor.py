"""Whatever a venue's pages are like, following them loses no trade unsaid, tells none twice and never steps back."""

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from sources import generic
from sources.events import Accepted
from sources.generic.cursor import Cursor
from sources.generic.question import Question

BEGIN = 1_700_000_000_000
LATER = BEGIN + 3_600_000


def made(number: int, after: int, price: str, numbered: bool) -> dict[str, Any]:
    return {
        "id": str(number) if numbered else None,
        "timestamp": BEGIN + after,
        "symbol": "BTC/USDT",
        "side": "buy",
        "price": price,
        "amount": "1",
    }


def ids(entries: list[Any]) -> list[str]:
    """Return the trade ids that the parser gives to entries of one payload."""
    events = generic.venue("okx").parse("rest", orjson.dumps({"entries": entries}), Question("trades", "X").target)
    return [str(event.row["trade_id"]) for event in events if isinstance(event, Accepted)]


class Market:
    """A venue's trades, revealed bit by bit, and three ways of giving them out."""

    def __init__(self, trades: list[dict[str, Any]], page: int, manner: str) -> None:
        self.trades, self.page, self.manner = trades, page, manner
        self.revealed = 0

    def answer(self, since: int | None) -> list[dict[str, Any]]:
        listed = self.trades[: self.revealed]
        if since is None or self.manner == "newest":
            return listed[-self.page :]
        if self.manner == "seconds":
            since = since // 1000 * 1000
        later = since + 1 if self.manner == "exclusive" else since
        return [entry for entry in listed if entry["timestamp"] >= later][: self.page]


gaps = st.sampled_from([0, 0, 0, 1, 1, 7, 400, 2500])
ticks = st.tuples(gaps, st.sampled_from(["1.0", "1.00", "2.5"]))


@st.composite
def markets(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[int]]:
    numbered, time, trades = draw(st.booleans()), 0, []
    for number, (gap, price) in enumerate(draw(st.lists(ticks, min_size=1, max_size=200))):
        time += gap
        trades.append(made(number, time, price, numbered))
    return trades, draw(st.lists(st.integers(0, 40), max_size=12))


@given(markets(), st.sampled_from(["inclusive", "exclusive"]), st.integers(1, 90))
@settings(max_examples=300)
def test_every_trade_comes_exactly_once_where_since_is_honoured(
    market: tuple[list[dict[str, Any]], list[int]], manner: str, least_page: int
) -> None:
    trades, reveals = market
    # A page holds more than what two milliseconds share, or nobody could follow.
    crowd = max(sum(0 <= one["timestamp"] - other["timestamp"] <= 1 for other in trades) for one in trades)
    venue, cursor = Market(trades, max(least_page, crowd + 1), manner), Cursor("trades")
    told: list[str] = []
    asked: list[int] = []
    for reveal in [*reveals, len(trades), *[0] * len(trades)]:
        venue.revealed = min(len(trades), venue.revealed + reveal)
        if not told:
            first = max(0, venue.revealed - venue.page)
        since = cursor.since(LATER)
        asked += [] if since is None else [since]
        told += ids(cursor.take(venue.answer(since), since, BEGIN + 4000).entries)
    everything = ids(trades)
    assert len(told) == len(set(told))
    assert set(told) <= set(everything)
    # Where the first page cuts equal trades without an id apart, they are counted from there.
    assert len(told) >= len(trades) - first
    if trades[0]["id"] is not None:
        assert set(told) >= set(everything[first:])
    assert asked == sorted(asked)


@given(markets(), st.integers(1, 60))
@settings(max_examples=300)
def test_what_is_pushed_out_of_the_newest_page_is_said(
    market: tuple[list[dict[str, Any]], list[int]], page: int
) -> None:
    trades, reveals = market
    numbered = [{**trade, "id": str(number)} for number, trade in enumerate(trades)]
    venue, cursor = Market(numbered, page, "newest"), Cursor("trades")
    told: list[str] = []
    apart = False
    for reveal in [*reveals, 0, 1, 0]:
        venue.revealed = min(len(numbered), venue.revealed + reveal)
        since = cursor.since(LATER)
        taken = cursor.take(venue.answer(since), since, LATER)
        assert not taken.more
        assert not taken.stuck
        apart = apart or taken.apart
        told += ids(taken.entries)
    assert len(told) == len(set(told))
    whole = not told or [int(one) for one in told] == list(range(int(told[0]), int(told[-1]) + 1))
    assert whole or apart
    assert not apart or max(reveals, default=1) >= page


def test_pages_with_nothing_in_common_are_apart() -> None:
    trades = [made(number, number, "1.0", True) for number in range(9)]
    cursor = Cursor("trades")
    pages: list[list[Any]] = [trades[0:3], trades[2:5], trades[5:8], [], trades[8:]]
    assert [cursor.take(page, None, LATER).apart for page in pages] == [False, False, True, False, True]


def test_more_in_a_second_than_a_page_holds_is_passed_and_said() -> None:
    trades = [made(number, number // 10, "1.0", True) for number in range(300)]  # in 30 ms
    trades += [made(300 + number, 5000 + number, "1.0", True) for number in range(10)]
    venue, cursor = Market(trades, 100, "seconds"), Cursor("trades")
    venue.revealed = 1
    told: list[str] = []
    stuck = 0
    for _ in range(40):
        since = cursor.since(LATER)
        taken = cursor.take(venue.answer(since), since, LATER)
        told += ids(taken.entries)
        stuck += taken.stuck
        venue.revealed = len(trades)
    assert told[:100] == [str(number) for number in range(100)]
    assert set(told) >= {str(number) for number in range(300, 310)}
    assert 0 < stuck < 20


def test_a_full_page_that_ends_in_the_past_is_followed_at_once() -> None:
    trades = [made(number, number * 1000, "1.0", True) for number in range(500)]
    venue, cursor = Market(trades, 100, "inclusive"), Cursor("trades")
    venue.revealed = 1
    cursor.take(venue.answer(None), None, LATER)
    venue.revealed = 500
    turns = 0
    more = True
    while more:
        since = cursor.since(LATER)
        more = cursor.take(venue.answer(since), since, LATER).more
        turns += 1
    assert cursor.reached == BEGIN + 499_000
    assert turns == 6


def test_a_market_silent_for_long_is_asked_for_its_newest_page_now_and_then() -> None:
    # Binance looks an hour ahead of `since` and not further.
    cursor = Cursor("trades")
    cursor.take([made(1, 0, "1.0", True)], None, BEGIN)
    asked = []
    for minute in range(0, 30, 3):
        now = BEGIN + minute * 60_000
        since = cursor.since(now)
        asked.append(since)
        cursor.take([made(1, 0, "1.0", True)], since, now + 150_000)
    assert asked == [BEGIN - 1] * 4 + [None, BEGIN - 1] * 3


def test_after_an_outage_a_silent_market_is_asked_for_what_was_missed() -> None:
    cursor = Cursor("trades")
    cursor.take([made(1, 0, "1.0", True)], None, BEGIN)
    cursor.take([made(1, 0, "1.0", True)], BEGIN - 1, BEGIN + 1_200_000)
    assert cursor.since(BEGIN + 7_200_000) == BEGIN - 1


def bars(*closes: str) -> list[list[Any]]:
    return [[BEGIN + place * 60_000, "1", "2", "0.5", close, "3"] for place, close in enumerate(closes)]


def told_bars(cursor: Cursor, page: list[Any]) -> list[tuple[int, str, str]]:
    taken = cursor.take(page, cursor.since(LATER), LATER)
    assert not taken.apart
    payload = orjson.dumps({"entries": taken.entries})
    events = generic.venue("okx").parse("rest", payload, Question("bars_1m", "X/Y").target)
    found = [event.row for event in events if isinstance(event, Accepted)]
    assert len(found) + taken.repeated == len(page)
    minutes = [(int(str(row["bar_time"])) // 1000 - BEGIN) // 60_000 for row in found]
    return [(minute, str(row["close"]), str(row["state"])) for minute, row in zip(minutes, found, strict=True)]


def test_bars_are_told_when_they_change_and_when_they_close() -> None:
    cursor = Cursor("bars_1m")
    assert told_bars(cursor, bars("1.0", "1.1")) == [(0, "1.0", "final"), (1, "1.1", "provisional")]
    assert told_bars(cursor, bars("1.0", "1.1")) == []
    assert told_bars(cursor, bars("1.0", "1.2")) == [(1, "1.2", "provisional")]
    assert told_bars(cursor, bars("1.0", "1.2", "1.3")) == [(1, "1.2", "final"), (2, "1.3", "provisional")]
    # A closed bar is corrected: with the newest beside it, or it would pass for the newest.
    assert told_bars(cursor, bars("1.0", "1.9", "1.3")) == [(1, "1.9", "final"), (2, "1.3", "provisional")]


def test_bars_with_a_hole_between_pages_are_apart() -> None:
    cursor = Cursor("bars_1m")
    cursor.take(bars("1.0"), None, LATER)
    assert cursor.take(bars("1.0", "1.1", "1.2")[2:], cursor.since(LATER), LATER).apart
