"""The oracle against the same thing said in plain Python, and what it says of wrong answers."""

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.avro_columns import encode_trades
from benchmarks.events import MINUTE, Events, Shape, make_events
from benchmarks.oracle import Bar, as_bar, right_answer
from benchmarks.peers.folding import body, fold, plain_schema, written
from benchmarks.peers.w1_hand import partials


def plain(events: Events, once: bool) -> dict[tuple[str, int], Bar]:
    """Make bars one trade after another, with Python's own whole numbers."""
    trades: dict[tuple[str, int], list[tuple[int, int, int, int]]] = {}
    seen = set()
    for row in events.frame().filter(~events.closing).iter_rows(named=True):
        name = events.names[row["instrument"]]
        if once and (name, row["sequence"]) in seen:
            continue
        seen.add((name, row["sequence"]))
        key = (name, row["event_time"] - row["event_time"] % MINUTE)
        trades.setdefault(key, []).append((row["event_time"], row["sequence"], row["price"], row["quantity"]))
    return {
        key: Bar(
            open=min(rows)[2],
            high=max(row[2] for row in rows),
            low=min(row[2] for row in rows),
            close=max(rows)[2],
            volume=sum(row[3] for row in rows),
            notional=sum(row[2] * row[3] for row in rows),
            trade_count=len(rows),
        )
        for key, rows in trades.items()
    }


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), count=st.integers(200, 2000), instruments=st.integers(1, 9))
def test_bars_are_those_of_a_plain_loop(seed: int, count: int, instruments: int) -> None:
    events = make_events(Shape(count=count, instruments=instruments, seed=seed, rate=10.0))
    oracle = right_answer(events)
    assert oracle.exact == plain(events, once=True)
    assert oracle.repeated == plain(events, once=False)


def test_sums_that_outgrow_64_bits_stay_exact() -> None:
    events = make_events(Shape(count=500, instruments=1))
    events.price[:] = 10**11
    events.quantity[:] = 10**12
    found = right_answer(events).exact.values()
    assert sum(bar.notional for bar in found) == 10**23 * sum(bar.trade_count for bar in found) > 2**64


@pytest.fixture(scope="module")
def events() -> Events:
    return make_events(Shape(count=5000, instruments=5))


def test_right_bars_are_exact(events: Events) -> None:
    oracle = right_answer(events)
    assert oracle.verdict(dict(oracle.exact)).correct


def test_repeats_that_count_twice_are_named(events: Events) -> None:
    oracle = right_answer(events)
    verdict = oracle.verdict(dict(oracle.repeated))
    assert not verdict.correct
    assert "repeats counted twice" in verdict.note


def test_a_wrong_a_lacking_and_an_additional_bar_are_counted(events: Events) -> None:
    oracle = right_answer(events)
    found = dict(oracle.exact)
    first, second, *_ = sorted(found)
    found[first] = found[first]._replace(close=found[first].close + 1)
    del found[second]
    found["X/USD", 0] = oracle.exact[first]
    verdict = oracle.verdict(found)
    assert not verdict.correct
    assert verdict.note.startswith(f"2 of {len(oracle.exact)} bars differ")
    assert verdict.note.endswith("1 lack, 1 too many")


def test_a_number_with_too_many_digits_is_an_error(events: Events) -> None:
    bar = dict.fromkeys(Bar._fields, "1")
    assert as_bar(bar).open == 1_000_000
    with pytest.raises(ValueError, match=r"high is 1\.0000001"):
        as_bar(bar | {"high": "1.0000001"})


def test_what_python_systems_and_the_loop_by_hand_fold_is_what_the_oracle_repeats(events: Events) -> None:
    import fastavro

    values = [value for some in encode_trades(events, 1) for value in some]
    schema = fastavro.parse_schema(plain_schema())
    trades = [fastavro.schemaless_reader(body(value), schema, None) for value in values]
    folded = {key: written(*key, bar) for key, bar in fold(trades).items()}  # type: ignore[arg-type]
    by_hand = {(name, minute): written(name, minute, bar) for name, minute, bar in partials(values)}
    oracle = right_answer(events)
    for made in (folded, by_hand):
        bars = {key: as_bar(json.loads(value, parse_float=Decimal)) for key, value in made.items()}
        assert {key: bar for key, bar in bars.items() if not key[0].startswith("END")} == oracle.repeated


def test_closing_trades_count_nowhere(events: Events) -> None:
    counted = sum(bar.trade_count for bar in right_answer(events).repeated.values())
    assert counted == len(events) - np.count_nonzero(events.closing)
