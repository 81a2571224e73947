"""Cadence and staleness: worked examples, then the arithmetic on any history."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from contracts.freshness import UNKNOWN
from quality.freshness import (
    SECOND,
    Freshness,
    Heard,
    Known,
    Series,
    expected_cadence_ms,
    findings,
    judge,
    learn,
    reference_time,
    worth_noting,
)

NOW = 1_700_000_000 * SECOND
MINUTE = 60 * SECOND
BTC, ETH = Series("kraken", "XBT/USD", "market.trades"), Series("binance", "ETHUSDT", "market.quotes")
TOLERATED_MS = 300_000


def state(silence: int, cadence_ms: int, *, watching_since: int = 0) -> str:
    known = {BTC: Known(0, NOW - silence, cadence_ms)}
    return judge(known, NOW, watching_since=watching_since, stale_after_ms=TOLERATED_MS)[BTC].state


def test_a_regular_series_is_expected_within_three_beats() -> None:
    assert expected_cadence_ms({60: 1000}) == 180_000


def test_one_long_outage_does_not_make_long_silences_ordinary() -> None:
    assert expected_cadence_ms({1: 990, 7200: 1}) == 3_000


def test_a_quiet_series_that_trades_at_random_is_all_but_never_called_stale() -> None:
    # Ten minutes apart on average, for 200 days.
    draw = random.Random(7)
    gaps = [round(draw.expovariate(1 / 600)) for _ in range(28_800)]
    cadence = expected_cadence_ms(Counter(gaps[:144]))
    late = sum(gap * 1000 > cadence + TOLERATED_MS for gap in gaps)
    assert late < 20, "at most one false alarm in ten days"


def test_too_short_a_history_is_unknown_and_never_stale() -> None:
    assert expected_cadence_ms({1: 4}) == UNKNOWN
    assert state(24 * 60 * MINUTE, UNKNOWN) == "unknown"


def test_stale_begins_five_minutes_beyond_its_own_cadence() -> None:
    assert state(5 * MINUTE + 3 * SECOND, 3_000) == "fresh"
    assert state(5 * MINUTE + 3 * SECOND + 1_000, 3_000) == "stale"
    assert state(5 * MINUTE + 3 * SECOND + 1_000, 60_000) == "fresh"


def test_silence_while_nobody_watched_is_not_held_against_a_series() -> None:
    assert state(600 * MINUTE, 3_000, watching_since=NOW - MINUTE) == "fresh"
    assert state(600 * MINUTE, 3_000, watching_since=NOW - 6 * MINUTE) == "stale"


def test_a_tape_that_ended_is_not_stale_but_a_series_that_stopped_while_others_went_on_is() -> None:
    known = {BTC: Known(0, NOW - 60 * MINUTE, 1_000), ETH: Known(0, NOW - 40 * MINUTE, 1_000)}

    def states(live: bool) -> list[str]:
        now = reference_time(known, NOW, live=live)
        return [judge(known, now, watching_since=0, stale_after_ms=TOLERATED_MS)[s].state for s in (BTC, ETH)]

    assert states(live=True) == ["stale", "stale"]
    assert states(live=False) == ["stale", "fresh"]


def test_event_time_of_years_ago_does_not_make_a_series_old() -> None:
    known = learn({}, {BTC: Heard(last_event=1, last_received=NOW, gaps={1: 100})})
    told = judge(known, NOW, watching_since=0, stale_after_ms=TOLERATED_MS)[BTC]
    assert (told.age_ms, told.state) == (0, "fresh")


def test_what_is_stale_is_found_what_is_fresh_is_cleared_and_what_is_unknown_is_left() -> None:
    unknown = Series("kraken", "NEW", "market.trades")
    known = {BTC: Known(0, NOW - 60 * MINUTE, 1_000), ETH: Known(0, NOW, 1_000), unknown: Known(0, 0)}
    found = findings(judge(known, NOW, watching_since=0, stale_after_ms=TOLERATED_MS), TOLERATED_MS)
    assert [one.subject for one in found.wrong] == ["stale/market.trades/kraken/XBT/USD"]
    assert found.cleared == {"stale/market.quotes/binance/ETHUSDT"}


def test_what_a_finding_says_does_not_change_while_it_stays_stale() -> None:
    known = {BTC: Known(0, NOW - 60 * MINUTE, 1_000)}
    later = learn(known, {BTC: Heard(0, NOW - 60 * MINUTE, {2: 100})})
    first, second = (
        findings(judge(k, now, watching_since=0, stale_after_ms=TOLERATED_MS), TOLERATED_MS)
        for k, now in ((known, NOW), (later, NOW + MINUTE))
    )
    assert first == second


def test_a_row_is_written_when_the_state_changes_and_every_ten_minutes() -> None:
    def at(now: int, how: str = "fresh") -> Freshness:
        return Freshness(BTC, Known(0, 0, 1), 0, how, now)

    assert worth_noting({}, [at(NOW)]) == [at(NOW)]
    assert worth_noting({BTC: at(NOW)}, [at(NOW + 9 * MINUTE)]) == []
    assert worth_noting({BTC: at(NOW)}, [at(NOW + MINUTE, "stale")]) == [at(NOW + MINUTE, "stale")]
    assert worth_noting({BTC: at(NOW)}, [at(NOW + 10 * MINUTE)]) == [at(NOW + 10 * MINUTE)]


silences = st.lists(st.integers(1, 100_000), min_size=5, max_size=200)


@given(gaps=silences)
def test_the_cadence_is_three_times_a_silence_that_95_of_100_do_not_exceed_and_no_smaller_one_is(
    gaps: list[int],
) -> None:
    cadence = expected_cadence_ms(Counter(gaps))
    beat = cadence // 3_000
    assert beat in gaps
    assert 100 * sum(gap <= beat for gap in gaps) >= 95 * len(gaps)
    assert 100 * sum(gap < beat for gap in gaps) < 95 * len(gaps)


times = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.dictionaries(st.integers(1, 9), st.integers(1, 9)))


@given(told=st.lists(times, min_size=1, max_size=6), data=st.data())
def test_what_was_heard_last_does_not_depend_on_the_order_of_reading(
    told: list[tuple[int, int, dict[int, int]]], data: st.DataObject
) -> None:
    def last(order: list[tuple[int, int, dict[int, int]]]) -> tuple[int, int]:
        known: dict[Series, Known] = {}
        for one in order:
            known = learn(known, {BTC: Heard(*one)})
        return known[BTC].last_event, known[BTC].last_received

    assert last(told) == last(data.draw(st.permutations(told))) == (max(t[0] for t in told), max(t[1] for t in told))
