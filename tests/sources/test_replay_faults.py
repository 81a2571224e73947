"""Each fault of the replay server does what it says, where it says, as often as it says, and is counted."""

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.replay.faults import Fault, Faults, corrupted
from tests.sources.conftest import Replay, trade, until
from tests.sources.replaying import Talk, fetch, records, talking, write

ENDPOINT, STREAM, OTHER = "binance/spot", "btcusdt@trade", "ethusdt@trade"
TRADES = [trade(number) for number in range(20)]


def other(number: int) -> bytes:
    return trade(number).replace(b"btcusdt", b"ethusdt").replace(b"BTCUSDT", b"ETHUSDT")


def fault(kind: str, **more: Any) -> dict[str, Any]:
    return {"endpoint": ENDPOINT, "kind": kind, **more}


async def heard(talk: Talk, count: int) -> list[bytes]:
    return [await talk.payload() for _ in range(count)]


def ids(payloads: list[bytes]) -> list[int]:
    return [orjson.loads(payload)["data"]["t"] for payload in payloads]


async def silent(talk: Talk) -> None:
    """Claim that nothing more comes, pings apart."""
    with pytest.raises(TimeoutError):
        await talk.payload(patience_s=0.15)


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        ([fault("drop", after=3, count=2)], [0, 1, 2, 5, 6, 7, 8, 9]),
        ([fault("drop")], [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([fault("duplicate", after=8)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9]),
        ([fault("duplicate", after=1, count=2)], [0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([fault("reorder", after=2, count=3)], [0, 1, 4, 3, 2, 5, 6, 7, 8, 9]),
        # It ends with the play, with what it has.
        ([fault("reorder", after=7, count=9)], [0, 1, 2, 3, 4, 5, 6, 9, 8, 7]),
        ([fault("drop", after=1), fault("drop", after=5, count=2)], [0, 2, 3, 4, 7, 8, 9]),
        ([fault("drop", stream=OTHER, count=9)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ([fault("drop", after=2), fault("duplicate", after=3)], [0, 1, 3, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
async def test_payloads_are_dropped_doubled_and_reordered_at_their_place_in_each_run(
    replay: Replay, tmp_path: Path, asked: list[dict[str, Any]], order: list[int]
) -> None:
    tape = write(tmp_path / "a.tape.zst", records(ENDPOINT, TRADES[:10]))
    async with talking(replay, ENDPOINT, STREAM) as talk:
        for _ in range(2):
            await replay.play(tape, faults=asked)
            assert ids(await heard(talk, len(order))) == order
            await silent(talk)


async def test_a_fault_of_a_stream_counts_and_hits_that_stream_alone(replay: Replay, tmp_path: Path) -> None:
    mixed = [payload for number in range(6) for payload in (trade(number), other(number))]
    tape = write(tmp_path / "a.tape.zst", records(ENDPOINT, mixed))
    asked = [fault("drop", stream=OTHER, after=2, count=2), fault("reorder", stream=STREAM, after=1, count=2)]
    async with talking(replay, ENDPOINT, STREAM, OTHER) as talk:
        await replay.play(tape, faults=asked)
        found = await heard(talk, 10)
    named = [(orjson.loads(payload)["stream"], ids([payload])[0]) for payload in found]
    assert [number for stream, number in named if stream == OTHER] == [0, 1, 4, 5]
    assert [number for stream, number in named if stream == STREAM] == [0, 2, 1, 3, 4, 5]
    told = (await replay.get("/status"))["endpoints"][ENDPOINT]["faults"]
    assert [(entry["kind"], entry["happened"], entry["state"]) for entry in told] == [
        ("drop", 2, "done"),
        ("reorder", 2, "done"),
    ]


async def test_corrupted_payloads_are_no_json_any_more_and_the_rest_is_whole(replay: Replay, tmp_path: Path) -> None:
    tape = write(tmp_path / "a.tape.zst", records(ENDPOINT, TRADES))
    async with talking(replay, ENDPOINT, STREAM) as talk:
        await replay.play(tape, faults=[fault("corrupt", after=5, count=4)])
        found = await heard(talk, len(TRADES))
    assert found[:5] + found[9:] == TRADES[:5] + TRADES[9:]
    for payload in found[5:9]:
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(payload)
    assert [len(payload) for payload in found[5:9]] == [len(TRADES[5]), *(len(TRADES[6]) // 2,), *map(len, found[7:9])]


async def test_disconnect_cuts_after_so_many_payloads_or_at_once(replay: Replay, tmp_path: Path) -> None:
    tape = write(tmp_path / "a.tape.zst", records(ENDPOINT, TRADES))
    async with talking(replay, ENDPOINT, STREAM) as talk, talking(replay, ENDPOINT, OTHER) as spared:
        await replay.post("/faults", **fault("disconnect", after=3, stream=STREAM))
        await replay.play(tape, partial=True)
        assert ids(await heard(talk, 3)) == [0, 1, 2]
        with pytest.raises(ConnectionError):
            await talk.payload()
        await silent(spared)
        await replay.post("/faults", **fault("disconnect"))
        with pytest.raises(ConnectionError):
            await spared.payload()
    told = (await replay.get("/faults"))["faults"]
    assert [(entry["happened"], entry["state"]) for entry in told] == [(1, "done"), (1, "done")]


async def test_refused_are_as_many_connections_as_asked(replay: Replay) -> None:
    await replay.post("/faults", **fault("refuse", count=2))
    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with talking(replay, ENDPOINT):
                pass
    async with talking(replay, ENDPOINT, STREAM), talking(replay, "binance/usdm"):
        pass


async def test_stalled_clients_hear_nothing_then_all_and_hold_nobody_up(replay: Replay, tmp_path: Path) -> None:
    tape = write(tmp_path / "a.tape.zst", [*records(ENDPOINT, TRADES), *records("binance/usdm", TRADES)])
    async with talking(replay, ENDPOINT, STREAM) as talk, talking(replay, "binance/usdm", STREAM) as free:
        began = time.monotonic()
        await replay.play(tape, faults=[fault("stall", after=5, seconds=0.6)])
        assert ids(await heard(talk, 5)) == list(range(5))
        assert ids(await heard(free, 20)) == list(range(20))
        assert (await replay.played())["sent"] == 40
        assert time.monotonic() - began < 0.5
        # Pings are stalled too.
        with pytest.raises(TimeoutError):
            await talk.socket.receive(timeout=0.25)
        assert ids(await heard(talk, 15)) == list(range(5, 20))
        assert time.monotonic() - began >= 0.6


async def test_rest_is_limited_and_down_by_count_and_by_time(replay: Replay) -> None:
    target = "/api/v3/time"

    async def status() -> int:
        return (await fetch(replay, ENDPOINT, target))[0]

    await replay.post("/faults", **fault("rate_limit", count=2))
    await replay.post("/faults", **fault("rest_down", count=1))
    assert [await status() for _ in range(4)] == [429, 429, 503, 200]
    await replay.post("/faults", **fault("rate_limit", seconds=0.4))
    url = f"http://127.0.0.1:{replay.port}/{ENDPOINT}/rest{target}"
    async with replay.session.get(url) as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "1"
    assert (await fetch(replay, "binance/usdm", "/fapi/v1/time"))[0] == 200

    async def back() -> bool:
        return await status() == 200

    await until("the limit is over", back, 5)
    told = (await replay.get("/faults"))["faults"]
    assert [entry["state"] for entry in told] == ["done"] * 3
    endpoint = (await replay.get("/status"))["endpoints"][ENDPOINT]
    assert endpoint["rest_answers"]["429"] >= 3
    assert endpoint["rest_requests"] == sum(endpoint["rest_answers"].values())


async def test_faults_of_a_play_end_with_it_and_others_count_on(replay: Replay, tmp_path: Path) -> None:
    tape = write(tmp_path / "a.tape.zst", records(ENDPOINT, TRADES))
    whole = list(range(20))
    async with talking(replay, ENDPOINT, STREAM) as talk:
        await replay.play(tape, faults=[fault("drop", after=25)])
        assert ids(await heard(talk, 20)) == whole
        await replay.played()
        await replay.post("/faults", **fault("duplicate", after=25))
        for order in (whole, [*range(6), *range(5, 20)]):
            await replay.play(tape)
            assert ids(await heard(talk, len(order))) == order
            await replay.played()
    told = (await replay.get("/faults"))["faults"]
    assert [(entry["happened"], entry["state"]) for entry in told] == [(0, "done"), (1, "done")]


async def test_late_subscriber_of_a_stalled_endpoint_is_not_stalled(replay: Replay, tmp_path: Path) -> None:
    tape = write(tmp_path / "a.tape.zst", records(ENDPOINT, TRADES[:1]))
    async with talking(replay, ENDPOINT, STREAM):
        await replay.post("/faults", **fault("stall", seconds=30))
        async with talking(replay, ENDPOINT, STREAM) as later:
            await replay.play(tape)
            async with asyncio.timeout(5):
                assert ids([await later.payload()]) == [0]


@given(st.binary(), st.integers(1, 10))
def test_corrupted_is_never_what_it_was(payload: bytes, number: int) -> None:
    assert corrupted(payload, number) != payload or not payload


@given(
    st.lists(st.tuples(st.sampled_from(["drop", "duplicate", "corrupt"]), st.integers(0, 30), st.integers(1, 10))),
    st.integers(0, 40),
)
def test_every_fault_hits_its_own_places_whatever_the_others_do(asked: list[tuple[str, int, int]], length: int) -> None:
    faults = Faults()
    for kind, after, count in asked:
        faults.add(Fault(kind, ENDPOINT, after=after, count=count))
    plans = [faults.plan(ENDPOINT, STREAM) for _ in range(length)]
    for place, plan in enumerate(plans):
        hit = [kind for kind, after, count in asked if after <= place < after + count]
        assert (plan is not None and plan.dropped) == ("drop" in hit)
        assert (1 if plan is None else plan.times) == 2 ** hit.count("duplicate")
        assert (plan is not None and plan.corrupted is not None) == ("corrupt" in hit)
    told = faults.told(ENDPOINT)
    assert [entry["happened"] for entry in told] == [
        len(range(after, min(after + count, length))) for _, after, count in asked
    ]
