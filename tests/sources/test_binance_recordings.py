"""Every line of every recording of Binance is explained; what is counted here is counted without our parser."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sources.binance import VENUE
from sources.binance.parse import parse
from sources.events import Accepted, Rejected
from sources.foreign import ForeignRecord, read_foreign

FILES = {
    "nkaz001+hftbacktest/examples__spot__btcusdt_20240808.gz": "spot",
    "nkaz001+hftbacktest/examples__usdm__btcusdt_20240808.gz": "usdm",
    "bmoscon+cryptofeed/sample_data__BINANCE.ws.1.0": "spot",
    "bmoscon+cryptofeed/sample_data__BINANCE.http.0.0": "spot",
    "bmoscon+cryptofeed/sample_data__BINANCE_FUTURES.0": "usdm",
    "bmoscon+cryptofeed/sample_data__BINANCE_FUTURES.ws.1.0": "usdm",
    "bmoscon+cryptofeed/sample_data__BINANCE_FUTURES.http.0.0": "usdm",
}
_PAYLOAD = re.compile(r"^(?:https://\S+ -> )?[0-9.]+:? (?=[\[{])")
_KINDS = {
    "trade": "market.trades",
    "aggTrade": "market.trades",
    "bookTicker": "market.quotes",
    "depthUpdate": "market.books delta",
    "kline": "market.venue_bars",
}


def messages(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the messages of a recording, with the standard library alone."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            if match := _PAYLOAD.match(line):
                message = json.loads(line[match.end() :])
                yield message.get("data", message)


def counted(path: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for message in messages(path):
        if "e" in message:
            found[_KINDS[message["e"]]] += 1
        elif "symbols" in message:
            found["reference.instruments"] += len(message["symbols"])
        else:
            found["market.books snapshot" if "lastUpdateId" in message else "market.quotes"] += 1
    return found


def records(path: Path) -> Iterator[ForeignRecord]:
    return (record for record in read_foreign(path) if not record.control)


def accepted(path: Path) -> Iterator[Accepted]:
    for record in records(path):
        for event in parse(record.endpoint, record.payload, record.request):
            assert isinstance(event, Accepted), event
            yield event


@pytest.mark.parametrize(("file", "endpoint"), FILES.items())
def test_parser_finds_what_an_independent_count_finds(recordings: Path, file: str, endpoint: str) -> None:
    path = recordings / file
    assert {record.endpoint for record in records(path)} == {endpoint}
    found = Counter(
        f"{event.dataset} {event.row.get('kind', '')}".strip() for event in accepted(path) if "symbol" not in event.row
    )
    found["reference.instruments"] = sum("symbol" in event.row for event in accepted(path))
    assert +found == counted(path)


def test_all_recordings_together_hold_each_kind(recordings: Path) -> None:
    total = sum((counted(recordings / file) for file in FILES), Counter[str]())
    assert total == {
        "market.trades": 9757 + 21313 + 2 + 91,
        "market.quotes": 28040 + 66089 + 84 + 613,
        "market.books delta": 3451 + 6551 + 177 + 764,
        "market.books snapshot": 1 + 1 + 4 + 4,
        "market.venue_bars": 2 + 67,
        "reference.instruments": 122,
    }


@pytest.mark.parametrize("file", FILES)
def test_no_two_updates_of_a_feed_share_their_grain(recordings: Path, file: str) -> None:
    grains: Counter[tuple[object, ...]] = Counter()
    for event in accepted(recordings / file):
        row = event.row
        if event.dataset != "reference.instruments":
            update = row.get("trade_id", row.get("update_id"))
            grains[event.dataset, row["instrument"], row["id_space"], row["venue_sequence"], update] += 1
    assert [grain for grain, times in grains.items() if times > 1] == []


@pytest.mark.parametrize("file", FILES)
def test_ids_of_counted_series_have_no_holes(recordings: Path, file: str) -> None:
    series: dict[tuple[object, object], list[int]] = {}
    for event in accepted(recordings / file):
        if event.dataset == "market.trades":
            row: dict[str, Any] = event.row
            assert row["id_space"] in VENUE.counted
            series.setdefault((row["id_space"], row["instrument"]), []).append(row["venue_sequence"])
    for name, ids in series.items():
        assert ids == list(range(ids[0], ids[0] + len(ids))), name


@pytest.mark.parametrize(
    ("streams", "snapshots"),
    [
        ("sample_data__BINANCE.ws.1.0", "sample_data__BINANCE.http.0.0"),
        ("sample_data__BINANCE_FUTURES.ws.1.0", "sample_data__BINANCE_FUTURES.http.0.0"),
    ],
)
def test_deltas_follow_on_their_snapshots_without_a_hole(recordings: Path, streams: str, snapshots: str) -> None:
    last: dict[object, int] = {}
    applied: Counter[object] = Counter()
    folder = recordings / "bmoscon+cryptofeed"
    for event in (*accepted(folder / snapshots), *accepted(folder / streams)):
        row: dict[str, Any] = event.row
        if event.dataset != "market.books" or (
            row["kind"] == "delta" and row["venue_sequence"] <= last[row["instrument"]]
        ):
            continue
        if row["kind"] == "delta":
            assert row["first_sequence"] <= row["venue_sequence"]
            assert row["previous_sequence"] <= last[row["instrument"]], row["update_id"]
            applied[row["instrument"]] += 1
        last[row["instrument"]] = row["venue_sequence"]
    assert len(applied) == 4


def test_kinds_of_recorded_contracts_agree_with_what_the_venue_calls_them(recordings: Path) -> None:
    path = recordings / "bmoscon+cryptofeed/sample_data__BINANCE_FUTURES.0"
    (info,) = messages(path)
    called = {entry["symbol"]: entry for entry in info["symbols"]}
    for event in accepted(path):
        row: dict[str, Any] = event.row
        entry = called.pop(row["symbol"])
        # One that is not traded yet has no type.
        assert (row["kind"] == "future") == entry["contractType"].endswith("_QUARTER"), row
        assert (row["state"] == "trading") == (entry["status"] == "TRADING"), row
        assert row["instrument"] == row["symbol"] + ("" if row["kind"] == "future" else "-PERP")
        assert row["price_step"] > 0
        assert row["quantity_least"] >= row["quantity_step"] > 0
    assert called == {}


@pytest.mark.parametrize("file", [file for file in FILES if "hftbacktest" in file])
def test_the_snapshot_between_the_payloads_is_rejected_when_nobody_tells_its_symbol(
    recordings: Path, file: str
) -> None:
    (record,) = (record for record in records(recordings / file) if record.request)
    (event,) = parse(record.endpoint, record.payload)
    assert isinstance(event, Rejected)
    assert event.reason == "missing_field"
