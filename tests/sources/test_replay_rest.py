"""The replay server's REST side tells what was played so far, as the venue would: no more, no less, no other."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from contracts.errors import TerminalError
from sources.demo import TAPES
from sources.endpoints import Missing
from sources.replay import memory as replay_memory
from sources.replay.memory import Memory
from sources.replay.stage import ENDPOINTS, asked_by, stages, stream_of
from sources.tape_file import TapeRecord, read_tape
from sources.venues import venue
from tests.sources.conftest import Replay
from tests.sources.replaying import PlainBook, fetch, records, talking, trade_rows, write


def taped(endpoint: str, stream: str) -> list[TapeRecord]:
    """Return what the demo tape holds of a stream."""
    name, _, known = endpoint.partition("/")
    of = venue(name).dialects[known].stream_of
    return [r for r in read_tape(TAPES[name]) if r.endpoint == known and not r.request and of(r.payload) == stream]


V2_TRADES = [
    b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":%d.10,"qty":0.00100000,'
    b'"ord_type":"limit","trade_id":%d,"timestamp":"2023-09-25T07:49:37.%06dZ"}]}' % (30_000 + n, 500 + n, n * 11)
    for n in range(60)
]
AGGREGATES = [
    b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1700000000001,"s":"BTCUSDT","a":%d,"p":"100.50",'
    b'"q":"0.10","f":%d,"l":%d,"T":%d,"m":false}}' % (n, 3 * n, 3 * n + 2, 1_700_000_000_000 + n)
    for n in range(60)
]

TRADES: dict[str, tuple[str, str, list[TapeRecord]]] = {
    "binance spot": ("binance/spot", "btcusdt@trade", []),
    "binance usdm": ("binance/usdm", "sushiusdt@aggTrade", []),
    "binance usdm_market": ("binance/usdm_market", "btcusdt@aggTrade", records("binance/usdm_market", AGGREGATES)),
    "coinbase exchange": ("coinbase/exchange", "matches:SKL-USD", []),
    "coinbase advanced": ("coinbase/advanced", "market_trades:BTC-USD", []),
    "kraken v1": ("kraken/v1", "trade:SC/EUR", []),
    "kraken v2": ("kraken/v2", "trade:BTC/USD", records("kraken/v2", V2_TRADES)),
}


@pytest.mark.parametrize("name", TRADES)
async def test_a_dropped_trade_is_told_by_rest_and_is_the_same_trade(replay: Replay, tmp_path: Path, name: str) -> None:
    endpoint, stream, made = TRADES[name]
    tape = (made or taped(endpoint, stream))[:400]
    dropped = tape[len(tape) // 2]
    wanted = trade_rows(endpoint, dropped.payload)
    assert wanted
    fault = {"endpoint": endpoint, "stream": stream, "kind": "drop", "after": len(tape) // 2}
    async with talking(replay, endpoint, stream) as talk:
        await replay.play(write(tmp_path / "a.tape.zst", tape), faults=[fault])
        heard = [await talk.next(stream) for _ in tape[1:]]
        assert len(set(heard) & {dropped.payload}) == 0
    target = refill(endpoint, wanted)
    status, body = await fetch(replay, endpoint, target)
    assert status == 200, body
    found = trade_rows(endpoint, body, target)
    assert [row for row in found if row in wanted] == wanted


def refill(endpoint: str, rows: list[dict[str, Any]]) -> str:
    """Return what the venue's adapter would ask for these trades with."""
    name, _, known = endpoint.partition("/")
    ids = [row["venue_sequence"] for row in rows if row["id_space"] in venue(name).counted]
    times = [row["event_time"] for row in rows]
    first, last = (min(ids), max(ids)) if ids else (None, None)
    missing = Missing(rows[0]["instrument"], rows[0]["id_space"], first, last, min(times), max(times))
    request = venue(name).rests[known].trades(missing)
    assert request is not None
    return request.target


async def test_rest_knows_no_future(replay: Replay, tmp_path: Path) -> None:
    tape = taped("binance/spot", "btcusdt@trade")[:200]
    ids = [orjson.loads(record.payload)["data"]["t"] for record in tape]
    target = f"/api/v3/historicalTrades?symbol=BTCUSDT&fromId={ids[0]}&limit=1000"
    assert await fetch(replay, "binance/spot", target) == (200, b"[]")
    for until in (80, 200):
        # A tape that goes on where another ended adds to what is known.
        path = write(tmp_path / f"{until}.tape.zst", tape[:80] if until == 80 else tape[80:])
        await replay.play(path, partial=True)
        await replay.played()
        _, body = await fetch(replay, "binance/spot", target)
        assert [entry["id"] for entry in orjson.loads(body)] == ids[:until]
    # Played once more from the beginning, time goes back.
    await replay.play(tmp_path / "80.tape.zst", partial=True)
    await replay.played()
    _, body = await fetch(replay, "binance/spot", target)
    assert [entry["id"] for entry in orjson.loads(body)] == ids[:80]


async def test_pages_are_the_venues(replay: Replay, tmp_path: Path) -> None:
    tape = [*records("binance/usdm_market", AGGREGATES), *records("kraken/v2", V2_TRADES)]
    matches = taped("coinbase/exchange", "matches:SKL-USD")
    await replay.play(write(tmp_path / "a.tape.zst", [*tape, *matches]), partial=True, align=True)
    await replay.played()

    async def numbers(endpoint: str, target: str, field: str) -> list[int]:
        status, body = await fetch(replay, endpoint, target)
        assert status == 200
        return [entry[field] for entry in orjson.loads(body)]

    path = "/fapi/v1/aggTrades?symbol=BTCUSDT"
    first, start = 1_700_000_000_000, 20
    assert await numbers("binance/usdm", f"{path}&fromId=10&limit=3", "a") == [10, 11, 12]
    assert await numbers("binance/usdm", f"{path}&limit=2", "a") == [58, 59]
    span = f"startTime={first + start}&endTime={first + start + 2}"
    assert await numbers("binance/usdm", f"{path}&{span}", "a") == [20, 21, 22]
    ids = sorted({orjson.loads(record.payload)["trade_id"] for record in matches}, reverse=True)
    path = "/products/SKL-USD/trades"
    assert await numbers("coinbase/exchange", path, "trade_id") == ids
    assert await numbers("coinbase/exchange", f"{path}?limit=3&after={ids[4]}", "trade_id") == ids[5:8]
    assert await numbers("coinbase/exchange", f"{path}?before={ids[4]}", "trade_id") == ids[:4]
    _, body = await fetch(replay, "kraken/v2", "/0/public/Trades?pair=XXBTZUSD&count=5&since=0")
    page = orjson.loads(body)["result"]
    assert [entry[6] for entry in page["XXBTZUSD"]] == [500, 501, 502, 503, 504]
    _, body = await fetch(replay, "kraken/v2", f"/0/public/Trades?pair=XBTUSD&count=5&since={page['last']}")
    assert [entry[6] for entry in orjson.loads(body)["result"]["XXBTZUSD"]] == [505, 506, 507, 508, 509]


@pytest.mark.parametrize(
    ("endpoint", "symbol"), [("binance/spot", "NKNUSDT"), ("binance/usdm", "BTCUSDT"), ("binance/spot", "BTCUSDT")]
)
async def test_binance_depth_asked_for_during_the_play_fits_what_follows(
    replay: Replay, tmp_path: Path, endpoint: str, symbol: str
) -> None:
    known = endpoint.partition("/")[2]
    depths = {r.received_time: r for r in read_tape(TAPES["binance"]) if r.endpoint == known and "depth" in r.request}
    snapshot = next(record for record in depths.values() if f"symbol={symbol}&" in record.request)
    of = stream_of(endpoint)
    tape = [
        record
        for record in read_tape(TAPES["binance"])
        if record.endpoint == known
        and (record == snapshot or (of(record.payload) or "").startswith(f"{symbol.lower()}@depth"))
    ][:600]
    half = len(tape) // 2
    assert snapshot in tape[:half]
    rest = venue("binance").rests[known]
    name = venue("binance").parse(known, snapshot.payload, snapshot.request)[0].row["instrument"]  # type: ignore[union-attr]
    request = rest.book(str(name))
    assert request is not None
    assert (await fetch(replay, endpoint, request.target))[0] == 503
    await replay.play(write(tmp_path / "1.tape.zst", tape[:half]), partial=True)
    await replay.played()
    status, body = await fetch(replay, endpoint, request.target.replace("limit=1000", "limit=5000"))
    assert status == 200
    whole, resumed = PlainBook(), PlainBook()
    told = orjson.loads(body)
    resumed.replace(told["bids"], told["asks"])
    recorded = orjson.loads(snapshot.payload)
    whole.replace(recorded["bids"], recorded["asks"])
    applied = recorded["lastUpdateId"]
    changes = [orjson.loads(record.payload)["data"] for record in tape if record != snapshot]
    for change in changes:
        if change["u"] > recorded["lastUpdateId"]:
            whole.change(change["b"], change["a"])
            applied = change["u"]
        if change["u"] > told["lastUpdateId"]:
            resumed.change(change["b"], change["a"])
        if change["u"] == told["lastUpdateId"]:
            assert resumed == whole
    assert resumed == whole
    assert applied > told["lastUpdateId"] > recorded["lastUpdateId"]
    assert {"E", "T"} <= told.keys() or known == "spot"


async def test_books_are_told_by_the_other_venues_too(replay: Replay) -> None:
    for name in ("coinbase", "kraken"):
        await replay.play(TAPES[name], partial=True)
        await replay.played()
    for endpoint, target, at in (
        ("coinbase/exchange", "/products/SKL-USD/book?level=2", ()),
        ("coinbase/advanced", "/api/v3/brokerage/market/product_book?product_id=ETH-USD&limit=50", ("pricebook",)),
        ("kraken/v1", "/0/public/Depth?pair=SCEUR&count=50", ("result", "SCEUR")),
    ):
        status, body = await fetch(replay, endpoint, target)
        assert status == 200, body
        told = orjson.loads(body)
        for key in at:
            told = told[key]
        prices = [
            [Decimal(level["price"] if isinstance(level, dict) else level[0]) for level in told[side]]
            for side in ("bids", "asks")
        ]
        assert prices[0] == sorted(prices[0], reverse=True)
        assert prices[1] == sorted(prices[1])
        assert prices[0][0] < prices[1][0]
        name, _, known = endpoint.partition("/")
        events: list[Any] = list(venue(name).parse(known, body, target))
        assert name == "kraken" or [event.row["kind"] for event in events] == ["snapshot"]


async def test_instruments_are_told_as_recorded_and_from_the_start(replay: Replay) -> None:
    recorded = {
        r.request: r.payload for name in ("binance", "coinbase", "kraken") for r in read_tape(TAPES[name]) if r.request
    }
    asked = {"binance/usdm": "/fapi/v1/exchangeInfo"}
    # The server was started with Binance's tape: it need not have been played.
    for endpoint, target in asked.items():
        assert await fetch(replay, endpoint, target) == (200, recorded[target])
    assert (await fetch(replay, "kraken/v1", "/0/public/AssetPairs"))[0] == 404
    for name in ("coinbase", "kraken"):
        await replay.play(TAPES[name], partial=True, speed=0.001)
    for endpoint, target in (
        ("coinbase/exchange", "/products"),
        ("coinbase/advanced", "/api/v3/brokerage/market/products"),
        ("kraken/v1", "/0/public/AssetPairs"),
    ):
        assert await fetch(replay, endpoint, target) == (200, recorded[target])
        name, _, known = endpoint.partition("/")
        instruments = {"coinbase": ("BTC-USD", "ETH-USD"), "kraken": ("XBT/USD", "SC/EUR")}[name]
        some = venue(name).rests[known].instruments(instruments).target
        status, body = await fetch(replay, endpoint, some)
        events: list[Any] = list(venue(name).parse(known, body, some))
        found = {event.row["instrument"] for event in events if getattr(event, "row", None)}
        assert status == 200
        assert found >= set(instruments)
        assert endpoint == "coinbase/exchange" or found == set(instruments)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_clock_is_now_and_off_by_request(replay: Replay, endpoint: str) -> None:
    name, _, known = endpoint.partition("/")
    rest = venue(name).rests[known]
    for skew_ms in (0, 3_600_000, -60_000, 0):
        await replay.post("/faults", endpoint=endpoint, kind="skew", ms=skew_ms)
        status, body = await fetch(replay, endpoint, rest.time().target)
        assert status == 200
        # Kraken tells whole seconds.
        assert abs(rest.server_time(body) / 1e6 - time.time() - skew_ms / 1000) < 3
    told = (await replay.get("/faults"))["faults"]
    assert [fault["happened"] for fault in told] == [1, 1, 1, 1]
    assert [fault["state"] for fault in told] == ["done", "done", "done", "under way"]


async def test_paths_and_endpoints_that_are_none_are_not_found(replay: Replay) -> None:
    assert (await fetch(replay, "binance/spot", "/api/v3/sing"))[0] == 404
    assert (await fetch(replay, "binance/spot", "/api/v3/aggTrades"))[0] == 400
    assert (await fetch(replay, "binance/spot", "/api/v3/aggTrades?symbol=A&limit=x"))[0] == 400
    assert (await fetch(replay, "mars/spot", "/time"))[0] == 404
    endpoints = (await replay.get("/status"))["endpoints"]
    assert endpoints["binance/spot"]["rest_requests"] == 3
    assert endpoints["binance/spot"]["rest_answers"] == {"400": 2, "404": 1}


async def test_recorded_answer_is_told_again_once_it_was_played(replay: Replay, tmp_path: Path) -> None:
    target, body = "/api/v3/klines?symbol=BTCUSDT&interval=1m", b'[ [1,"2"] ]'
    tape = [TapeRecord(1_700_000_000_000_000, "binance", "spot", "c", 1, body, target)]
    assert (await fetch(replay, "binance/spot", target))[0] == 404
    async with talking(replay, "binance/spot", "btcusdt@trade") as talk:
        trade = b'{"stream":"btcusdt@trade","data":{}}'
        await replay.play(write(tmp_path / "a.tape.zst", [*tape, *records("binance/spot", [trade])]))
        # The answer is nobody's to hear.
        assert await talk.payload() == trade
    assert await fetch(replay, "binance/spot", target) == (200, body)
    assert (await replay.get("/status"))["kept"] == 1


async def test_trades_of_recorded_pages_are_known_too(replay: Replay, tmp_path: Path) -> None:
    target = "/api/v3/aggTrades?symbol=BTCUSDT&fromId=5&limit=2"
    entries = [{"a": n, "p": "1.5", "q": "2", "f": n, "l": n, "T": 1_700_000_000_000, "m": True} for n in (5, 6)]
    record = TapeRecord(1_700_000_000_000_000, "binance", "spot", "c", 1, orjson.dumps(entries), target)
    await replay.play(write(tmp_path / "a.tape.zst", [record]), partial=True)
    await replay.played()
    _, body = await fetch(replay, "binance/spot", "/api/v3/aggTrades?symbol=BTCUSDT&fromId=6")
    assert orjson.loads(body) == entries[1:]


async def test_memory_of_trades_is_bounded_and_unreadable_payloads_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replay_memory, "_MOST_TRADES", 2_000)
    memory: Memory = stages()["binance/spot"].memory
    for payload in (b"", b"{}", b"\xff", b'{"e":"trade","t":"x","p":"1","q":"1","T":1,"m":true}'):
        memory.keep("a@trade", payload)
    for number in range(2_010):
        memory.keep("a@trade", b'{"e":"trade","t":%d,"p":"1","q":"1","T":%d,"m":true}' % (number, number))
    known = await memory.trades("a@trade")
    assert known is not None
    assert known.numbers == list(range(10, 2_010))


def test_unknown_endpoint_is_named_with_the_valid_ones() -> None:
    with pytest.raises(TerminalError, match="valid: binance/spot"):
        stream_of("mars/spot")


def test_repeated_names_of_a_query_come_in_lines() -> None:
    assert asked_by("/a?b=1&c=x%2Fy&b=2").query == {"b": "1\n2", "c": "x/y"}
