"""Every line of Coinbase's recordings is explained; what is counted without the parser is what the parser finds.

Recordings are read here with the standard library's JSON alone.
"""

import io
import json
import re
from collections import Counter
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import zstandard

from sources.coinbase import VENUE
from sources.coinbase.parse import parse
from sources.coinbase.sequence import message_sequence
from sources.events import Accepted, Event, Ignored

FOLDER = "bmoscon+cryptofeed"


@lru_cache(maxsize=1)
def exchange_messages(recordings: Path) -> list[bytes]:
    lines = (recordings / FOLDER / "sample_data__COINBASE.ws.28.0.products_A").read_text().splitlines()
    return [found[1].encode() for line in lines if (found := re.fullmatch(r"[0-9.]+: (.*)", line))]


@lru_cache(maxsize=1)
def advanced_lines(recordings: Path) -> list[dict[str, Any]]:
    with (recordings / FOLDER / "sample_data__COINBASE.jsonl.zst").open("rb") as file:
        return [json.loads(line) for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file))]


def advanced_messages(recordings: Path) -> list[bytes]:
    return [line["data"].encode() for line in advanced_lines(recordings) if line["t"] == "recv"]


def label(event: Event) -> str:
    if isinstance(event, Accepted):
        kind = event.row.get("kind")
        return f"{event.dataset}/{kind}" if event.dataset == "market.books" else event.dataset
    return event.reason


def counted(endpoint: str, payloads: list[bytes]) -> Counter[str]:
    return Counter(label(event) for payload in payloads for event in parse(endpoint, payload))


def rows(endpoint: str, payloads: list[bytes], dataset: str) -> list[dict[str, Any]]:
    events = (event for payload in payloads for event in parse(endpoint, payload))
    return [event.row for event in events if isinstance(event, Accepted) and event.dataset == dataset]


def test_exchange_recording_holds_what_was_counted_without_the_parser(recordings: Path) -> None:
    payloads = exchange_messages(recordings)
    kinds = Counter(json.loads(payload)["type"] for payload in payloads)
    assert kinds == {
        "l2update": 6272,
        "ticker": 85,
        "match": 80,
        "snapshot": 5,
        "last_match": 5,
        "subscriptions": 3,
    }
    assert counted("exchange", payloads) == {
        "market.books/delta": kinds["l2update"],
        "market.books/snapshot": kinds["snapshot"],
        "market.quotes": kinds["ticker"],
        "market.trades": kinds["match"],
        "trade_before_subscription": kinds["last_match"],
        "subscription_reply": kinds["subscriptions"],
    }


def test_exchange_levels_are_all_there(recordings: Path) -> None:
    payloads = exchange_messages(recordings)
    told: Counter[str] = Counter()
    for message in map(json.loads, payloads):
        if message["type"] == "snapshot":
            told["bid"] += len(message["bids"])
            told["ask"] += len(message["asks"])
        for side, _, _ in message.get("changes", ()):
            told["bid" if side == "buy" else "ask"] += 1
    found = rows("exchange", payloads, "market.books")
    assert {side: sum(len(row[f"{side}_prices"]) for row in found) for side in ("bid", "ask")} == told
    assert told["bid"] > 3000


def test_exchange_trades_follow_on_the_one_before_the_subscription_without_a_hole(recordings: Path) -> None:
    last: dict[str, int] = {}
    for payload in exchange_messages(recordings):
        for event in parse("exchange", payload):
            if isinstance(event, Ignored) and event.seen is not None:
                last[event.seen.instrument] = event.seen.sequence
            elif isinstance(event, Accepted) and event.dataset == "market.trades":
                product = str(event.row["instrument"])
                assert event.row["venue_sequence"] == last[product] + 1
                assert event.row["id_space"] in VENUE.counted
                last[product] += 1
    assert len(last) == 5


def test_exchange_aggressor_is_the_taker_that_the_ticker_names(recordings: Path) -> None:
    payloads = exchange_messages(recordings)
    messages = [json.loads(payload) for payload in payloads]
    takers = {(m["product_id"], m["trade_id"]): m["side"] for m in messages if m["type"] == "ticker"}
    found = rows("exchange", payloads, "market.trades")
    sides = [(row["side"], takers.get((row["instrument"], row["venue_sequence"]))) for row in found]
    assert Counter(taker is None for _, taker in sides) == {False: 80}
    assert all(side == taker for side, taker in sides)


def test_exchange_quotes_have_ids_of_their_own(recordings: Path) -> None:
    found = rows("exchange", exchange_messages(recordings), "market.quotes")
    assert len({(row["instrument"], row["update_id"]) for row in found}) == len(found) == 85


@pytest.mark.parametrize("endpoint", ["exchange", "advanced"])
def test_every_recorded_answer_to_a_subscription_is_one_and_every_other_message_has_a_stream(
    recordings: Path, endpoint: str
) -> None:
    payloads = exchange_messages(recordings) if endpoint == "exchange" else advanced_messages(recordings)
    dialect = VENUE.dialects[endpoint]
    confirmed: set[str] = set()
    streams: set[str] = set()
    for payload in payloads:
        reply = dialect.reply(payload, {})
        stream = dialect.stream_of(payload)
        assert (reply is None) == (stream is not None)
        if reply is not None:
            assert not reply.error
            confirmed |= reply.streams
        if stream is not None:
            streams.add(stream)
    assert streams <= confirmed
    assert len(streams) == {"exchange": 15, "advanced": 9}[endpoint]


def test_advanced_recording_holds_what_was_counted_without_the_parser(recordings: Path) -> None:
    payloads = advanced_messages(recordings)
    messages: Counter[str] = Counter()
    entries: Counter[str] = Counter()
    for message in map(json.loads, payloads):
        channel = message["channel"]
        for event in message["events"]:
            messages[f"{channel}/{event['type']}" if channel == "l2_data" else channel] += 1
            for name in ("trades", "tickers", "candles"):
                entries[name] += len(event.get(name, ()))
    assert messages == {
        "l2_data/update": 773,
        "l2_data/snapshot": 2,
        "ticker": 160,
        "market_trades": 59,
        "heartbeats": 25,
        "candles": 6,
        "subscriptions": 5,
    }
    assert entries == {"trades": 279, "tickers": 160, "candles": 204}
    assert counted("advanced", payloads) == {
        "market.books/delta": messages["l2_data/update"],
        "market.books/snapshot": messages["l2_data/snapshot"],
        "market.trades": entries["trades"],
        "market.quotes": entries["tickers"],
        "market.venue_bars": entries["candles"],
        "heartbeat": messages["heartbeats"],
        "subscription_reply": messages["subscriptions"],
    }


def test_advanced_trade_ids_count_without_a_hole_and_none_is_told_twice(recordings: Path) -> None:
    found = rows("advanced", advanced_messages(recordings), "market.trades")
    for product, count in (("BTC-USD", 147), ("ETH-USD", 132)):
        ids = sorted(row["venue_sequence"] for row in found if row["instrument"] == product)
        assert ids == list(range(ids[0], ids[0] + count))


def test_advanced_messages_are_numbered_without_a_hole(recordings: Path) -> None:
    payloads = advanced_messages(recordings)
    assert [message_sequence(payload) for payload in payloads] == list(range(1030))
    assert {message_sequence(payload) for payload in exchange_messages(recordings)} == {None}
    assert VENUE.message_sequence is message_sequence


def test_advanced_aggressor_bought_what_was_asked_and_sold_what_was_bid(recordings: Path) -> None:
    """Hold every trade against the book of the moment before it: the documents do not say whose side is told."""
    sides: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    best: dict[str, list[tuple[int, Decimal, Decimal]]] = {}
    live: set[str] = set()
    for payload in advanced_messages(recordings):
        message = json.loads(payload)
        for event in message["events"]:
            if message["channel"] == "l2_data":
                book = sides.setdefault(event["product_id"], {"bid": {}, "offer": {}})
                for update in event["updates"]:
                    price, quantity = Decimal(update["price_level"]), Decimal(update["new_quantity"])
                    if quantity:
                        book[update["side"]][price] = quantity
                    else:
                        book[update["side"]].pop(price, None)
                moment = json.dumps(event["updates"][-1]["event_time"])
                best.setdefault(event["product_id"], []).append((_micros(moment), max(book["bid"]), min(book["offer"])))
            elif message["channel"] == "market_trades" and event["type"] == "update":
                live.update(trade["trade_id"] for trade in event["trades"])
    agreed: Counter[bool] = Counter()
    for row in rows("advanced", advanced_messages(recordings), "market.trades"):
        before = [quote for quote in best[row["instrument"]] if quote[0] < row["event_time"]]
        if row["trade_id"] not in live or not before:
            continue
        _, bid, ask = before[-1]
        if row["price"] >= ask or row["price"] <= bid:
            agreed[(row["side"] == "buy") == (row["price"] >= ask)] += 1
    assert agreed == {True: 77}


def _micros(moment: str) -> int:
    found = re.fullmatch(r'"2026-08-09T21:(\d\d):(\d\d)(?:\.(\d{1,6}))?Z"', moment)
    assert found is not None
    hour = 1786309200  # 2026-08-09 21:00:00 UTC
    return (hour + int(found[1]) * 60 + int(found[2])) * 1_000_000 + int((found[3] or "").ljust(6, "0"))


def test_recorded_products_of_both_sides_are_instruments(recordings: Path) -> None:
    line = (recordings / FOLDER / "sample_data__COINBASE.0").read_text().splitlines()[0]
    exchange = line[line.index("[") :].encode()
    (http,) = [line for line in advanced_lines(recordings) if line["t"] == "http"]
    advanced = http["data"].encode()
    for endpoint, payload, request, listed, name, online in (
        ("exchange", exchange, "/products", json.loads(exchange), "id", "online"),
        (
            "advanced",
            advanced,
            "/api/v3/brokerage/market/products",
            json.loads(advanced)["products"],
            "product_id",
            "online",
        ),
    ):
        assert http["url"].endswith(request) or endpoint == "exchange"
        found = []
        for event in parse(endpoint, payload, request):
            assert isinstance(event, Accepted), event
            found.append(event.row)
        assert [row["instrument"] for row in found] == [product[name] for product in listed]
        assert len(found) > 100
        for row, product in zip(found, listed, strict=True):
            assert row["price_step"] == Decimal(product["quote_increment"])
            assert row["quantity_step"] == Decimal(product["base_increment"])
            assert row["quantity_least"] == Decimal(product["base_min_size"])
            trading = product["status"] == online and not product["trading_disabled"] and not product["cancel_only"]
            assert row["state"] == ("trading" if trading else "halted")
            assert f"{row['base']}-{row['quote']}" == row["symbol"]


def test_recorded_snapshots_hold_each_price_once_and_never_cross(recordings: Path) -> None:
    for endpoint, payloads in (
        ("exchange", exchange_messages(recordings)),
        ("advanced", advanced_messages(recordings)),
    ):
        for row in rows(endpoint, payloads, "market.books"):
            if row["kind"] == "snapshot":
                assert max(row["bid_prices"]) < min(row["ask_prices"])
                assert len(set(row["bid_prices"])) == len(row["bid_prices"])
                assert len(set(row["ask_prices"])) == len(row["ask_prices"])
