"""The replay server speaks the venue's protocol from recorded payloads."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType

from sources.demo import TAPES
from sources.replay.binance import fit
from sources.tape_file import read_tape
from sources.venues import venue
from tests.sources.conftest import Replay, WriteTape

STREAM = "btcusdt@trade"
RAW = b'{"e":"trade","s":"BTCUSDT","t":1}'
TAPE = TAPES["binance"]
COMBINED = b'{"stream":"btcusdt@trade","data":' + RAW + b"}"

stream_of = venue("binance").dialects["spot"].stream_of


@asynccontextmanager
async def connected(replay: Replay, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse[bool]]:
    async with replay.session.ws_connect(
        f"http://127.0.0.1:{replay.port}/binance/{path}", max_msg_size=1 << 26, decode_text=False, autoping=False
    ) as socket:
        yield socket


async def payload(socket: aiohttp.ClientWebSocketResponse[bool]) -> bytes:
    """Return the next payload, pings passed over."""
    while True:
        message = await socket.receive(timeout=10)
        if message.type is WSMsgType.TEXT:
            data: bytes = message.data
            return data
        assert message.type is WSMsgType.PING, message


async def ask(socket: aiohttp.ClientWebSocketResponse[bool], **request: Any) -> dict[str, Any]:
    await socket.send_str(orjson.dumps(request).decode())
    found: dict[str, Any] = orjson.loads(await payload(socket))
    return found


def test_streams_are_named_as_the_venue_names_them() -> None:
    assert stream_of(COMBINED) == STREAM
    assert stream_of(RAW) == STREAM
    assert stream_of(b'{"e":"depthUpdate","s":"X"}') == "x@depth"
    assert stream_of(b'{"e":"kline","s":"X","k":{"i":"1m"}}') == "x@kline_1m"
    assert stream_of(b'{"data":{},"stream":"s"}') == "s"
    for nothing in (b"", b"[]", b'{"e":1}', b"\xff", b'{"stream":"cut'):
        assert stream_of(nothing) is None


def test_payload_in_the_form_asked_for_is_not_touched() -> None:
    spaced = b'{"stream":"btcusdt@trade","data": {"e":"trade" } }'
    assert fit(spaced, STREAM, combined=True) == spaced
    assert fit(RAW, STREAM, combined=False) == RAW
    assert fit(COMBINED, STREAM, combined=False) == RAW
    assert fit(RAW, STREAM, combined=True) == COMBINED


async def test_combined_address_delivers_the_recorded_bytes_in_order(replay: Replay) -> None:
    tape = [r for r in read_tape(TAPE) if not r.request]
    recorded = [r.payload for r in tape if r.endpoint == "spot" and stream_of(r.payload) == STREAM]
    async with connected(replay, f"spot/stream?streams={STREAM}") as socket:
        await replay.play(TAPE, partial=True)
        assert [await payload(socket) for _ in recorded] == recorded
    status = await replay.played()
    assert status["sent"] == len(recorded)
    assert status["unheard"] == len(tape) - len(recorded)
    assert status["played"] == status["records"] == status["sent"] + status["unheard"] + status["kept"]


async def test_raw_address_delivers_the_inner_object(replay: Replay, write_tape: WriteTape) -> None:
    async with connected(replay, f"spot/ws/{STREAM}") as socket:
        await replay.play(write_tape([COMBINED, RAW]))
        assert [await payload(socket), await payload(socket)] == [RAW, RAW]


async def test_subscriptions_are_made_listed_and_ended_by_message(replay: Replay) -> None:
    async with connected(replay, "spot/ws") as socket:
        assert await ask(socket, method="SUBSCRIBE", params=[STREAM, "a@trade"], id=1) == {"result": None, "id": 1}
        assert await ask(socket, method="UNSUBSCRIBE", params=["a@trade"], id=2) == {"result": None, "id": 2}
        assert await ask(socket, method="LIST_SUBSCRIPTIONS", id=3) == {"result": [STREAM], "id": 3}
        assert (await ask(socket, method="SING", id=4))["error"]["code"] == 2
        assert (await ask(socket, method="SUBSCRIBE", params="x", id=5))["error"]["code"] == 2
        await socket.send_str("{broken")
        assert orjson.loads(await payload(socket))["error"]["code"] == 3
        await replay.inject(RAW, stream="auto")
        assert await payload(socket) == RAW
        assert await replay.inject(b'{"e":"trade","s":"A"}', stream="auto") == 0


async def test_play_waits_for_subscribers_and_says_who_is_missing(replay: Replay, write_tape: WriteTape) -> None:
    tape = write_tape([COMBINED])
    url = f"http://127.0.0.1:{replay.port}/play"
    async with replay.session.post(url, json={"tapes": [str(tape)], "wait_s": 0.1}) as answer:
        assert answer.status == 409
        assert "binance/spot/btcusdt@trade" in await answer.text()
    waiting = asyncio.create_task(replay.play(tape))
    async with connected(replay, f"spot/stream?streams={STREAM}") as socket:
        await waiting
        assert await payload(socket) == COMBINED
    assert STREAM in (await replay.get("/streams"))["binance/spot"]


@pytest.mark.parametrize(
    ("path", "asked", "why"),
    [
        ("/play", {"tapes": ["/nowhere"]}, "/nowhere"),
        ("/play", {"speed": 0}, "speed is 0"),
        ("/play", {"speed": "fast"}, '"max"'),
        ("/faults", {"endpoint": "binance/spot", "kind": "explode"}, "valid: drop, duplicate"),
        ("/faults", {"endpoint": "binance/spot", "kind": "drop", "ms": 1}, "drop knows no ms"),
        ("/faults", {"endpoint": "binance/spot", "kind": "drop", "count": 0}, "count is 0"),
        ("/play", {"faults": [{"endpoint": "binance/spot", "kind": "explode"}]}, "valid: drop, duplicate"),
        ("/inject", {"endpoint": "mars/spot"}, "valid: binance/spot"),
        ("/inject", {"endpoint": "binance/spot", "payload_base64": "?"}, "payload_base64"),
    ],
)
async def test_wrong_requests_are_answered_with_what_is_valid(
    replay: Replay, path: str, asked: dict[str, Any], why: str
) -> None:
    async with replay.session.post(f"http://127.0.0.1:{replay.port}{path}", json=asked) as answer:
        assert answer.status == 400
        assert why in await answer.text()


async def test_recorded_speed_is_kept_and_multiplied(
    replay: Replay, write_tape: WriteTape, make_trade: Callable[..., bytes]
) -> None:
    tape = write_tape([make_trade(n) for n in range(501)])  # half a second on the tape
    async with connected(replay, f"spot/stream?streams={STREAM}"):
        seconds = []
        for speed in (1, 10, "max"):
            await replay.play(tape, speed=speed)
            seconds.append((await replay.played())["seconds"])
        # A busy machine makes any of them longer; none may be shorter than its speed allows.
        assert seconds[0] >= 0.49
        assert 0.045 <= seconds[1] < seconds[0]
        assert seconds[2] < seconds[0]


async def test_long_silence_on_the_tape_is_cut(
    replay: Replay, write_tape: WriteTape, make_trade: Callable[..., bytes]
) -> None:
    tape = write_tape([make_trade(n) for n in range(501)])
    async with connected(replay, f"spot/stream?streams={STREAM}"):
        await replay.play(tape, speed=0.01, longest_silence_s=0.000001)
        assert (await replay.played())["seconds"] < 25  # 50 if it were not cut


async def test_two_tapes_are_merged_by_time(
    replay: Replay, write_tape: WriteTape, make_trade: Callable[..., bytes]
) -> None:
    odd, even = ([make_trade(n) for n in range(start, -1, -2)] for start in (9, 8))
    async with connected(replay, f"spot/stream?streams={STREAM}") as socket:
        await replay.play(write_tape(even), write_tape(odd))
        ids = [orjson.loads(await payload(socket))["data"]["t"] for _ in range(10)]
        assert ids == [8, 9, 6, 7, 4, 5, 2, 3, 0, 1]


async def test_connection_stays_open_and_pings_after_the_tape_ends(replay: Replay, write_tape: WriteTape) -> None:
    async with connected(replay, f"spot/stream?streams={STREAM}") as socket:
        await replay.play(write_tape([COMBINED]))
        await payload(socket)
        await replay.played()
        message = await socket.receive(timeout=5)
        assert message.type is WSMsgType.PING
        assert abs(int(message.data) / 1000 - time.time()) < 5


async def test_looping_play_ends_only_when_stopped(replay: Replay, write_tape: WriteTape) -> None:
    async with connected(replay, f"spot/stream?streams={STREAM}") as socket:
        await replay.play(write_tape([COMBINED]), loop=True)
        for _ in range(50):
            await payload(socket)
        assert (await replay.post("/stop"))["state"] == "stopped"


async def test_any_bytes_can_be_injected_into_a_text_frame(replay: Replay) -> None:
    async with connected(replay, "spot/stream") as socket:
        for injected in (b"\xff\xfe", b"", b"{cut", b"x" * 5_000_000):
            assert await replay.inject(injected) == 1
            assert await payload(socket) == injected
