"""A file against others of its instrument: unit, clock, day, sums, and where one day's file joins the next."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from quality.history.examine import examine
from quality.history.finding import Finding
from sources.history.reading import companions, read
from tests.quality.injecting import Doc, generated

Change = Callable[[Doc], None]


@pytest.fixture
def day(tmp_path: Path) -> dict[str, Doc]:
    """A day of trade and quote bars of one walk, and the same trades' bar of the day."""
    docs = {doc.name.rpartition("_")[2]: doc for doc in generated(5) if "crypto" in doc.name}
    trades, quotes = docs["trade.zip"], docs["quote.zip"]
    for trade, quote in zip(trades.rows, quotes.rows, strict=True):
        quote[1:5] = trade[1:5]
        quote[6:10] = [f"{float(price) + 0.05:.2f}" for price in trade[1:5]]
    bar = [
        "20210304 00:00",
        trades.rows[0][1],
        max((row[2] for row in trades.rows), key=float),
        min((row[3] for row in trades.rows), key=float),
        trades.rows[-1][4],
        f"{sum(float(row[5]) for row in trades.rows):.8f}",
    ]
    docs["daily"] = Doc("crypto__coinbase__daily__ethusd_trade.zip", [bar], trades.columns, "lean", inner="ethusd.csv")
    for doc in docs.values():
        doc.write(tmp_path)
    return docs


def checked(doc: Doc, folder: Path, change: Change = lambda _: None) -> list[Finding]:
    """Return what is found in a changed copy, with the files beside it."""
    copy = doc.copy()
    change(copy)
    path = copy.write(folder)
    return examine(read(path), [one for other in companions(path) for one in read(other)])


def checks(found: list[Finding], severity: str = "error") -> set[str]:
    return {one.check for one in found if one.severity == severity}


def times_hundred(doc: Doc) -> None:
    for row in doc.rows:
        for name in doc.prices:
            doc.put(row, name, doc.get(row, name) * 100)


def turned_around_the_clock(doc: Doc) -> None:
    for row in doc.rows:
        row[0] = str((int(row[0]) + 5 * 3_600_000) % 86_400_000)
    doc.rows.sort(key=lambda row: int(row[0]))


def test_files_that_agree_have_nothing_to_say(day: dict[str, Doc], tmp_path: Path) -> None:
    for doc in day.values():
        assert checked(doc, tmp_path) == []


@pytest.mark.parametrize("which", ["trade.zip", "quote.zip"])
def test_a_whole_file_in_another_unit_is_told_by_the_other(day: dict[str, Doc], tmp_path: Path, which: str) -> None:
    found = next(one for one in checked(day[which], tmp_path, times_hundred) if one.check == "price_differs")
    assert (found.severity, found.rows) == ("error", 1440)
    assert found.evidence["ratio"] == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("which", ["trade.zip", "quote.zip"])
def test_a_clock_that_is_off_is_told_with_its_hours(day: dict[str, Doc], tmp_path: Path, which: str) -> None:
    found = checked(day[which], tmp_path, turned_around_the_clock)
    assert [one.evidence["minutes"] for one in found if one.check == "clock_shift"] == [-300]


def test_bars_that_are_not_the_days_are_told(day: dict[str, Doc], tmp_path: Path) -> None:
    def without_volume(doc: Doc) -> None:
        doc.put(doc.rows[0], "volume", doc.get(doc.rows[0], "volume") / 2)

    copy = day["daily"].copy()
    without_volume(copy)
    copy.write(tmp_path)
    assert "rollup_differs" in checks(checked(day["trade.zip"], tmp_path), "warn")


def test_a_recording_that_stops_before_the_other_is_told_once(day: dict[str, Doc], tmp_path: Path) -> None:
    def cut(doc: Doc) -> None:
        del doc.rows[1000:]

    found = [one for one in checked(day["trade.zip"], tmp_path, cut) if one.check == "truncated_day"]
    assert [(one.severity, one.rows) for one in found] == [("error", 440)]


def test_another_days_file_and_a_jump_at_midnight_are_told(day: dict[str, Doc], tmp_path: Path) -> None:
    following = day["trade.zip"].copy()
    following.name = following.name.replace("20210304", "20210305")
    following.inner = following.inner.replace("20210304", "20210305")
    following.write(tmp_path)
    found = checked(day["trade.zip"], tmp_path)
    assert [(one.severity, one.rows) for one in found if one.check == "stale_file"] == [("error", 1440)]
    rng = random.Random(1)
    for row in following.rows:
        for name in following.prices:
            following.put(row, name, following.get(row, name) * 1.2)
        following.put(row, "volume", rng.random())
    following.write(tmp_path)
    assert "day_joint" in checks(checked(day["trade.zip"], tmp_path), "warn")


def test_bars_that_trades_contradict_are_told(tmp_path: Path) -> None:
    rng, trades = random.Random(2), []
    for number in range(3600):
        quantity = f"{rng.lognormvariate(0, 1):.6f}"
        trades.append([str(number), f"{100 + rng.random():.2f}", quantity, str(1_600_000_020_000 + number * 1000)])
    bars = []
    for at in range(0, 3600, 60):
        prices, sizes = [row[1] for row in trades[at : at + 60]], [float(row[2]) for row in trades[at : at + 60]]
        bars.append([trades[at][3], prices[0], max(prices), min(prices), prices[-1], f"{sum(sizes):.6f}"])
    doc = Doc("trades.csv", trades, {}, "epoch", header=["id,price,quantity,time"])
    others = [replace(one, notes={**one.notes, "against": True}) for one in read(doc.write(tmp_path))]

    def told(rows: list[list[str]]) -> set[tuple[str, str, int]]:
        doc = Doc("bars.csv", rows, {}, "epoch", header=["time,open,high,low,close,volume"])
        found = examine(read(doc.write(tmp_path)), others)
        return {(one.check, one.severity, one.rows) for one in found if "fine" in one.evidence}

    assert told(bars) == set()
    assert told([*bars[:20], *bars[21:]]) == {("missing_bars", "warn", 1)}
    assert told([*bars[:20], [*bars[20][:5], "1.5"], *bars[21:]]) == {("rollup_differs", "warn", 1)}
