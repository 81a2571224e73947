"""Tables of anybody's columns: kinds and columns by name, times in many forms, and no row lost."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from sources.history.cells import table
from sources.history.columns import mapped, parsed_columns
from sources.history.reading import read
from sources.history.times import parsed


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Date,AAPL.Open,AAPL.High,AAPL.Low,AAPL.Close,AAPL.Volume,AAPL.Adjusted", "bars"),
        ("date,close,volume,open,high,low", "bars"),
        ("symbol,date,price", "bars"),
        ("date,return", "returns"),
        ("tx_id,date_time,from,to,eth_price,punk_id", "trades"),
        ("exchange,symbol,timestamp,local_timestamp,id,side,price,amount", "trades"),
        ("exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount", "quotes"),
        ("a,b,c", ""),
    ],
)
def test_the_header_tells_the_kind(header: str, kind: str) -> None:
    assert mapped(header.split(","))[0] == kind


def test_columns_are_named_by_the_user() -> None:
    said = parsed_columns("time=DATE, open=FIRST,close=LAST", "bars")
    assert mapped(["DATE", "FIRST", "LAST", "x"], "bars", said)[1] == {"time": "DATE", "open": "FIRST", "close": "LAST"}
    with pytest.raises(TerminalError, match="valid is NAME=THEIRS"):
        parsed_columns("opening=FIRST", "bars")
    with pytest.raises(TerminalError, match="no column is called 'FIRST'"):
        mapped(["DATE"], "bars", said)
    with pytest.raises(TerminalError, match="which column holds close"):
        mapped(["DATE", "high"], "bars", {"time": "DATE"})


FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d %H:%M", "%m/%d/%Y", "%m/%d/%y", "%b %d %Y", "%d-%b-%Y", "%Y-%m-%dT%H:%M:%SZ",
         "%Y-%m-%d %H:%M:%S+00:00", "%m/%d/%Y %I:%M:%S %p")  # fmt: skip


@given(
    st.sampled_from(FORMS), st.lists(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)), min_size=1, max_size=8)
)
def test_times_are_read_in_the_usual_forms(form: str, times: list[datetime]) -> None:
    # A day after the 12th tells month and day apart.
    asked = [datetime(1999, 12, 31), *(time.replace(second=0, microsecond=0) for time in times)]
    told = [datetime.strptime(time.strftime(form), form).replace(tzinfo=UTC) for time in asked]
    assert parsed(pl.Series([time.strftime(form) for time in asked])).to_list() == told


@given(st.integers(10**9, 4 * 10**9), st.sampled_from((1, 1_000, 1_000_000, 1_000_000_000)))
def test_counts_since_1970_are_read_by_their_length(seconds: int, unit: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert parsed(pl.Series([str(seconds * unit)]))[0] == expected


@given(st.lists(st.decimals(min_value=Decimal("-1e12"), max_value=Decimal("1e12"), places=9), min_size=1, max_size=20))
def test_numbers_are_exact(numbers: list[Decimal]) -> None:
    read_table = table("\n".join(f"x,{number}" for number in numbers), ("name", "price"))
    read_table.number("price")
    assert read_table.frame["price"].to_list() == numbers


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters='\r\n"\v\f\x1c\x1d\x1e\x85'), max_size=12)))
def test_every_line_is_a_row_or_unreadable(lines: list[str]) -> None:
    text = "\n".join(["2020-01-01,1,1,1,1,1", *lines])
    read_table = table(text, ("time", "open", "high", "low", "close", "volume"))
    read_table.numbers(("open", "high", "low", "close", "volume"))
    seen = [*read_table.frame["line"], *(number for number, _, _ in read_table.bad)]
    assert sorted(seen) == [number for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def test_words_for_nothing_are_blank_and_other_words_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "zzz.csv"
    path.write_text('date,open,high,low,close,volume\n2020-01-02,1,2,1,NaN,5\n2020-01-03,1,2,1,n.a.,5\n'
                    '"11:34","1","2","1","1","4,787,699"\n2020-01-06,1,2,1,1,"4,787,699"\n')  # fmt: skip
    recorded = read(path)[0]
    assert recorded.frame["close"].to_list() == [None, Decimal(1)]
    assert recorded.frame["volume"].to_list() == [Decimal(5), Decimal(4_787_699)]
    assert recorded.unreadable["reason"].to_list() == [
        "close 'n.a.' is no number",
        "time '11:34' is no date and no time",
    ]


def test_the_same_rows_are_read_from_every_packing(tmp_path: Path) -> None:
    rows = [{"time": f"2020-01-0{n} 00:00:00", "price": 1.25 * n, "quantity": n, "id": n} for n in range(1, 6)]
    text = "time,price,quantity,id\n" + "".join(",".join(map(str, row.values())) + "\n" for row in rows)
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.csv").write_text(text.replace(",", ";"))
    (tmp_path / "d.json").write_text(json.dumps(rows))
    (tmp_path / "e.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    pl.DataFrame(rows).write_parquet(tmp_path / "f.parquet")
    frames = [read(path)[0].frame.drop("line") for path in sorted(tmp_path.iterdir())]
    assert len(frames) == 6
    for frame in frames:
        assert frame["price"].to_list() == [Decimal(str(row["price"])) for row in rows]
        assert frame.select(sorted(frame.columns)).equals(frames[0].select(sorted(frame.columns)))


def test_a_file_of_many_instruments_gives_one_series_each(tmp_path: Path) -> None:
    path = tmp_path / "stocks.csv"
    path.write_text("symbol,date,price\nAAA,Jan 1 2000,1\nBBB,Jan 1 2000,2\nAAA,Feb 1 2000,3\n")
    assert [(one.instrument, one.frame.height) for one in read(path)] == [("AAA", 2), ("BBB", 1)]


def test_headerless_archives_of_binance_are_known(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m-2021-01-01.csv"
    path.write_text(
        "1609459200000,28923.63,28961.66,28913.12,28961.66,27.457032,1609459259999,794382.0,1292,16.7,485390.8,0\n" * 2
    )
    recorded = read(path)[0]
    assert (recorded.kind, recorded.frame["trade_count"].to_list()) == ("bars", [1292, 1292])


def test_a_line_above_the_header_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("https://www.example.com\nunix,date,symbol,open,high,low,close\n1,2020-01-02,BTC,1,2,1,2\n")
    recorded = read(path)[0]
    assert (recorded.kind, recorded.instrument, recorded.frame["line"].to_list()) == ("bars", "BTC", [3])


def test_columns_without_names_are_called_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1609459200,29000.5,0.1\n1609459201,29000.6,0.2\n")
    frame = read(path, "trades", parsed_columns("time=1,price=2,quantity=3", "trades"))[0].frame
    assert frame["price"].to_list() == [Decimal("29000.5"), Decimal("29000.6")]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", '{"a": 1}', "\x00\x01\x02", "PAR1"])
def test_what_nobody_can_name_is_one_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.csv"
    path.write_text(text)
    with pytest.raises(TerminalError):
        read(path)


def test_krakens_answers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "http_trades.json"
    trade = ["105433.60000", "0.00027625", 1762795433.9717445, "b", "l", "", 10218208]
    path.write_text(json.dumps({"error": [], "result": {"XBTUSDT": [trade, ["x"]], "last": "1762820035982277754"}}))
    recorded = read(path)[0]
    row = recorded.frame.to_dicts()[0]
    assert (row["price"], row["side"], row["trade_id"]) == (Decimal("105433.6"), "buy", 10218208)
    assert row["time"] == datetime(2025, 11, 10, 17, 23, 53, 971744, tzinfo=UTC)
    assert recorded.unreadable["line"].to_list() == [2]


def test_book_snapshots_give_a_row_a_level(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(
        "exchange,symbol,timestamp,local_timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount\n"
        "binance-futures,BTCUSDT,1598918403696000,1598918403810979,11657.08,1.714,11657.07,10.896\n"
    )
    frame = read(path)[0].frame
    assert frame.select("side", "level", "price", "quantity").rows() == [
        ("ask", 0, Decimal("11657.08"), Decimal("1.714")),
        ("bid", 0, Decimal("11657.07"), Decimal("10.896")),
    ]


def test_a_raw_feed_gives_trades_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "BINANCE.ws.1.0"
    payload = {"e": "aggTrade", "E": 1633998524000, "s": "NKNUSDT", "a": 7, "p": "0.5", "q": "10", "f": 1, "l": 2,
               "T": 1633998524000, "m": True, "M": True}  # fmt: skip
    line = "1633998523.995: " + json.dumps({"stream": "nknusdt@aggTrade", "data": payload})
    path.write_text(f"wss://stream.binance.com:9443/stream?streams=nknusdt@aggTrade <-> 1633998511.0\n{line}\n{line}\n")
    by_kind = {one.kind: one for one in read(path)}
    assert by_kind["trades"].frame["trade_id"].to_list() == [7, 7]
    assert by_kind["feed"].notes["lines_again"] == 1
