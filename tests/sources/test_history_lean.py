"""Lean's files: what their names say, and rows with exact prices, times in UTC and the line of each."""

import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TerminalError
from sources.history.lean_names import beside, lean_name
from sources.history.reading import read


def packed(path: Path, text: str, inner: str = "inner.csv") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(inner, text)
    return path


@pytest.mark.parametrize(
    ("path", "kind", "instrument", "day"),
    [
        ("crypto__coinbase__minute__btcusd__20180404_trade.zip", "bars", "btcusd", date(2018, 4, 4)),
        ("Data/crypto/binance/second/ethusdt/20210101_quote.zip", "quote_bars", "ethusdt", date(2021, 1, 1)),
        ("equity__usa__tick__ibm__20131007_quote.zip", "quotes", "ibm", date(2013, 10, 7)),
        ("Data/equity/usa/daily/aapl.zip", "bars", "aapl", None),
        ("forex__oanda__hour__eurusd.zip", "quote_bars", "eurusd", None),
        ("option__usa__minute__goog__20151223_openinterest_american.zip", "open_interest", "goog", date(2015, 12, 23)),
        ("option/usa/universes/aapl/20140606.csv", "universe", "aapl", date(2014, 6, 6)),
        ("Data__equity__usa__factor_files__brk.b.csv", "factors", "brk.b", None),
        ("equity__usa__map_files__goog.csv", "maps", "goog", None),
    ],
)
def test_a_name_says_what_the_file_holds(path: str, kind: str, instrument: str, day: date | None) -> None:
    name = lean_name(Path(path))
    assert name is not None
    assert (name.kind, name.symbol, name.day) == (kind, instrument, day)


@pytest.mark.parametrize(
    "path", ["btcusd.zip", "crypto__coinbase__minute__btcusd__20181399_trade.zip", "a/b/daily.csv"]
)
def test_another_name_says_nothing(path: str) -> None:
    assert lean_name(Path(path)) is None


@given(st.integers(1, 10**9), st.integers(0, 86_399_999))
def test_prices_are_exact_and_times_those_of_the_exchange(price: int, milliseconds: int) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        path = Path(folder) / "equity__usa__tick__ibm__20131007_trade.zip"
        row = read(packed(path, f"{milliseconds},{price},100,P,2000,0"))[0].frame.to_dicts()[0]
    assert row["price"] == Decimal(price) / 10_000
    midnight = datetime(2013, 10, 7, 4, tzinfo=UTC)  # New York's
    assert (row["time"] - midnight).total_seconds() * 1000 == pytest.approx(milliseconds)
    assert (row["line"], row["suspicious"], row["exchange"]) == (1, False, "P")


def test_crypto_is_in_units_and_utc(tmp_path: Path) -> None:
    path = packed(tmp_path / "crypto__coinbase__minute__btcusd__20180404_trade.zip", "60000,7420,7422.5,7405,7405,0.1")
    recorded = read(path)[0]
    row = recorded.frame.to_dicts()[0]
    assert (row["time"], row["high"], recorded.width_s) == (
        datetime(2018, 4, 4, 0, 1, tzinfo=UTC),
        Decimal("7422.5"),
        60,
    )


def test_a_missing_side_is_blank_and_a_bad_row_is_kept(tmp_path: Path) -> None:
    rows = ("0,1,1,1,1,5,2,2,2,2,5", "60000,,,,,,2,2,2,2,5", "120000,x,1,1,1,5,2,2,2,2,5", "180000,1,1")
    text = "\n".join([*rows, "240000,1,1,1,1,5,2,2,2,2,5"])
    recorded = read(packed(tmp_path / "crypto__coinbase__minute__btcusd__20180404_quote.zip", text))[0]
    assert recorded.frame["line"].to_list() == [1, 2, 5]
    assert recorded.frame["bid_close"].null_count() == 1
    assert recorded.unreadable.rows() == [
        (3, "120000,x,1,1,1,5,2,2,2,2,5", "bid_open 'x' is no number"),
        (4, "180000,1,1", "3 cells where 11 are expected"),
    ]


def test_an_option_is_named_by_the_packed_file(tmp_path: Path) -> None:
    path = tmp_path / "option__usa__minute__goog__20151223_trade_american.zip"
    packed(
        path, "50220000,980000,980000,980000,980000,12", "20151223_goog_minute_trade_american_put_6575000_20151224.csv"
    )
    assert read(path)[0].instrument == "GOOG 20151224 657.5 put"


def test_the_packed_file_of_another_day_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "crypto__coinbase__minute__btcusd__20180404_trade.zip"
    recorded = read(packed(path, "0,1,1,1,1,1", "20180405_btcusd_minute_trade.csv"))[0]
    assert recorded.notes["inner_day"] == date(2018, 4, 5)


def test_files_of_the_same_instrument_are_found_in_a_folder_and_in_a_tree(tmp_path: Path) -> None:
    names = ("crypto/coinbase/minute/btcusd/20180404_trade.zip", "crypto/coinbase/minute/btcusd/20180404_quote.zip",
             "crypto/coinbase/minute/btcusd/20180405_trade.zip", "crypto/coinbase/daily/btcusd_trade.zip",
             "crypto/coinbase/minute/ethusd/20180404_trade.zip")  # fmt: skip
    for form in ("/", "__"):
        paths = [packed(tmp_path / form.strip("/") / name.replace("/", form), "") for name in names]
        name = lean_name(paths[0])
        assert name is not None
        assert set(beside(paths[0], name)) == set(paths[1:4])


def test_a_damaged_zip_is_one_error(tmp_path: Path) -> None:
    path = packed(tmp_path / "crypto__coinbase__minute__btcusd__20180404_trade.zip", "0,1,1,1,1,1\n" * 1000)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(TerminalError, match="fetch it again"):
        read(path)


def test_a_universe_keeps_the_underlying_apart(tmp_path: Path) -> None:
    path = tmp_path / "option__usa__universes__aapl__20140606.csv"
    path.write_text(
        "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta,rho\n"
        ",,,92.69,92.95,92.50,92.72,2467914,,,,,,,\n20140613,70.71,C,1,2,1,2,5,,0.3,0.9,0,0,0,0\n"
    )
    frame = read(path)[0].frame
    assert frame["strike"].to_list() == [None, Decimal("70.71")]
    assert frame["line"].to_list() == [2, 3]
