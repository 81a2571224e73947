"""A piece of a file is read by what the tape keeps beside it: exactly and alike every time, bad lines with a reason."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import dataset
from contracts.judging import broken_rule
from sources.events import REJECTIONS, Accepted, Event, Rejected
from sources.fields import Fault
from sources.importing.layout import DAY_MS, EPOCH, TEXT, Layout, Piece, TimeForm, read_request
from sources.importing.parse import FILE, parse
from sources.importing.rows import always
from sources.importing.times import reader
from sources.placing import placed
from sources.tape_file import TapeRecord

DAY = datetime(2024, 5, 6, tzinfo=UTC)
MICROS = int(DAY.timestamp()) * 1_000_000


def layout(kind: str, columns: str, time: TimeForm | None = None, **more: Any) -> Layout:
    told: dict[str, Any] = {"names": always("X"), **more}
    form = time or TimeForm(DAY_MS, "2024-05-06")
    return Layout(kind, "v", "file.test", "c0ffee", tuple(columns.split(",")), form, **told)


def read(wanted: Layout, text: str, first: int = 1) -> list[Event]:
    return parse(FILE, text.encode(), Piece(wanted, first, "f.csv", "aa").request)


TRADES = layout("trades", "time,price,quantity,side,trade_id")
BARS = layout("bars", "time,open,high,low,close,volume", width_s=60)


def test_a_trade_keeps_its_digits_its_id_and_its_side() -> None:
    [event] = read(TRADES, '1500,"1,234.500000000001",0.1,Sell,77')
    assert isinstance(event, Accepted)
    assert event.row == {
        "venue": "v", "instrument": "X", "id_space": "file.test", "trade_id": "77", "venue_sequence": 77,
        "price": Decimal("1234.500000000001"), "quantity": Decimal("0.1"), "side": "sell", "trade_count": 1,
        "event_time": MICROS + 1_500_000,
    }  # fmt: skip


def test_rows_without_ids_are_known_by_their_line_and_their_content_and_sort_as_the_lines_do() -> None:
    told = layout("trades", "time,price,quantity")
    rows = [event.row for event in read(told, "5,1,1\n5,1,1\n5,2,1", first=9) if isinstance(event, Accepted)]
    assert [row["trade_id"] for row in rows] == [f"{n:010d}-c0ffee" for n in (9, 10, 11)]
    assert sorted(rows, key=lambda row: (row["venue_sequence"], row["trade_id"])) == rows
    assert {row["side"] for row in rows} == {"unknown"}


def test_who_made_the_market_tells_the_aggressor() -> None:
    told = layout("trades", "time,price,quantity,buyer_maker")
    rows = [event.row for event in read(told, "1,1,1,True\n1,1,1,false") if isinstance(event, Accepted)]
    assert [row["side"] for row in rows] == ["sell", "buy"]


def test_a_quote_bar_is_a_bar_of_each_side_that_it_tells() -> None:
    sides = ",".join(f"{side}_{one}" for side in ("bid", "ask") for one in ("open", "high", "low", "close"))
    told = layout("quote_bars", f"time,{sides}", width_s=60)
    both, bid = "0,1,4,1,2,2,5,2,3", "0,1,4,1,2,,,,"
    rows = [event.row for event in read(told, f"{both}\n{bid}") if isinstance(event, Accepted)]
    assert [(row["id_space"], row["close"]) for row in rows] == [
        ("file.test.bid", 2), ("file.test.ask", 3), ("file.test.bid", 2)
    ]  # fmt: skip
    assert {row["event_time"] for row in rows} == {MICROS + 60_000_000}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1500,abc,1,buy,1", "not_a_number"),
        ("1500,1.0000000000001,1,buy,1", "price_digits"),
        ("1500,1,,buy,1", "missing_field"),
        ("1500,1,1,up,1", "wrong_type"),
        ("noon,1,1,buy,1", "wrong_type"),
        (",1,1,buy,1", "missing_field"),
        ("1500,1,1,buy", "wrong_type"),
        ('1500,"1', "wrong_type"),
    ],
)
def test_a_bad_line_is_refused_alone_with_its_number_and_its_bytes(line: str, reason: str) -> None:
    good, bad, other = read(TRADES, f"1,1,1,buy,1\n{line}\n2,2,2,sell,2", first=100)
    assert isinstance(good, Accepted)
    assert isinstance(other, Accepted)
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.part) == (reason, line.encode())
    assert bad.detail.startswith("line 101: ")


def test_what_the_vendor_doubts_is_no_trade() -> None:
    told = layout("trades", "time,price,quantity,suspicious")
    found = read(told, "1,1,1,0\n1,1,1,1\n1,1,1,")
    assert [type(event) for event in found] == [Accepted, Rejected, Accepted]
    assert found[1].reason == "vendor_doubts"  # type: ignore[union-attr]


cells = st.one_of(
    st.decimals(0, 10**9, places=6, allow_nan=False).map(str),
    st.sampled_from(["", "nan", "-1", "1e3", "1e99", "NaN", "\x00", '"', "buy", "9" * 40, "²", "1_0"]),
    st.text(max_size=6),
)


@given(st.lists(st.lists(cells, max_size=7).map(",".join), max_size=6), st.sampled_from(["trades", "bars", "quotes"]))
def test_any_text_gives_events_that_fit_their_contract_and_the_same_again(lines: list[str], kind: str) -> None:
    columns = {"trades": TRADES.columns, "bars": BARS.columns, "quotes": ("time", "bid_price", "ask_price")}[kind]
    told = layout(kind, ",".join(columns), width_s=60)
    text = "\n".join(lines)
    found = read(told, text)
    assert found
    for index, event in enumerate(read(told, text)):
        if isinstance(event, Rejected):
            assert event == found[index]
            assert event.reason in REJECTIONS
        elif isinstance(event, Accepted):
            record = TapeRecord(MICROS * 2, "import", FILE, "c", 1, b"")
            row = placed(event, record, index)
            wire = {column.name for column in dataset(event.dataset).wire_columns}
            assert set(row) == wire
            broken_rule(dataset(event.dataset), row)  # raises where a value is of no type that the rules know


@given(st.binary(max_size=200), st.text(max_size=60), st.sampled_from([FILE, "rest", "", "other"]))
def test_any_bytes_give_at_least_one_event(payload: bytes, request: str, endpoint: str) -> None:
    assert parse(endpoint, payload, request)


requests = st.builds(
    Layout,
    kind=st.sampled_from(["bars", "trades", "quotes"]),
    venue=st.text(min_size=1, max_size=5),
    space=st.text(min_size=1, max_size=5),
    content=st.text(min_size=1, max_size=5),
    columns=st.lists(st.text(max_size=4), max_size=4).map(lambda names: ("time", *names)),
    time=st.builds(TimeForm, how=st.sampled_from([EPOCH, TEXT]), forms=st.just(("iso",))),
    names=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3)), max_size=2).map(tuple),
    separator=st.sampled_from(",;\t|"),
    scale=st.sampled_from([1, 10_000]),
    width_s=st.integers(0, 86_400),
)


@given(requests, st.integers(1, 10**9))
def test_what_stands_beside_a_piece_is_read_back_as_it_was(told: Layout, line: int) -> None:
    assert read_request(Piece(told, line, "f", "aa", "m").request) == (told, line)


moments = st.datetimes(datetime(1975, 1, 1), datetime(2040, 1, 1))


@given(moments)
def test_times_are_read_to_the_microsecond_in_every_form(moment: datetime) -> None:
    exact = (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    iso = reader(TimeForm(TEXT, forms=("iso",)))
    assert iso(moment.isoformat()) == iso(f"{moment.isoformat()}Z") == iso(f"{moment.isoformat(' ')} UTC") == exact
    assert iso(moment.replace(tzinfo=ZoneInfo("Asia/Tokyo")).isoformat()) == exact - 9 * 3600 * 10**6
    slashed = reader(TimeForm(TEXT, forms=("%d/%m/%Y %H:%M:%S",)))
    assert slashed(f"{moment:%d/%m/%Y %H:%M:%S}") == exact - exact % 10**6
    counted = reader(TimeForm(EPOCH))
    assert counted(str(exact)) == exact
    assert counted(str(exact // 1000)) == exact - exact % 1000
    assert counted(str(exact * 1000 + 7)) == exact


@given(st.integers(0, 86_399_999))
def test_milliseconds_of_a_day_are_told_by_the_exchange_s_clock(count: int) -> None:
    summer = reader(TimeForm(DAY_MS, "2013-10-07", "America/New_York"))
    assert summer(str(count)) == int(datetime(2013, 10, 7, 4, tzinfo=UTC).timestamp()) * 10**6 + count * 1000


def test_a_time_that_never_was_is_no_time() -> None:
    local = reader(TimeForm(TEXT, "", "America/New_York", ("iso",)))
    with pytest.raises(Fault):
        local("2024-03-10 02:30:00")
    assert local("2024-11-03 01:30:00") == int(datetime(2024, 11, 3, 5, 30, tzinfo=UTC).timestamp()) * 10**6
    changing = reader(TimeForm(DAY_MS, "2024-03-10", "America/New_York"))
    assert changing(str(12 * 3_600_000)) == int(datetime(2024, 3, 10, 16, tzinfo=UTC).timestamp()) * 10**6


def test_the_parser_is_light_enough_for_every_worker() -> None:
    import subprocess
    import sys

    root = Path(__file__).resolve().parents[2]
    code = "import sys; from sources.venues import venue; venue('import'); assert 'polars' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)
