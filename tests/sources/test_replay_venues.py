"""The replay server speaks every venue's protocol; books begin with a snapshot that what follows fits on."""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.coinbase.sequence import message_sequence
from sources.demo import TAPES
from sources.replay.book import Book
from sources.replay.protocol import Level, Update
from sources.tape_file import TapeRecord, read_tape
from sources.venues import venue
from tests.sources.conftest import Replay
from tests.sources.replaying import PlainBook, records, talking, write

BOOK = "book-1000:SC/EUR"


def taped(endpoint: str) -> list[TapeRecord]:
    """Return what the demo tape holds of an endpoint's feed."""
    name, _, known = endpoint.partition("/")
    return [record for record in read_tape(TAPES[name]) if record.endpoint == known and not record.request]


def streams_of(endpoint: str, tape: Iterable[TapeRecord]) -> list[str | None]:
    name, _, known = endpoint.partition("/")
    stream_of = venue(name).dialects[known].stream_of
    return [stream_of(record.payload) for record in tape]


def read_v1(payload: bytes, book: PlainBook) -> int | None:
    """Apply a book message of Kraken's v1; return the checksum that came with it."""
    parts: dict[str, Any] = {}
    for part in orjson.loads(payload)[1:-2]:
        parts |= part
    if "as" in parts:
        book.replace(parts["bs"], parts["as"])
        return None
    book.change(parts.get("b", ()), parts.get("a", ()))
    return int(parts["c"]) if "c" in parts else None


def read_exchange(payload: bytes, book: PlainBook) -> None:
    message = orjson.loads(payload)
    if message["type"] == "snapshot":
        book.replace(message["bids"], message["asks"])
        return
    for side, price, size in message["changes"]:
        book.change([(price, size)] if side == "buy" else (), [(price, size)] if side == "sell" else ())


def read_advanced(payload: bytes, book: PlainBook) -> None:
    for event in orjson.loads(payload)["events"]:
        sides: dict[str, list[tuple[str, str]]] = {"bid": [], "offer": []}
        for told in event["updates"]:
            sides[told["side"]].append((told["price_level"], told["new_quantity"]))
        (book.replace if event["type"] == "snapshot" else book.change)(sides["bid"], sides["offer"])


def numberless(payload: bytes) -> bytes:
    """Return a payload of Advanced Trade without the number that each connection has of its own."""
    head, mark, tail = payload.partition(b'"sequence_num":')
    return head + mark + tail.lstrip(b"0123456789")


@pytest.mark.parametrize("endpoint", ["coinbase/exchange", "coinbase/advanced", "kraken/v1", "binance/usdm"])
async def test_every_stream_of_the_tape_arrives_byte_for_byte_and_in_order(
    replay: Replay, tmp_path: Path, endpoint: str
) -> None:
    tape = taped(endpoint)[:4000]
    named = streams_of(endpoint, tape)
    streams = sorted({stream for stream in named if stream is not None})
    recorded = [record.payload for record, stream in zip(tape, named, strict=True) if stream is not None]
    async with talking(replay, endpoint, *streams) as talk:
        await replay.play(write(tmp_path / "a.tape.zst", tape))
        plain: Callable[[bytes], bytes] = numberless if endpoint == "coinbase/advanced" else bytes
        # Heartbeats are sent into silence too, before the play.
        heard: list[bytes] = []
        wanted = [plain(payload) for payload in recorded if b'"heartbeat' not in payload[:40]]
        while len(heard) < len(wanted):
            payload = await talk.next()
            if b'"heartbeat' not in payload[:40]:
                heard.append(plain(payload))
        assert heard == wanted
    status = await replay.played()
    assert status["played"] == status["records"] == len(tape)
    assert status["unheard"] == 0
    assert status["kept"] == len(tape) - status["sent"]


async def test_messages_of_advanced_trade_are_numbered_for_each_connection_without_holes(replay: Replay) -> None:
    streams = ("market_trades:BTC-USD", "ticker:ETH-USD")
    async with talking(replay, "coinbase/advanced", *streams) as talk:
        await replay.play(TAPES["coinbase"], partial=True)
        for _ in range(100):
            await talk.next(*streams)
        assert [message_sequence(payload) for payload in talk.heard] == list(range(len(talk.heard)))


async def test_a_dropped_message_of_advanced_trade_leaves_a_hole_in_the_numbers(replay: Replay) -> None:
    streams = ("market_trades:BTC-USD", "ticker:ETH-USD")
    async with talking(replay, "coinbase/advanced", *streams) as talk:
        fault = {"endpoint": "coinbase/advanced", "kind": "drop", "stream": streams[0], "after": 3, "count": 2}
        await replay.play(TAPES["coinbase"], partial=True, faults=[fault])
        for _ in range(100):
            await talk.next(*streams)
        numbers = [message_sequence(payload) or 0 for payload in talk.heard]
        assert sum(after - before - 1 for before, after in itertools.pairwise(numbers)) == 2


async def test_kraken_checksums_match_after_a_resubscription_between_two_plays(replay: Replay, tmp_path: Path) -> None:
    tape = taped("kraken/v1")
    half = len(tape) // 2
    await replay.play(write(tmp_path / "1.tape.zst", tape[:half]), partial=True)
    await replay.played()
    async with talking(replay, "kraken/v1", BOOK) as talk:
        book, matched = PlainBook(1000), 0
        assert read_v1(await talk.next(BOOK), book) is None
        assert len(book.asks) > 100
        await replay.play(write(tmp_path / "2.tape.zst", tape[half:]), partial=True)
        for _ in range(streams_of("kraken/v1", tape[half:]).count(BOOK)):
            checksum = read_v1(await talk.next(BOOK), book)
            assert checksum == book.checksum()
            matched += 1
        assert matched > 100


async def test_kraken_checksums_match_through_resubscriptions_while_it_plays(replay: Replay) -> None:
    named = streams_of("kraken/v1", taped("kraken/v1"))
    books = sorted({stream for stream in named if stream is not None and stream.startswith("book-")})
    async with talking(replay, "kraken/v1", *books) as talk:
        await replay.play(TAPES["kraken"], speed=12, partial=True)
        made = {stream: PlainBook(1000) for stream in books}
        matched = snapshots = 0

        async def resubscribe() -> None:
            for _ in range(8):
                await asyncio.sleep(0.2)
                for verb in ("unsubscribe", "subscribe"):
                    for message in getattr(talk.dialect, verb)(tuple(books), 1):
                        await talk.socket.send_str(message)

        again = asyncio.create_task(resubscribe())
        while True:
            try:
                payload = await talk.payload(patience_s=1)
            except TimeoutError:
                # Only now everything is read that was sent: a slow reader is behind when the play ends.
                if again.done() and (await replay.get("/status"))["state"] != "playing":
                    break
                continue
            stream = talk.dialect.stream_of(payload)
            if stream in made:
                checksum = read_v1(payload, made[stream])
                snapshots += checksum is None
                if checksum is not None:
                    assert checksum == made[stream].checksum(), payload
                    matched += 1
        await again
        assert snapshots >= 50
        assert matched > 1500


def as_v2(record: TapeRecord) -> bytes | None:
    """Write a book message of v1 as v2 would: the same digits, as numbers."""
    message = orjson.loads(record.payload)
    parts: dict[str, Any] = {}
    for part in message[1:-2]:
        parts |= part

    def levels(name: str) -> str:
        found = parts.get(f"{name}s", parts.get(name, ()))
        return ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity, *_ in found)

    kind = "snapshot" if "as" in parts else "update"
    checksum = f',"checksum":{parts["c"]}' if "c" in parts else ""
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{message[-1]}","bids":[{levels("b")}],'
        f'"asks":[{levels("a")}]{checksum},"timestamp":"2023-10-06T17:35:55.440295Z"}}]}}'
    ).encode()


async def test_kraken_v2_snapshot_keeps_digits_and_its_checksum(replay: Replay, tmp_path: Path) -> None:
    tape, stream = taped("kraken/v1"), BOOK
    named = streams_of("kraken/v1", tape)
    messages = [as_v2(record) for record, name in zip(tape, named, strict=True) if name == stream]
    payloads = [payload for payload in messages if payload is not None]
    half = len(payloads) // 2
    await replay.play(write(tmp_path / "1.tape.zst", records("kraken/v2", payloads[:half])), partial=True)
    await replay.played()
    async with talking(replay, "kraken/v2", stream) as talk:
        book = PlainBook(1000)
        await replay.play(write(tmp_path / "2.tape.zst", records("kraken/v2", payloads[half:])))
        for number in range(len(payloads) - half + 1):
            payload = await talk.next(stream)
            message = _texts(payload)
            told = message["data"][0]
            sides = [[(level["price"], level["qty"]) for level in told[name]] for name in ("bids", "asks")]
            (book.change if number else book.replace)(*sides)
            assert message["type"] == ("update" if number else "snapshot")
            assert int(told["checksum"]) == book.checksum(), number


def _texts(payload: bytes) -> Any:
    return json.loads(payload, parse_float=str, parse_int=str)


@pytest.mark.parametrize(
    ("endpoint", "stream", "read"),
    [
        ("coinbase/exchange", "level2:SKL-USD", read_exchange),
        ("coinbase/advanced", "level2:ETH-USD", read_advanced),
    ],
)
async def test_coinbase_book_resubscribed_is_the_book_heard_from_the_start(
    replay: Replay, tmp_path: Path, endpoint: str, stream: str, read: Callable[[bytes, PlainBook], None]
) -> None:
    tape = taped(endpoint)
    ours = [record for record, name in zip(tape, streams_of(endpoint, tape), strict=True) if name == stream]
    half = len(ours) // 2
    whole, resumed = PlainBook(), PlainBook()
    for record in ours[:half]:
        read(record.payload, whole)
    await replay.play(write(tmp_path / "1.tape.zst", ours[:half]), partial=True)
    await replay.played()
    async with talking(replay, endpoint, stream) as talk:
        read(await talk.next(stream), resumed)
        assert resumed == whole
        assert len(whole.bids) > 100
        await replay.play(write(tmp_path / "2.tape.zst", ours[half:]))
        for record in ours[half:]:
            read(record.payload, whole)
            read(await talk.next(stream), resumed)
        assert resumed == whole
        # Asked for again on the same connection, it is told again.
        await talk.ask(stream, verb="unsubscribe")
        await talk.ask(stream)
        again = PlainBook()
        read(await talk.next(stream), again)
        assert again == whole


async def test_book_that_nobody_has_told_begins_with_the_recorded_snapshot(replay: Replay, tmp_path: Path) -> None:
    tape = taped("kraken/v1")
    first = next(r for r, name in zip(tape, streams_of("kraken/v1", tape), strict=True) if name == BOOK)
    async with talking(replay, "kraken/v1", BOOK) as talk:
        await replay.play(write(tmp_path / "a.tape.zst", [first]))
        assert await talk.next(BOOK) == first.payload


async def test_exchange_answers_subscriptions_and_errors_as_the_venue_does(replay: Replay) -> None:
    async with talking(replay, "coinbase/exchange") as talk:
        channels = ["ticker", {"name": "level2_batch", "product_ids": ["ETH-USD"]}]
        told = await talk.tell(type="subscribe", product_ids=["BTC-USD"], channels=channels)
        assert told["type"] == "subscriptions"
        assert {entry["name"]: entry["product_ids"] for entry in told["channels"]} == {
            "ticker": ["BTC-USD"],
            "level2_batch": ["BTC-USD", "ETH-USD"],
        }
        told = await talk.tell(type="unsubscribe", channels=["ticker"])
        assert [entry["name"] for entry in told["channels"]] == ["level2_batch"]
        told = await talk.tell(type="subscribe", product_ids=["BTC-USD"], channels=["sing"])
        assert told == {"type": "error", "message": "Failed to subscribe", "reason": "sing is not a valid channel"}
        told = await talk.tell(type="subscribe", product_ids=["btc"], channels=["ticker"])
        assert told["reason"] == "btc is not a valid product"
        await talk.socket.send_str("{broken")
        assert orjson.loads(await talk.payload())["message"] == "Malformed JSON"
        status = await replay.get("/status")
        assert status["connections"][0]["streams"] == ["level2:BTC-USD", "level2:ETH-USD"]


async def test_exchange_tells_the_last_match_again_and_of_it_in_heartbeats(replay: Replay, tmp_path: Path) -> None:
    tape = taped("coinbase/exchange")
    matches = [r for r in tape if b'"type":"match"' in r.payload and b"SKL-USD" in r.payload]
    await replay.play(write(tmp_path / "a.tape.zst", matches), partial=True)
    await replay.played()
    async with talking(replay, "coinbase/exchange", "matches:SKL-USD", "heartbeat:SKL-USD") as talk:
        last = orjson.loads(matches[-1].payload)
        assert orjson.loads(await talk.next("matches:SKL-USD")) == last | {"type": "last_match"}
        beat = orjson.loads(await talk.next("heartbeat:SKL-USD"))
        assert beat["last_trade_id"] == last["trade_id"]


async def test_advanced_trade_answers_subscriptions_and_sends_heartbeats(replay: Replay) -> None:
    async with talking(replay, "coinbase/advanced") as talk:
        told = await talk.tell(type="subscribe", product_ids=["BTC-USD"], channel="ticker")
        assert told["channel"] == "subscriptions"
        told = await talk.tell(type="subscribe", channel="heartbeats")
        assert told["events"] == [{"subscriptions": {"ticker": ["BTC-USD"], "heartbeats": ["heartbeats"]}}]
        beats = [orjson.loads(await talk.next("heartbeats")) for _ in range(2)]
        assert [beat["events"][0]["heartbeat_counter"] for beat in beats] == [1, 2]
        told = await talk.tell(type="subscribe", product_ids=["BTC-USD"], channel="sing")
        assert told["type"] == "error"
        told = await talk.tell(type="unsubscribe", product_ids=["BTC-USD"], channel="ticker")
        assert told["events"] == [{"subscriptions": {"heartbeats": ["heartbeats"]}}]


async def test_kraken_v1_answers_each_pair_and_sends_heartbeats_into_silence(replay: Replay) -> None:
    async with talking(replay, "kraken/v1") as talk:
        assert orjson.loads(await talk.payload())["event"] == "systemStatus"
        wanted = {"name": "book", "depth": 10}
        told = await talk.tell(event="subscribe", reqid=7, pair=["XBT/USD", "nothing"], subscription=wanted)
        assert told.pop("channelID") >= 0
        assert told == {
            "channelName": "book-10",
            "event": "subscriptionStatus",
            "pair": "XBT/USD",
            "reqid": 7,
            "status": "subscribed",
            "subscription": wanted,
        }
        told = orjson.loads(await talk.payload())
        assert (told["status"], told["errorMessage"]) == ("error", "Currency pair not supported nothing")
        for option, why in (({"name": "book", "depth": 3}, "depth not supported"), ({"name": "x"}, "name invalid")):
            told = await talk.tell(event="subscribe", pair=["XBT/USD"], subscription=option)
            assert why in told["errorMessage"]
        assert await talk.tell(event="ping", reqid=8) == {"event": "pong", "reqid": 8}
        assert await talk.payload(patience_s=3) == b'{"event":"heartbeat"}'
        told = await talk.tell(event="unsubscribe", pair=["XBT/USD"], subscription=wanted)
        assert told["status"] == "unsubscribed"
        told = await talk.tell(event="unsubscribe", pair=["XBT/USD"], subscription=wanted)
        assert told["errorMessage"] == "Subscription Not Found"
        assert (await talk.tell(event="sing"))["event"] == "error"


async def test_kraken_v2_answers_each_symbol_and_sends_heartbeats_into_silence(replay: Replay) -> None:
    async with talking(replay, "kraken/v2") as talk:
        told = orjson.loads(await talk.payload())
        assert (told["channel"], told["data"][0]["system"]) == ("status", "online")
        params = {"channel": "book", "symbol": ["BTC/USD", "nothing"], "depth": 1000}
        told = await talk.tell(method="subscribe", params=params, req_id=5)
        assert told["success"] is True
        assert told["req_id"] == 5
        assert told["result"] == {"channel": "book", "depth": 1000, "snapshot": True, "symbol": "BTC/USD"}
        told = orjson.loads(await talk.payload())
        assert (told["success"], told["error"]) == (False, "Currency pair not supported nothing")
        told = await talk.tell(method="subscribe", params=params | {"symbol": ["BTC/USD"]})
        assert told["error"] == "Already subscribed"
        assert (await talk.tell(method="ping", req_id=6))["method"] == "pong"
        assert await talk.payload(patience_s=3) == b'{"channel":"heartbeat"}'
        told = await talk.tell(method="unsubscribe", params=params | {"symbol": ["BTC/USD"]}, req_id=7)
        assert told["success"] is True
        assert (await talk.tell(method="sing"))["success"] is False


async def test_tapes_of_different_years_play_at_once_when_aligned(replay: Replay, tmp_path: Path) -> None:
    trades = [b'{"stream":"btcusdt@trade","data":{"e":"trade","t":%d}}' % n for n in range(6)]
    old = write(tmp_path / "old.tape.zst", records("binance/spot", trades[:3], start=1_500_000_000_000_000))
    new = write(tmp_path / "new.tape.zst", records("binance/spot", trades[3:], start=1_700_000_000_000_000))
    for align, order in ((True, [0, 3, 1, 4, 2, 5]), (False, [0, 1, 2, 3, 4, 5])):
        async with talking(replay, "binance/spot", "btcusdt@trade") as talk:
            await replay.play(old, new, speed=1, align=align, longest_silence_s=0.1)
            heard = [orjson.loads(await talk.next("btcusdt@trade"))["data"]["t"] for _ in trades]
            assert heard == order


PRICES = st.sampled_from([f"{price}.{digit}0" for price in range(8) for digit in (1, 5)])
LEVELS = st.lists(st.tuples(PRICES, st.sampled_from(["0.000", "1.500", "2"])), max_size=6)


@given(st.sampled_from([0, 3]), st.lists(st.tuples(st.booleans(), LEVELS, LEVELS), max_size=12))
def test_book_holds_what_the_simplest_rules_make_of_any_updates(depth: int, updates: list[Any]) -> None:
    book, plain = Book(depth), PlainBook(depth)
    book.apply(Update(True, [], []))
    for snapshot, bids, asks in updates:
        book.apply(Update(snapshot, [Level(*level) for level in bids], [Level(*level) for level in asks]))
        (plain.replace if snapshot else plain.change)(bids, asks)
        assert [(level.price, level.quantity) for level in book.asks()] == [plain.asks[p] for p in sorted(plain.asks)]
        best_first = sorted(plain.bids, reverse=True)
        assert [(level.price, level.quantity) for level in book.bids()] == [plain.bids[p] for p in best_first]
        assert book.bids(2) == book.bids()[:2]
