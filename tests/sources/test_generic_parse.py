"""What the poller writes down becomes the rows that it should, and nothing else makes the parser raise."""

import importlib
import subprocess
import sys
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.catalog import DATASETS
from contracts.errors import TerminalError
from sources import generic
from sources.events import IGNORED, REJECTIONS, Accepted, Event, Ignored, Rejected
from sources.generic.question import Question, asked, of_stream
from sources.venues import VENUES, venue

PARSE = generic.venue("okx").parse
TRADE: dict[str, Any] = {
    "id": "242720720", "timestamp": 1700000000123, "datetime": "2023-11-14T22:13:20.123Z", "symbol": "BTC/USDT",
    "type": None, "side": "sell", "takerOrMaker": None, "price": "37000.10", "amount": "0.00125", "cost": "46.250125",
    "fee": {"cost": None, "currency": None}, "info": {"tradeId": "242720720"},
}  # fmt: skip
MARKET: dict[str, Any] = {
    "id": "BTC-USDT-SWAP", "symbol": "BTC/USDT:USDT", "base": "BTC", "quote": "USDT", "type": "swap", "active": True,
    "precision": {"price": "0.1", "amount": "1"}, "limits": {"amount": {"min": "1"}}, "info": {},
}  # fmt: skip


def parse(kind: str, entries: list[Any], **about: Any) -> list[Event]:
    payload = orjson.dumps({"ccxt": "4.5.0", "repeated": 0, **about, "entries": entries})
    return PARSE("rest", payload, Question(kind, "BTC/USDT", 1700000000000).target)


def row(kind: str, entry: Any, **about: Any) -> dict[str, Any]:
    [event] = parse(kind, [entry], **about)
    assert isinstance(event, Accepted), event
    return event.row


def reason(kind: str, entry: Any, **about: Any) -> str:
    [event] = parse(kind, [entry], **about)
    assert isinstance(event, Rejected), event
    return event.reason


def test_a_trade_is_this_row() -> None:
    assert row("trades", TRADE) == {
        "venue": "okx", "instrument": "BTC/USDT", "id_space": "trade", "trade_id": "242720720",
        "venue_sequence": 242720720, "price": Decimal("37000.10"), "quantity": Decimal("0.00125"), "side": "sell",
        "trade_count": 1, "event_time": 1700000000123000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("trade_id", "sequence"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", 1700000000123000),
        ("0b1f7a3c-11ee", 1700000000123000),
        ("-5", 1700000000123000),
        ("٣٤", 1700000000123000),
        (77, 77),
    ],
)
def test_an_id_orders_trades_where_it_is_a_number(trade_id: object, sequence: int) -> None:
    found = row("trades", TRADE | {"id": trade_id})
    assert (found["trade_id"], found["venue_sequence"]) == (str(trade_id), sequence)


@pytest.mark.parametrize("missing", [None, ""])
def test_equal_trades_without_an_id_are_counted(missing: object) -> None:
    alike, other = TRADE | {"id": missing}, TRADE | {"id": missing, "price": "37000.2"}
    events = parse("trades", [alike, other, alike | {"price": "37000.1"}, alike])
    assert [event.row["trade_id"] for event in events if isinstance(event, Accepted)] == [
        "1700000000123000:37000.1:0.00125:sell:0", "1700000000123000:37000.2:0.00125:sell:0",
        "1700000000123000:37000.1:0.00125:sell:1", "1700000000123000:37000.1:0.00125:sell:2",
    ]  # fmt: skip
    assert row("trades", alike | {"occurrence": 5})["trade_id"].endswith(":5")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"side": None}, "missing_field"), ({"side": "both"}, "wrong_type"), ({"side": []}, "wrong_type"),
        ({"timestamp": None}, "missing_field"), ({"timestamp": "1700000000123"}, "wrong_type"),
        ({"timestamp": 10**18}, "time_out_of_range"), ({"price": None}, "missing_field"),
        ({"price": "NaN"}, "not_a_number"), ({"price": True}, "wrong_type"), ({"price": "1e-13"}, "price_digits"),
        ({"amount": "1" * 13}, "quantity_digits"), ({"symbol": ""}, "bad_symbol"), ({"symbol": 7}, "wrong_type"),
        ({"id": [1]}, "wrong_type"), ({"id": None, "occurrence": -1}, "wrong_type"),
    ],
)  # fmt: skip
def test_a_trade_that_cannot_be_accepted_says_why(changed: dict[str, Any], why: str) -> None:
    assert reason("trades", TRADE | changed) == why


def test_a_bad_entry_does_not_harm_its_neighbours() -> None:
    kinds = [type(event) for event in parse("trades", [TRADE, 7, TRADE | {"side": None}, TRADE])]
    assert kinds == [Accepted, Rejected, Rejected, Accepted]


def test_numbers_that_ccxt_computed_as_floats_are_read_as_written() -> None:
    found = row("trades", TRADE | {"price": 0.1, "amount": 1e-7})
    assert (found["price"], found["quantity"]) == (Decimal("0.1"), Decimal("0.0000001"))


def test_the_newest_bar_is_provisional_in_any_order() -> None:
    entries = [[1700000100000, "2", "2", "1", "1.5", "7"], [1700000040000, "1", "2", "1", "1.5", "0"]]
    found = [event.row for event in parse("bars_1m", entries) if isinstance(event, Accepted)]
    assert [(bar["bar_time"], bar["state"]) for bar in found] == [
        (1700000100000000, "provisional"), (1700000040000000, "final"),
    ]  # fmt: skip
    assert found[1]["update_id"] == "final:1:2:1:1.5:0"
    assert (found[0]["width_s"], found[0]["trade_count"], found[0]["id_space"]) == (60, -1, "bars_1m")
    assert reason("bars_1m", [1700000040000, "1", "2", None, "1.5", "0"]) == "missing_field"


@pytest.mark.parametrize(
    ("mode", "told", "step"),
    [(4, "0.1", "0.1"), (4, "5", "5"), (4, None, "0"), (2, "3", "0.001"), (2, 3, "0.001"), (2, "-1", "10"),
     (2, "0", "1"), (3, "5", "0")],
)  # fmt: skip
def test_steps_follow_from_the_way_precision_is_told(mode: int, told: object, step: str) -> None:
    entry = MARKET | {"precision": {"price": told, "amount": told}}
    found = row("instruments", entry, precision_mode=mode)
    assert found["price_step"] == found["quantity_step"] == Decimal(step)


@pytest.mark.parametrize(("mode", "told"), [(9, "1"), (None, "1"), (2, "13"), (2, "1.5"), (2, "x"), (4, [])])
def test_a_precision_that_means_nothing_is_rejected(mode: object, told: object) -> None:
    assert reason("instruments", MARKET | {"precision": {"price": told}}, precision_mode=mode) in REJECTIONS


def test_kinds_and_states_of_instruments() -> None:
    listed = [
        MARKET,
        MARKET | {"type": "spot", "active": None, "limits": None},
        MARKET | {"type": "future", "active": False},
        MARKET | {"type": "option"},
    ]
    *found, option = parse("instruments", listed, precision_mode=4)
    assert [(event.row["kind"], event.row["state"], event.row["quantity_least"]) for event in found
            if isinstance(event, Accepted)] == [
        ("perpetual", "trading", Decimal(1)), ("spot", "trading", Decimal(0)), ("future", "halted", Decimal(1)),
    ]  # fmt: skip
    assert option == Ignored("not_collected")


def test_an_answer_without_entries_is_no_trades() -> None:
    assert parse("trades", [], repeated=12) == [Ignored("no_trades")]


def test_what_ccxt_could_not_read_is_rejected_whatever_it_is() -> None:
    [event] = PARSE("rest", b"<html>", "unread/trades?symbol=BTC/USDT")
    assert isinstance(event, Rejected)
    assert event.dataset == "tape"


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=20,
)
values = st.one_of(anything, st.sampled_from(["1", "-1", "0", "1e5", "", "buy", "spot", "\u0661", "1" * 80, 2, 3, 4]))
requests = st.one_of(
    st.text(max_size=60),
    st.builds(
        lambda kind, query: f"{kind}?{query}",
        st.sampled_from(["trades", "bars_1m", "instruments", "unread/trades"]),
        st.text(max_size=40) | st.just("symbol=BTC/USDT"),
    ),
)


def changed_in_one_place(draw: st.DrawFn, message: dict[str, Any]) -> dict[str, Any]:
    return message | {draw(st.sampled_from(sorted(message)) | st.text(max_size=5)): draw(values)}


@st.composite
def nearly_right(draw: st.DrawFn) -> bytes:
    bar: list[Any] = [1700000040000, "1", "2", "1", "1.5", "0"]
    good: Any = draw(st.sampled_from([TRADE, MARKET, bar]))
    entries: list[Any] = []
    for _ in range(draw(st.integers(0, 4))):
        if isinstance(good, dict):
            entries.append(changed_in_one_place(draw, good))
        else:
            place, value = draw(st.integers(0, 5)), draw(values)
            entries.append([*good[:place], value, *good[place + 1 :]])
    answer = {"entries": entries, "precision_mode": draw(values)}
    return orjson.dumps(changed_in_one_place(draw, answer) if draw(st.booleans()) else answer)


@given(st.one_of(st.binary(max_size=200), anything.map(orjson.dumps), nearly_right()), requests)
@settings(max_examples=800)
def test_any_payload_and_request_give_events_that_fit_their_contracts(payload: bytes, request: str) -> None:
    events = PARSE("rest", payload, request)
    assert events
    assert events == PARSE("rest", payload, request)
    contracts = {dataset.name: {column.name for column in dataset.columns} for dataset in DATASETS}
    for event in events:
        if isinstance(event, Accepted):
            assert event.row.keys() <= contracts[event.dataset]
            assert None not in event.row.values()
            assert all(len(value) <= 256 for value in event.row.values() if isinstance(value, str))
        else:
            assert event.reason in (REJECTIONS if isinstance(event, Rejected) else IGNORED)


symbols = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=40)


@given(symbols, st.integers(0, 10**13) | st.none(), st.integers(1, 1000) | st.none())
def test_what_was_asked_for_is_read_back(symbol: str, since: int | None, limit: int | None) -> None:
    assert asked(Question("trades", symbol, since, limit).target) == ("trades", symbol)


@pytest.mark.parametrize("stream", ["", "trades", "trades:", "books:BTC/USDT", "instruments:BTC/USDT", "btcusdt@trade"])
def test_a_stream_that_cannot_be_polled_is_named(stream: str) -> None:
    with pytest.raises(TerminalError, match="valid: trades:<symbol>"):
        of_stream(stream)


def test_any_name_of_ccxts_is_a_venue_and_no_other() -> None:
    ccxt: Any = importlib.import_module("ccxt")
    assert {name for name in ccxt.exchanges if generic.known(name)} == set(ccxt.exchanges)
    for name in ("nasdaq", "base", "__init__", "", "../kraken", "KRAKEN", "kraken.py"):
        with pytest.raises(TerminalError, match=r"binance, coinbase, kraken.*ccxt"):
            venue(name)
    assert venue("okx") is venue("okx")
    assert venue("okx").open is not None
    assert venue("kraken") is VENUES["kraken"]


def test_reading_a_generic_venues_tape_needs_neither_ccxt_nor_a_network() -> None:
    code = (
        "import sys; from sources.venues import venue; "
        "assert venue('okx').parse('rest', b'{\"entries\":[]}', 'trades?symbol=A/B'); "
        "assert not {'ccxt', 'aiohttp', 'purgatory'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
