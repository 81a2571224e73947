"""Tape files give back what was written, byte for byte, and say where they are damaged."""

from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import TerminalError
from sources.demo import TAPES
from sources.tape_file import TapeRecord, TapeWriter, read_header, read_tape

NUMBERS = st.integers(0, 2**53)
RECORDS = st.lists(
    st.builds(
        TapeRecord, NUMBERS, st.text(max_size=8), st.text(max_size=8), st.text(max_size=40), NUMBERS, st.binary()
    ),
    max_size=20,
)


def write(path: Path, records: list[TapeRecord]) -> Path:
    with TapeWriter(path, source="here", licence="none", level=1) as writer:
        for record in records:
            writer.write(record)
    return path


@settings(max_examples=50)
@given(RECORDS)
def test_what_was_written_is_read_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, records: list[TapeRecord]
) -> None:
    path = write(tmp_path_factory.mktemp("tape") / "a.tape.zst", records)
    assert list(read_tape(path)) == records
    header = read_header(path)
    assert header.records == len(records)
    if records:
        times = [record.received_time for record in records]
        assert (header.first_time, header.last_time) == (min(times), max(times))


def test_payload_of_sixteen_megabytes_and_one_without_utf8_survive(tmp_path: Path) -> None:
    payloads = [b"\xff\n\x00\n" * 4, b"", b"x" * (16 * 1024 * 1024), b'[1,"binance"]\n']
    records = [TapeRecord(n, "binance", "spot", "c", n, payload) for n, payload in enumerate(payloads, 1)]
    assert [record.payload for record in read_tape(write(tmp_path / "a", records))] == payloads


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_truncated_file_names_the_last_good_record(tmp_path: Path, share: float) -> None:
    whole = TAPES["kraken"].read_bytes()
    cut = tmp_path / "cut.tape.zst"
    cut.write_bytes(whole[: int(len(whole) * share)])
    seen: list[TapeRecord] = []
    with pytest.raises(TerminalError, match="damaged after") as caught:
        seen.extend(read_tape(cut))
    seen_before = len(seen)
    count = int(str(caught.value).split("damaged after ")[1].split(" ")[0])
    assert seen_before in (0, count)  # extend keeps what came before the error, or nothing
    assert "of 4431 records" in str(caught.value)


def test_file_cut_between_two_records_is_noticed(tmp_path: Path) -> None:
    records = [TapeRecord(n, "binance", "spot", "c", n, b"{}") for n in range(1, 11)]
    whole = write(tmp_path / "whole", records).read_bytes()
    text = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(whole)
    lines = text.split(b"\n")
    shorter = tmp_path / "shorter"
    shorter.write_bytes(zstandard.compress(b"\n".join(lines[:-3]) + b"\n"))
    with pytest.raises(TerminalError, match=r"after 9 of 10 records.*last good record: c message 9"):
        list(read_tape(shorter))


def test_what_is_no_tape_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"not zstd")
    (tmp_path / "b").write_bytes(zstandard.compress(b'{"other": 1}\n'))
    (tmp_path / "c").write_bytes(zstandard.compress(b'{"tapehouse_tape": 99}\n'))
    for name, why in (("a", "no tape file"), ("b", "no tape file"), ("c", "format 99")):
        with pytest.raises(TerminalError, match=why):
            list(read_tape(tmp_path / name))


def test_failed_writing_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), TapeWriter(tmp_path / "a", source="", licence="") as writer:
        writer.write(TapeRecord(1, "binance", "spot", "c", 1, b"{}"))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_earlier_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [TapeRecord(1, "binance", "spot", "old", 1, b"{}")])
    with TapeWriter(path, source="", licence="") as writer:
        writer.write(TapeRecord(1, "binance", "spot", "new", 1, b"{}"))
        assert [record.connection_id for record in read_tape(path)] == ["old"]
    assert [record.connection_id for record in read_tape(path)] == ["new"]
