"""What a file is, is told by its name or its columns; its pieces are the same every time, wherever one begins."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from sources.events import Accepted
from sources.history.reading import read
from sources.importing import content
from sources.importing.planning import Wish, found_files, plan
from sources.importing.records import Record, overlapping
from tests.sources.importing_parts import CRYPTO, EQUITIES, SHARED, events_of, only, packed, refused_of, rows_of

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not on this machine")
V = Wish(venue="v")


def written(folder: Path, text: str, name: str = "x.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@needs_shared
@pytest.mark.parametrize(
    "path",
    [
        *(CRYPTO / f"crypto__coinbase__{one}_trade.zip" for one in ("daily__btcusd", "minute__btcusd__20180404")),
        CRYPTO / "crypto__coinbase__second__btcusd__20161007_trade.zip",
        EQUITIES / "equity__usa__daily__aapl.zip",
        EQUITIES / "equity__usa__minute__spy__20131004_trade.zip",
        EQUITIES / "equity__usa__tick__ibm__20131007_trade.zip",
        EQUITIES / "equity__usa__tick__ibm__20131007_quote.zip",
    ],
    ids=lambda path: path.name,
)
def test_rows_are_those_that_the_checker_reads(path: Path) -> None:
    # Two readers of one format, written apart: numbers, times and lines must agree.
    [recorded] = read(path)
    part = only(path)
    rows, refused = rows_of(part), refused_of(part)
    doubted = [line for line in refused if line.reason == "vendor_doubts"]
    assert len(rows) + len(doubted) == recorded.frame.height
    assert len(refused) - len(doubted) == recorded.unreadable.height
    kept = recorded.frame
    if "suspicious" in kept.columns:
        kept = kept.filter(~pl.col("suspicious").fill_null(False))
    time = "bar_time" if recorded.kind == "bars" else "event_time"
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    told: list[Any] = [row[time] for row in rows]
    assert told == [(one - epoch).total_seconds() * 10**6 for one in kept["time"]]
    for name in ("open", "high", "low", "close", "price", "bid_price", "ask_price", "quantity"):
        if name in kept.columns:
            assert [row[name] for row in rows] == kept[name].fill_null(0).to_list(), name


@needs_shared
def test_both_sides_of_every_quote_bar_are_there() -> None:
    part = only(CRYPTO / "crypto__coinbase__minute__btcusd__20180404_quote.zip")
    rows = rows_of(part)
    assert part.lines == 1437
    assert len(rows) == 2 * 1437
    assert {row["id_space"] for row in rows} == {"lean.bars_1m.bid", "lean.bars_1m.ask"}


def test_a_table_is_told_by_its_columns_and_its_bars_by_their_step(tmp_path: Path) -> None:
    lines = [f"{d:02d}/01/2024,1,3,1,2,5" for d in range(1, 20)]
    part = only(written(tmp_path, "\n".join(["Date,Open,High,Low,Close,Volume", *lines]), "AAA.csv"), V)
    assert (part.layout.kind, part.layout.width_s, part.layout.space) == ("bars", 86_400, "file.bars_1d")
    # The 13th of a month tells days from months, for the lines before it too.
    assert rows_of(part)[1]["bar_time"] == int(datetime(2024, 1, 2, tzinfo=UTC).timestamp()) * 10**6
    assert rows_of(part)[0]["instrument"] == "AAA"


def test_named_columns_separators_and_instruments_in_a_column_are_heeded(tmp_path: Path) -> None:
    text = "when;what;px;n\n2024-01-02 10:00:00;A;1,5;2\n2024-01-02 10:00:01;B;3;4\n".replace("1,5", "1.5")
    wish = Wish("v", kind="trades", columns={"time": "when", "instrument": "what", "price": "px", "quantity": "n"})
    rows = rows_of(only(written(tmp_path, text), wish))
    assert [(row["instrument"], row["price"], row["id_space"]) for row in rows] == [
        ("A", Decimal("1.5"), "file.trade_row"), ("B", Decimal(3), "file.trade_row"),
    ]  # fmt: skip


def test_binance_s_archives_need_no_header_and_join_the_venue_s_own_series(tmp_path: Path) -> None:
    text = (
        "3181937200,63000.01,0.002,126.0,1714521600000,True,True\n3181937201,63000.02,0.1,6300,1714521600001,False,True"
    )
    wish = Wish("binance", "BTCUSDT", space="spot.trade")
    rows = rows_of(only(written(tmp_path, text, "BTCUSDT-trades-2024-05-01.csv"), wish))
    assert [(r["id_space"], r["venue_sequence"], r["side"]) for r in rows] == [
        ("spot.trade", 3181937200, "sell"), ("spot.trade", 3181937201, "buy"),
    ]  # fmt: skip


def test_the_same_content_is_the_same_whatever_it_is_packed_in(tmp_path: Path) -> None:
    text = "time,price,quantity\n" + "\n".join(f"2024-01-02T00:00:{n:02d},{n}.5,1" for n in range(60))
    plain = written(tmp_path, text, "plain.csv")
    zipped = packed(tmp_path / "packed.zip", text)
    (tmp_path / "g.csv.gz").write_bytes(gzip.compress(text.encode()))
    wish = Wish("v", "X")
    parts = [only(one, wish) for one in (plain, zipped, tmp_path / "g.csv.gz")]
    assert len({part.connection_id for part in parts}) == 1
    assert rows_of(parts[0]) == rows_of(parts[1]) == rows_of(parts[2])
    assert len({part.sha256 for part in parts}) == 3
    # Read by another clock it is another import.
    assert only(plain, Wish("v", "X", zone="Asia/Tokyo")).connection_id != parts[0].connection_id


def test_parquet_rows_are_those_of_the_same_table_as_text(tmp_path: Path) -> None:
    stamps = [datetime(2024, 1, 2, 0, 0, n, 123_456, tzinfo=UTC) for n in range(30)]
    prices = [n / 4 + 0.1 for n in range(30)]
    pl.DataFrame({"time": stamps, "price": prices, "size": [1] * 30}).write_parquet(tmp_path / "t.parquet")
    rows = rows_of(only(tmp_path / "t.parquet", Wish("v", "X")))
    assert [row["price"] for row in rows] == [Decimal(repr(price)) for price in prices]
    assert rows[0]["event_time"] == int(stamps[0].timestamp()) * 10**6 + 123_456


@pytest.mark.parametrize(
    ("text", "wish", "says"),
    [
        ("a,b\n1,2", V, "nothing tells what"),
        ("time,price,quantity\n2024-01-02,1,1", Wish(), "--venue"),
        ("time,close\n2024-01-02,1", V, "open, high, low"),
        ("time,open,high,low,close\n2024-01-02,1,1,1,1", V, "--width"),
        ("time,price,quantity\nsoon,1,1", V, "no known form"),
        ("time,price,quantity\n2024-01-02,x,1\n2024-01-03,y,1", V, "2 of 2 lines"),
    ],
)
def test_what_can_t_be_imported_says_what_is_missing(tmp_path: Path, text: str, wish: Wish, says: str) -> None:
    with pytest.raises(TerminalError, match=says.replace("(", r"\(")):
        plan(written(tmp_path, text), wish)


def test_folders_are_walked_and_other_files_left_alone(tmp_path: Path) -> None:
    for name in ("b.csv", "sub/a.zip", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in found_files([tmp_path, tmp_path / "b.csv"])] == ["b.csv", "a.zip"]
    with pytest.raises(TerminalError, match="neither a file nor a folder"):
        found_files([tmp_path / "gone"])


tables = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)), min_size=1, max_size=1800)


@given(tables, st.integers(1, 2000))
def test_an_import_that_goes_on_anywhere_brings_exactly_the_rest(rows: list[tuple[int, int]], line: int) -> None:
    text = "time,price,quantity\n" + "\n".join(f"{1_700_000_000_000 + t},{p},1" for t, p in rows)
    with TemporaryDirectory() as folder:
        part = only(written(Path(folder), text), Wish("v", "X"))
        whole = [event.row for event in events_of(part) if isinstance(event, Accepted)]
        rest = [event.row for event in events_of(part, line) if isinstance(event, Accepted)]
        sizes = [count for _, _, count in content.pieces(part.open(), part.skip)]
    assert len(whole) == len(rows) == sum(sizes) == part.lines
    assert rest == whole[max(line - 2, 0) :]
    assert len({row["trade_id"] for row in whole}) == len(whole)


def record(**more: Any) -> Record:
    told: dict[str, Any] = {
        "connection_id": "a", "file": "f", "sha256": "", "member": "", "venue": "v", "space": "s", "kind": "trades",
        "placed": True, "instruments": ("X",), "first_time": 10, "last_time": 20,
    }  # fmt: skip
    return Record(**(told | more))


@pytest.mark.parametrize(
    ("other", "meets"),
    [
        ({}, False),  # itself
        ({"connection_id": "b"}, True),
        ({"connection_id": "b", "first_time": 21, "last_time": 30}, False),
        ({"connection_id": "b", "first_time": 20, "last_time": 30}, True),
        ({"connection_id": "b", "instruments": ("Y",)}, False),
        ({"connection_id": "b", "instruments": ()}, True),
        ({"connection_id": "b", "placed": False}, False),
        ({"connection_id": "b", "space": "t"}, False),
    ],
)
def test_rows_without_ids_meet_another_content_s_where_series_and_time_are_shared(
    other: dict[str, Any], meets: bool
) -> None:
    assert (overlapping(record(), [record(**other)]) is not None) is meets
