"""`tapehouse parse` explains every line of every recording, and its counts are those of plain reading."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import dataset
from contracts.dataset import Decimal as DecimalType
from contracts.errors import TapehouseError, TerminalError
from orchestration.cli.parse import parse
from sources.event_lines import event_line
from sources.events import IGNORED, REJECTIONS
from sources.explain import NOT_PARSED

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT.parent / "shared" / "data" / "crypto_ws"
CRYPTOFEED = RECORDINGS / "bmoscon+cryptofeed"
HFTBACKTEST = RECORDINGS / "nkaz001+hftbacktest"

recorded = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"the recordings are not there: {RECORDINGS}")

FILES = {
    "BINANCE.http.0.0": "binance",
    "BINANCE.ws.1.0": "binance",
    "BINANCE_FUTURES.0": "binance",
    "BINANCE_FUTURES.http.0.0": "binance",
    "BINANCE_FUTURES.ws.1.0": "binance",
    "spot__btcusdt_20240808.gz": "binance",
    "usdm__btcusdt_20240808.gz": "binance",
    "COINBASE.0": "coinbase",
    "COINBASE.jsonl.zst": "coinbase",
    "COINBASE.ws.28.0.products_A": "coinbase",
    "KRAKEN.0": "kraken",
    "KRAKEN.ws.48.0": "kraken",
    "KRAKEN.ws.49.0": "kraken",
    "KRAKEN.ws.50.0": "kraken",
}


def recording(name: str) -> Path:
    return HFTBACKTEST / f"examples__{name}" if "btcusdt" in name else CRYPTOFEED / f"sample_data__{name}"


def plain(path: Path) -> list[bytes]:
    """Return the file's lines, unpacked, without anything of ours."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if path.suffix == ".zst":
        content = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True).read()
    return content.removesuffix(b"\n").split(b"\n")


# What a plain reader counts: for each line (event or ignored reason) -> how many.


def of_line(line: bytes) -> tuple[str, Any]:
    """Return a reason to ignore the line, or else its payload as plain JSON."""
    if not line.strip():
        return "blank_line", None
    if line.startswith((b"configuration: ", b"wss://")):
        return "control_line", None
    if line.startswith(b'{"t"'):
        entry = json.loads(line)
        return ("", json.loads(entry["data"])) if entry["t"] in ("recv", "http") else ("control_line", None)
    if line.startswith(b"https://"):
        return "", json.loads(line.split(b" -> ", 1)[1].split(b": ", 1)[1])
    return "", json.loads(line[line.index(b" ") + 1 :])


def of_binance(message: dict[str, Any]) -> dict[str, int]:
    message = message.get("data", message)
    kind = message.get("e")
    if kind == "trade" and message.get("X", "MARKET") != "MARKET":
        return {"not_a_market_trade": 1}
    if kind is not None:
        names = {
            "trade": "trade",
            "aggTrade": "trade",
            "depthUpdate": "book_delta",
            "kline": "bar",
            "bookTicker": "quote",
        }
        return {names[kind]: 1}
    if "lastUpdateId" in message:
        return {"book_snapshot": 1}
    return {"instrument_list": 1} if "symbols" in message else {"quote": 1}


def of_coinbase(message: Any) -> dict[str, int]:
    if isinstance(message, list) or "products" in message:
        return {"instrument_list": 1}
    if "channel" not in message:
        names = {
            "l2update": "book_delta",
            "snapshot": "book_snapshot",
            "ticker": "quote",
            "match": "trade",
            "last_match": "trade_before_subscription",
            "subscriptions": "subscription_reply",
        }
        return {names[message["type"]]: 1}
    counts: Counter[str] = Counter()
    for event in message["events"]:
        match message["channel"]:
            case "l2_data":
                counts["book_snapshot" if event["type"] == "snapshot" else "book_delta"] += 1
            case "market_trades":
                counts["trade"] += len(event["trades"])
            case "ticker":
                counts["quote"] += len(event["tickers"])
            case "candles":
                counts["bar"] += len(event["candles"])
            case "heartbeats":
                counts["heartbeat"] += 1
            case "subscriptions":
                counts["subscription_reply"] += 1
    return counts


def of_kraken(message: Any) -> dict[str, int]:
    if isinstance(message, list):
        channel = message[-2]
        if channel == "trade":
            return {"trade": len(message[1])}
        if channel == "ticker":
            return {"quote": 1}
        return {"book_snapshot" if "as" in message[1] else "book_delta": 1}
    if "result" in message:
        return {"instrument_list": 1}
    names = {"heartbeat": "heartbeat", "systemStatus": "venue_notice", "subscriptionStatus": "subscription_reply"}
    return {names[message["event"]]: 1}


COUNTERS: dict[str, Callable[[Any], dict[str, int]]] = {
    "binance": of_binance,
    "coinbase": of_coinbase,
    "kraken": of_kraken,
}
EVENTS = {
    "trade": "market.trades",
    "quote": "market.quotes",
    "book_snapshot": "market.books",
    "book_delta": "market.books",
    "bar": "market.venue_bars",
    "instrument": "reference.instruments",
}


@dataclass
class Parsed:
    events: list[dict[str, Any]]
    summary: dict[str, Any]


@pytest.fixture
def run(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Parsed]:
    """Call the command in this process; what it printed and its summary."""

    def call(venue: str, *files: Path, **options: Any) -> Parsed:
        summary = tmp_path / "summary.json"
        parse(venue, list(files), summary, **options)
        lines = capsysbinary.readouterr().out.splitlines()
        return Parsed([json.loads(line) for line in lines], json.loads(summary.read_bytes()))

    return call


@pytest.fixture
def altered(tmp_path: Path) -> Callable[[str, Callable[[list[bytes]], None]], Path]:
    """Make a copy of a recording with its lines changed; it has the recording's name without its compression."""

    def make(name: str, change: Callable[[list[bytes]], None]) -> Path:
        lines = plain(recording(name))
        change(lines)
        copy = tmp_path / recording(name).with_suffix("" if name.endswith((".gz", ".zst")) else Path(name).suffix).name
        copy.write_bytes(b"\n".join(lines) + b"\n")
        return copy

    return make


@recorded
@pytest.mark.parametrize("name", FILES)
def test_every_line_of_a_recording_is_explained_as_a_plain_reader_counts(name: str, run: Callable[..., Parsed]) -> None:
    wanted: Counter[str] = Counter()
    messages = 0
    lines = plain(recording(name))
    for line in lines:
        reason, message = of_line(line)
        messages += not reason
        wanted.update({reason: 1} if reason else COUNTERS[FILES[name]](message))
    found = run(FILES[name], recording(name))
    told = found.summary
    assert told["lines"] == len(lines)
    assert told["messages"] == messages
    assert told["events"] == {kind: wanted[kind] for kind in sorted(wanted) if kind in EVENTS}
    assert told["ignored"] == {reason: wanted[reason] for reason in sorted(wanted) if reason not in EVENTS}
    assert told["quarantined"] == {}
    assert told["ignored"].keys() <= IGNORED.keys() | NOT_PARSED.keys()
    assert Counter(event["event"] for event in found.events) == told["events"]
    # What is wrong in none of them.
    assert told["gaps"] == 0
    assert told["checksums"] == {"matched": 4269 if name == "KRAKEN.ws.50.0" else 0, "failed": 0}


LEVELS = {"bid_prices", "bid_quantities", "ask_prices", "ask_quantities"}


@cache
def columns(kind: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return which keys an event has beside its kind, and which of them hold decimals."""
    wire = dataset(EVENTS[kind]).wire_columns
    names = {column.name for column in wire}
    if kind.startswith("book_"):
        names = names - LEVELS - {"kind"} | {"bids", "asks"}
    return frozenset(names), tuple(column.name for column in wire if isinstance(column.type, DecimalType))


@recorded
@pytest.mark.parametrize("name", FILES)
def test_events_hold_the_contracts_columns_decimals_as_strings_and_times_in_microseconds(
    name: str, run: Callable[..., Parsed]
) -> None:
    written = re.compile(r"-?[0-9]+(\.[0-9]+)?").fullmatch
    for event in run(FILES[name], recording(name), instruments=True).events:
        names, decimals = columns(event["event"])
        assert event.keys() == names | {"event"}
        assert event["venue"] == FILES[name]
        assert all(written(event[name]) for name in decimals)
        assert all(written(number) for side in ("bids", "asks") for level in event.get(side, ()) for number in level)
        assert 10**15 < event["event_time"] < 2 * 10**15
        assert 10**15 < event["received_time"] < 2 * 10**15
        assert event["connection_id"].startswith(recording(name).name)


@recorded
def test_recorded_trade_is_this_line(run: Callable[..., Parsed]) -> None:
    trades = [e for e in run("kraken", recording("KRAKEN.ws.48.0")).events if e["event"] == "trade"]
    first = {key: trades[0][key] for key in ("instrument", "price", "quantity", "side", "event_time", "received_time")}
    assert first == {
        "instrument": "XMR/USD",
        "price": "354.11000000",
        "quantity": "0.89594024",
        "side": "sell",
        "event_time": 1618678142557535,
        "received_time": 1618678142592855,
    }


@recorded
@pytest.mark.parametrize(("feed", "diffs"), [("BINANCE", 177), ("BINANCE_FUTURES", 764)])
def test_books_asked_for_in_another_file_are_met_where_they_belong(
    feed: str, diffs: int, run: Callable[..., Parsed]
) -> None:
    stream, answers = recording(f"{feed}.ws.1.0"), recording(f"{feed}.http.0.0")
    alone = run("binance", stream).summary
    assert alone["books"] == {"complete": 0, "incomplete": 4}
    for order in ((stream, answers), (answers, stream)):
        found = run("binance", *order)
        assert found.summary["books"] == {"complete": 4, "incomplete": 0}
        assert (found.summary["gaps"], found.summary["events"]["book_delta"]) == (0, diffs)
        times = [event["received_time"] for event in found.events]
        assert times == sorted(times)


@recorded
def test_missing_trades_are_one_gap_that_names_them(run: Callable[..., Parsed], altered: Any) -> None:
    def lose(lines: list[bytes]) -> None:
        trades = [at for at, line in enumerate(lines) if b"btcusdt@trade" in line]
        ids.extend(json.loads(lines[at].split(b" ", 1)[1])["data"]["t"] for at in trades[500:503])
        for at in reversed(trades[500:503]):
            del lines[at]

    ids: list[int] = []
    told = run("binance", altered("spot__btcusdt_20240808.gz", lose), quiet=True).summary
    assert (told["gaps"], told["events"]["trade"], told["messages"]) == (1, 9757 - 3, 41249 - 3)
    (gap,) = told["gap_details"]
    assert (gap["kind"], gap["instrument"]) == ("trade_ids", "BTCUSDT")
    assert (gap["from_sequence"], gap["to_sequence"]) == (ids[0], ids[-1])


@recorded
def test_trades_in_another_order_are_no_gap(run: Callable[..., Parsed], altered: Any) -> None:
    def shuffle(lines: list[bytes]) -> None:
        trades = [at for at, line in enumerate(lines) if b"btcusdt@trade" in line][500:503]
        lines[trades[0]], lines[trades[2]] = lines[trades[2]], lines[trades[0]]

    told = run("binance", altered("spot__btcusdt_20240808.gz", shuffle), quiet=True).summary
    assert (told["gaps"], told["events"]["trade"]) == (0, 9757)


@recorded
@pytest.mark.parametrize("name", ["spot__btcusdt_20240808.gz", "usdm__btcusdt_20240808.gz", "BINANCE_FUTURES.ws.1.0"])
def test_each_lost_update_of_a_book_is_a_gap(name: str, run: Callable[..., Parsed], altered: Any) -> None:
    def lose(lines: list[bytes]) -> None:
        instrument = b"btcusdt" if "btcusdt" in name else b"sushiusdt"
        deltas = [at for at, line in enumerate(lines) if b'"' + instrument + b"@depth" in line]
        for at in (deltas[80], deltas[50]):
            del lines[at]

    told = run("binance", altered(name, lose), quiet=True).summary
    assert told["gaps"] == 2
    assert {gap["kind"] for gap in told["gap_details"]} == {"update_ids"}


@recorded
def test_late_update_of_a_book_is_no_gap(run: Callable[..., Parsed], altered: Any) -> None:
    def swap(lines: list[bytes]) -> None:
        deltas = [at for at, line in enumerate(lines) if b"btcusdt@depth" in line][50:52]
        lines[deltas[0]], lines[deltas[1]] = lines[deltas[1]], lines[deltas[0]]

    told = run("binance", altered("usdm__btcusdt_20240808.gz", swap), quiet=True).summary
    assert (told["gaps"], told["books"]) == (0, {"complete": 1, "incomplete": 0})


@recorded
def test_lost_message_of_a_numbered_connection_is_a_gap(run: Callable[..., Parsed], altered: Any) -> None:
    def lose(lines: list[bytes]) -> None:
        del lines[next(at for at, line in enumerate(lines) if b'\\"heartbeats\\"' in line and b'"recv"' in line)]

    told = run("coinbase", altered("COINBASE.jsonl.zst", lose)).summary
    assert [(gap["kind"], gap["from_sequence"] == gap["to_sequence"]) for gap in told["gap_details"]] == [
        ("sequence", True)
    ]


@recorded
def test_altered_book_fails_its_checksum(run: Callable[..., Parsed], altered: Any) -> None:
    def change(lines: list[bytes]) -> None:
        at = max(at for at, line in enumerate(lines) if b'"book-1000","XMR/USD"' in line and b'"a":[[' in line)
        lines[at] = re.sub(rb'"c":"[0-9]+"', b'"c":"1"', lines[at])

    told = run("kraken", altered("KRAKEN.ws.50.0", change)).summary
    assert told["checksums"]["failed"] == 1
    assert told["books"]["incomplete"] == 1
    assert told["gaps"] == 0


@recorded
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda line: line[: len(line) // 2], "malformed_json"),
        (lambda line: line[:5], "malformed_json"),
        (lambda line: line[:18] + b"{" + line[18:], "malformed_json"),
        (lambda _: b"\xff\xff", "malformed_json"),
        (lambda line: line.replace(b'"b":', b'"nothing":'), "unknown_message"),
        (lambda _: b'1633998520.5: {"e":"unheard"}', "unknown_message"),
    ],
)
def test_damaged_line_is_quarantined_once_and_its_neighbours_are_not(
    damage: Callable[[bytes], bytes], reason: str, run: Callable[..., Parsed], altered: Any
) -> None:
    def change(lines: list[bytes]) -> None:
        at = [at for at, line in enumerate(lines) if b"bookTicker" in line][10]
        lines[at] = damage(lines[at])

    told = run("binance", altered("BINANCE.ws.1.0", change)).summary
    assert told["quarantined"] == {reason: 1}
    assert told["messages"] == 265
    assert told["events"] == {"bar": 2, "book_delta": 177, "quote": 83, "trade": 2}


@recorded
def test_file_cut_off_in_a_line_has_that_line_quarantined(run: Callable[..., Parsed], tmp_path: Path) -> None:
    whole = recording("BINANCE_FUTURES.ws.1.0").read_bytes()
    cut = tmp_path / "BINANCE_FUTURES.ws"
    cut.write_bytes(whole[:-20])
    told = run("binance", cut).summary
    assert (told["messages"], told["quarantined"]) == (1535, {"malformed_json": 1})


@recorded
def test_compression_changes_nothing_but_the_name(run: Callable[..., Parsed], tmp_path: Path) -> None:
    content = recording("KRAKEN.ws.50.0").read_bytes()
    found = []
    for folder, packed in (("a", content), ("b", gzip.compress(content)), ("c", zstandard.compress(content))):
        path = tmp_path / folder / "KRAKEN.ws.50.0"
        path.parent.mkdir()
        path.write_bytes(packed)
        found.append(run("kraken", path).events)
    assert found[0] == found[1] == found[2]


@recorded
def test_files_of_one_name_are_different_connections(run: Callable[..., Parsed], tmp_path: Path) -> None:
    paths = [tmp_path / folder / "KRAKEN.ws.48.0" for folder in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(recording("KRAKEN.ws.48.0").read_bytes())
    found = run("kraken", *paths)
    assert Counter(event["connection_id"] for event in found.events) == {str(path): 10 for path in paths}
    assert found.summary["messages"] == 2 * 49


@recorded
def test_connection_that_was_opened_again_begins_anew(run: Callable[..., Parsed], tmp_path: Path) -> None:
    content = recording("KRAKEN.ws.50.0").read_bytes()
    twice = tmp_path / "KRAKEN.ws"
    twice.write_bytes(content + content)
    found = run("kraken", twice)
    assert found.summary["checksums"] == {"matched": 2 * 4269, "failed": 0}
    assert {event["connection_id"] for event in found.events} == {"KRAKEN.ws", "KRAKEN.ws:#2"}
    # No book goes on with what it had before.
    twice.write_bytes(content + b'wss://ws.kraken.com <-> 1618678170.5\n1618678171.5: {"event":"heartbeat"}\n')
    assert run("kraken", twice).summary["books"] == {"complete": 0, "incomplete": 10}


@recorded
def test_quiet_prints_nothing_and_counts_the_same(run: Callable[..., Parsed]) -> None:
    loud, quiet = run("kraken", recording("KRAKEN.ws.50.0")), run("kraken", recording("KRAKEN.ws.50.0"), quiet=True)
    assert quiet.events == []
    assert {**quiet.summary, "seconds": 0} == {**loud.summary, "seconds": 0}


@recorded
def test_instruments_are_events_on_demand(run: Callable[..., Parsed]) -> None:
    pairs = json.loads(plain(recording("KRAKEN.0"))[0].split(b": ", 1)[1])["result"]
    found = run("kraken", recording("KRAKEN.0"), instruments=True)
    assert found.summary["events"] == {"instrument": len(found.events)}
    assert len(found.events) + sum(found.summary["quarantined"].values()) == len(pairs)
    assert "instrument_list" not in found.summary["ignored"]


@recorded
def test_clock_is_compared_with_the_venues(run: Callable[..., Parsed]) -> None:
    clock = run("binance", recording("spot__btcusdt_20240808.gz"), quiet=True).summary["clocks"]["spot"]
    assert -1300 < clock["lag_low_ms"] <= clock["lag_median_ms"] < -1100


LINE = b'1723161255088176367 {"stream":"btcusdt@trade","data":{"e":"trade"}}\n'


def test_endpoint_that_nobody_tells_has_to_be_named(run: Callable[..., Parsed], tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(LINE)
    with pytest.raises(
        TerminalError, match=r"a does not tell its endpoint, binance has spot, usdm.*: name one with --endpoint"
    ):
        run("binance", path)
    assert run("binance", path, endpoint="spot").summary["quarantined"] == {"missing_field": 1}
    with pytest.raises(TerminalError, match=r"binance has no endpoint 'v1'; valid: spot, usdm"):
        run("binance", path, endpoint="v1")


def test_recording_of_another_venue_is_refused(run: Callable[..., Parsed], tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"https://api.kraken.com/0/public/Time -> 1633998512.3: {}\n")
    with pytest.raises(TerminalError, match=r"a is of endpoint 'v1', binance has spot, usdm.*: name its own venue"):
        run("binance", path)
    # Also where it begins as one of ours.
    path.write_bytes(LINE + b"https://api.kraken.com/0/public/Time -> 1633998512.3: {}\n")
    with pytest.raises(TerminalError, match="is of endpoint 'v1'"):
        run("binance", path.rename(tmp_path / "spot"))


def test_unknown_venue_lists_the_valid_ones(run: Callable[..., Parsed], tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match="valid: binance, coinbase, kraken"):
        run("bitmex", tmp_path)


def test_file_that_is_cut_off_leaves_its_events_and_no_summary(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    row = b'{"e":"trade","s":"BTCUSDT","t":%d,"p":"1.0","q":"2.0","T":1723161255342,"m":true}'
    lines = b"".join(b"1723161255088176367 " + row % number + b"\n" for number in range(50_000))
    path, summary = tmp_path / "spot.gz", tmp_path / "summary.json"
    path.write_bytes(gzip.compress(lines)[:-4])
    summary.write_bytes(b'{\n  "lines": 1}')
    with pytest.raises(TerminalError, match="was cut off"):
        parse("binance", [path], summary)
    printed = capsysbinary.readouterr().out
    assert printed.endswith(b"\n")
    assert len(printed.splitlines()) > 45_000
    # Neither half of this run nor the whole of another.
    assert not summary.exists()


def test_summary_takes_no_other_files_place(tmp_path: Path) -> None:
    path = tmp_path / "spot"
    path.write_bytes(LINE)
    with pytest.raises(TerminalError, match="exists and is no summary"):
        parse("binance", [path], path)
    assert path.read_bytes() == LINE
    with pytest.raises(TerminalError, match="is no folder"):
        parse("binance", [path], tmp_path / "none" / "summary.json")
    with pytest.raises(TerminalError, match="is a folder"):
        parse("binance", [path], tmp_path)


def test_summary_holds_what_was_promised(run: Callable[..., Parsed], tmp_path: Path) -> None:
    path = tmp_path / "spot"
    path.write_bytes(b"\n" + LINE)
    told = run("binance", path).summary
    assert told | {"seconds": 0} == {
        "lines": 2,
        "messages": 1,
        "events": {},
        "gaps": 0,
        "checksums": {"matched": 0, "failed": 0},
        "quarantined": {"missing_field": 1},
        "ignored": {"blank_line": 1},
        "books": {"complete": 0, "incomplete": 0},
        "clocks": {},
        "gap_details": [],
        "seconds": 0,
    }


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "orchestration.cli", "parse", *map(str, arguments)]


def test_error_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    done = subprocess.run(command("binance", tmp_path / "gone"), cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().strip() == f"{tmp_path / 'gone'} can't be read: No such file or directory"


def test_reader_that_leaves_ends_it_quietly_and_the_summary_is_whole(tmp_path: Path) -> None:
    row = b'{"e":"trade","s":"BTCUSDT","t":%d,"p":"1.0","q":"2.0","T":1723161255342,"m":true}'
    path, summary = tmp_path / "spot", tmp_path / "summary.json"
    path.write_bytes(b"".join(b"1723161255088176367 " + row % number + b"\n" for number in range(5000)))
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command("binance", path, "--summary", summary), cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(summary.read_bytes())["events"] == {"trade": 5000}


# Anything that venues may write: also numbers that Python shows with an exponent.
DECIMALS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=12
) | st.builds(lambda digits, places: Decimal(digits).scaleb(-places), st.integers(0, 10**12), st.integers(0, 12))


@given(st.lists(st.tuples(DECIMALS, DECIMALS), max_size=4), DECIMALS, st.text(max_size=8))
def test_decimals_are_written_plain_with_their_digits(
    levels: list[tuple[Decimal, Decimal]], price: Decimal, instrument: str
) -> None:
    try:
        trade = json.loads(event_line("trade", {"instrument": instrument, "price": price}))
    except TypeError:
        with pytest.raises(UnicodeEncodeError):
            instrument.encode()
        return
    assert trade == {"event": "trade", "instrument": instrument, "price": f"{price:f}"}
    prices, quantities = [level[0] for level in levels], [level[1] for level in levels]
    row: dict[str, Any] = {"kind": "delta", "instrument": instrument, "checksum": -1}
    row |= {"bid_prices": prices, "bid_quantities": quantities, "ask_prices": [price], "ask_quantities": [price]}
    before = dict(row)
    assert json.loads(event_line("book_delta", row)) == {
        "event": "book_delta",
        "instrument": instrument,
        "checksum": -1,
        "bids": [[f"{p:f}", f"{q:f}"] for p, q in levels],
        "asks": [[f"{price:f}", f"{price:f}"]],
    }
    assert row == before


@given(st.lists(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")), max_size=10))
def test_every_line_of_any_file_is_a_message_or_ignored(tmp_path_factory: Any, parts: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("any")
    prefixes = (b"", b"1633998512.5: ", b"1723161254206652067 ", b'{"t":')
    lines = [LINE.rstrip(b"\n"), *(prefixes[at % 4] + part for at, part in enumerate(parts))]
    (folder / "spot").write_bytes(b"\n".join(lines) + b"\n")
    for venue, endpoint in (("binance", "spot"), ("coinbase", "advanced"), ("kraken", "v2")):
        summary = folder / f"{venue}.json"
        try:
            parse(venue, [folder / "spot"], summary, endpoint=endpoint, quiet=True)
        except TapehouseError as error:
            pytest.fail(str(error))
        told = json.loads(summary.read_bytes())
        unread = told["ignored"].get("blank_line", 0) + told["ignored"].get("control_line", 0)
        assert told["lines"] == len(lines) == told["messages"] + unread
        explained = (sum(told[part].values()) for part in ("events", "ignored", "quarantined"))
        assert sum(explained) >= told["lines"]
        assert told["quarantined"].keys() <= REJECTIONS.keys()
