"""Foreign recordings are read line by line, and the demo tape is what the recorder makes of them."""

import gzip
from pathlib import Path

import pytest
import zstandard

from contracts.errors import TerminalError
from sources.demo import FOLDER, TAPES, replayed
from sources.demo.make import make
from sources.foreign import ForeignRecord, read_foreign
from sources.recorder import Recording, of_kinds, record, record_live
from sources.tape_file import read_header, read_tape
from sources.venues import venue
from tests.sources.conftest import Replay

HFTBACKTEST = b'1723161255088176367 {"stream":"btcusdt@trade","data":{"e":"trade"}}\n'
CRYPTOFEED = (
    b"wss://fstream.binance.com/stream?streams=a@aggTrade <-> 1626992740.179554\n"
    b'1626992741.0633569: {"stream":"a@aggTrade","data": {}}\n'
    b"\n"
    b"https://fapi.binance.com/fapi/v1/exchangeInfo -> 1626992740.175661: {}\n"
    b"1626992741.06217: {}\n"
)


@pytest.mark.parametrize("suffix", [".txt", ".gz", ".zst"])
def test_hftbacktest_lines_are_read_plain_and_compressed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"usdm{suffix}"
    forms = {".txt": HFTBACKTEST, ".gz": gzip.compress(HFTBACKTEST), ".zst": zstandard.compress(HFTBACKTEST)}
    path.write_bytes(forms[suffix])
    assert list(read_foreign(path)) == [
        ForeignRecord(1723161255088176, "usdm", b'{"stream":"btcusdt@trade","data":{"e":"trade"}}')
    ]


def test_cryptofeed_lines_tell_endpoint_time_and_control(tmp_path: Path) -> None:
    path = tmp_path / "a.ws.0"
    path.write_bytes(CRYPTOFEED)
    found = list(read_foreign(path))
    assert [line.control for line in found] == ["address", "", "blank", "", ""]
    assert found[3].request == "/fapi/v1/exchangeInfo"
    assert found[4].received_time == 1626992741062170
    assert found[1] == ForeignRecord(1626992741063356, "usdm", b'{"stream":"a@aggTrade","data": {}}')


def test_line_in_neither_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "spot"
    path.write_bytes(HFTBACKTEST + b"what is this\n")
    with pytest.raises(TerminalError, match="line 2 is in neither known form"):
        list(read_foreign(path))


def test_recording_that_does_not_tell_its_endpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(HFTBACKTEST)
    with pytest.raises(TerminalError, match="does not tell its endpoint"):
        record(
            venue("binance"),
            [Recording(path)],
            tmp_path / "t",
            keep=of_kinds(venue("binance"), ["market.trades"]),
            source="",
            licence="",
        )


# Writing Binance's anew takes half a minute for its compression; the same code writes the other two.
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        (
            "coinbase",
            {"exchange kept": 6451, "exchange left out": 7, "advanced kept": 1031, "advanced left out": 7},
        ),
        ("kraken", {"v1 kept": 4431, "v1 left out": 13}),
    ],
)
def test_demo_tape_is_what_the_recorder_makes_of_the_recordings(
    recordings: Path, tmp_path: Path, name: str, counts: dict[str, int]
) -> None:
    assert make(recordings, name, tmp_path / "again.tape.zst") == counts
    assert list(read_tape(tmp_path / "again.tape.zst")) == list(read_tape(TAPES[name]))


def test_demo_tapes_name_their_sources_and_licences() -> None:
    beside = (FOLDER / "README.md").read_text()
    assert "Copyright (c) 2022 nkaz001@protonmail.com" in beside
    assert "Copyright (C) 2017-2025 Bryant Moscon" in beside
    for tape in TAPES.values():
        header = read_header(tape)
        assert "hftbacktest" in header.source
        assert "MIT" in header.licence
        assert f"{header.records:,}" in beside


def test_replayed_endpoints_subscribe_all_streams_of_the_tape() -> None:
    spot, usdm = replayed("binance", 8090)
    assert spot.base_url == "ws://127.0.0.1:8090/binance/spot"
    assert spot.rest_url == "http://127.0.0.1:8090/binance/spot/rest"
    assert (len(spot.streams), len(usdm.streams)) == (14, 19)
    assert "btcusdt@trade" in usdm.streams
    assert [endpoint.name for endpoint in replayed("coinbase", 8090)] == ["exchange", "advanced"]


async def test_live_recording_keeps_what_the_filter_keeps(replay: Replay, tmp_path: Path) -> None:
    endpoint = replay.endpoint("usdm", read_header(TAPES["binance"]).streams["usdm"])  # type: ignore[index]
    await replay.play(TAPES["binance"], partial=True, speed=20)
    written = await record_live(
        venue("binance"),
        [endpoint],
        tmp_path / "t",
        keep=of_kinds(venue("binance"), ["market.trades"]),
        licence="",
        seconds=20,
        most=500,
    )
    found = list(read_tape(tmp_path / "t"))
    assert written == len(found) >= 500
    assert {of_kinds(venue("binance"), ["market.trades"])(entry) for entry in found} == {True}
    originals = {entry.payload for entry in read_tape(TAPES["binance"]) if entry.endpoint == "usdm"}
    assert {entry.payload for entry in found} <= originals
