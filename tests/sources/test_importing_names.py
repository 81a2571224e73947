"""A ticker that two companies used is two instruments; a company that was renamed stays one."""

from datetime import date
from pathlib import Path

import pytest

from contracts.errors import TerminalError
from sources.history.lean_names import lean_name
from sources.importing.names import names_of
from tests.sources.importing_parts import EQUITIES, only, packed, rows_of

MAPS = {
    "goog": "20140327,goocv,Q\n20140402,goocv,Q\n20501231,goog,Q\n",
    "googl": "20040819,goog,Q\n20140402,goog,Q\n20501231,googl,Q\n",
    "bac": "19980102,nb,N\n19980930,nb,N\n20501231,bac,N\n",
}
ALWAYS = ("0001-01-01", "9999-12-31")
OLD, NEW = "GOOG.20040819", "GOOCV.20140327"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, text in MAPS.items():
        path = tmp_path / f"equity/usa/map_files/{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def named(path: Path) -> tuple[tuple[str, str, str], ...]:
    name = lean_name(path)
    assert name is not None
    return names_of(path, name)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("tick/goog/20131007_trade.zip", OLD),
        ("tick/goog/20140402_trade.zip", OLD),
        ("tick/goog/20140403_trade.zip", NEW),
        ("tick/googl/20140403_trade.zip", OLD),
        ("tick/goocv/20140401_trade.zip", NEW),
        ("minute/nb/19980601_trade.zip", "NB.19980102"),
        ("minute/bac/20131007_trade.zip", "NB.19980102"),
        ("minute/bac/19980601_trade.zip", "NB.19980102"),
    ],
)
def test_a_day_s_file_is_of_the_company_that_had_the_ticker_then(data: Path, file: str, name: str) -> None:
    assert named(data / "equity/usa" / file) == ((*ALWAYS, name),)


def test_a_file_of_many_days_is_of_each_company_for_its_days(data: Path) -> None:
    days = ["20140401", "20140402", "20140403", "20140404"]
    path = packed(data / "equity/usa/daily/goog.zip", "\n".join(f"{day} 00:00,1,1,1,1,1" for day in days))
    assert [row["instrument"] for row in rows_of(only(path))] == [OLD, OLD, NEW, NEW]


def test_a_renamed_company_s_file_is_one_instrument(data: Path) -> None:
    path = data / "equity/usa/daily/bac.zip"
    packed(path, "19980601 00:00,1,1,1,1,1\n20131007 00:00,1,1,1,1,1")
    assert [row["instrument"] for row in rows_of(only(path))] == ["NB.19980102"] * 2


def test_without_map_files_the_ticker_is_the_name(tmp_path: Path) -> None:
    assert named(tmp_path / "equity/usa/tick/goog/20131007_trade.zip") == ()
    path = packed(tmp_path / "equity/usa/daily/zz.zip", "19980601 00:00,1,1,1,1,1")
    assert [row["instrument"] for row in rows_of(only(path))] == ["ZZ"]


def test_two_companies_with_one_ticker_at_once_are_refused(data: Path) -> None:
    (data / "equity/usa/map_files/other.csv").write_text("20100101,goog,Q\n20501231,goog,Q\n")
    with pytest.raises(TerminalError, match="both called GOOG"):
        named(data / "equity/usa/tick/goog/20131007_trade.zip")


@pytest.mark.skipif(not EQUITIES.is_dir(), reason="the shared recordings are not on this machine")
def test_the_shared_map_files_tell_the_two_companies_called_goog_apart() -> None:
    flat = EQUITIES / "equity__usa__map_files__goog.csv"
    assert named(flat) == ((*ALWAYS, NEW),)
    rows = rows_of(only(flat))
    assert [(row["ticker"], row["event_time"]) for row in rows][-1][0] == "GOOG"
    assert named(EQUITIES / "equity__usa__tick__ibm__20131007_trade.zip") == ()
    day = date(2013, 10, 7)
    assert named(EQUITIES / f"equity__usa__minute__goog__{day:%Y%m%d}_trade.zip") == ((*ALWAYS, OLD),)
