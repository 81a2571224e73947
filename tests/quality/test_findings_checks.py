"""Single checks at their edges: splits and crashes, factor files, names, options, clocks, ids and books."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quality.history.examine import examine
from quality.history.finding import SEVERITIES, Finding, worst
from quality.history.sessions import sessions
from sources.history.reading import companions, read
from tests.quality.injecting import Doc, generated


def found_in(path: Path) -> dict[str, Finding]:
    """Return what is found in a file, by check."""
    return {one.check: one for one in examine(read(path), [two for other in companions(path) for two in read(other)])}


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def daily(seed: int = 1) -> Doc:
    return next(doc for doc in generated(seed) if doc.name == "equity__usa__daily__zzz.zip")


def split(doc: Doc, at: int, ratio: float, volume: float) -> None:
    """Divide prices by the ratio from a row on; the row's own volume becomes so many times its own."""
    for number, row in enumerate(doc.rows):
        if number >= at:
            for name in doc.prices:
                doc.put(row, name, doc.get(row, name) / ratio)
    doc.put(doc.rows[at], "volume", round(doc.get(doc.rows[at], "volume") * volume))


def test_a_split_that_the_factor_file_tells_is_a_note(tmp_path: Path) -> None:
    doc = daily()
    split(doc, 500, 7, 1)
    before = doc.rows[499][0][:8]
    factors = tmp_path / "equity__usa__factor_files__zzz.csv"
    written(factors, f"19980102,1,{1 / 7:.8f},1", f"{before},1,{1 / 7:.8f},1", "20501231,1,1,0")
    found = found_in(doc.write(tmp_path))
    assert (found["split"].severity, found["split"].rows) == ("info", 1)
    assert not {"split_unadjusted", "crash"} & set(found)
    factors.unlink()
    assert found_in(doc.write(tmp_path))["split_unadjusted"].severity == "warn"
    written(factors, "19980102,1,0.5,1", "20160105,1,0.5,1", "20501231,1,1,0")
    found = found_in(doc.write(tmp_path))
    assert found["split_unadjusted"].severity == "warn"
    assert found["already_adjusted"].severity == "error"


def test_half_the_price_at_twenty_times_the_volume_is_a_crash(tmp_path: Path) -> None:
    doc = daily()
    split(doc, 500, 2.07, 20)
    found = found_in(doc.write(tmp_path))
    assert (found["crash"].severity, found["crash"].rows) == ("warn", 1)
    assert "split_unadjusted" not in found


def test_closes_that_the_factor_file_does_not_repeat_are_told(tmp_path: Path) -> None:
    doc = daily()
    rows = [f"{row[0][:8]},1,1,{float(row[4]) / 10_000:.4f}" for row in doc.rows[100:500:50]]
    written(tmp_path / "equity__usa__factor_files__zzz.csv", *rows, "20501231,1,1,0")
    assert "reference_price_differs" not in found_in(doc.write(tmp_path))
    for row in doc.rows:
        for name in doc.prices:
            doc.put(row, name, doc.get(row, name) / 100)
    assert found_in(doc.write(tmp_path))["reference_price_differs"].severity == "error"


def test_a_ticker_of_two_companies_is_told_with_both(tmp_path: Path) -> None:
    first = written(tmp_path / "equity__usa__map_files__new.csv", "20100104,abc,Q", "20150601,abc,Q", "20501231,new,Q")
    second = written(tmp_path / "equity__usa__map_files__abc.csv", "20150602,abc,N", "20501231,abc,N")
    for path in (first, second):
        reused = found_in(path)["reused_ticker"]
        assert (reused.severity, reused.evidence["ticker"]) == ("warn", "ABC")
    assert "renamed_ticker" in found_in(first) and "renamed_ticker" not in found_in(second)


def test_days_on_which_the_exchange_was_closed(tmp_path: Path) -> None:
    days = sessions(date(2001, 6, 1), date(2001, 12, 31))["day"]
    lines = [
        f"{day},{10 + at % 7}.13,{11 + at % 7}.2,9.07,{10 + at % 7}.4,{1000 + 37 * at % 401}"
        for at, day in enumerate(days)
    ]
    path = written(tmp_path / "z.csv", "date,open,high,low,close,volume", *lines)
    found = found_in(path)
    assert str(found["market_closed"].since)[:10] == "2001-09-10"
    assert "missing_bars" not in found and "hole" not in found
    path = written(path, "date,open,high,low,close,volume", *lines[:50], *lines[51:58], *lines[64:])
    found = found_in(path)
    assert (found["missing_bars"].rows, found["hole"].rows) == (1, 6)
    path = written(
        path, "date,open,high,low,close,volume", *lines[:23], "2001-07-04,10.1,11.2,9.3,10.4,77", *lines[23:]
    )
    assert (found_in(path)["non_trading_day"].rows, found_in(path)["non_trading_day"].severity) == (1, "error")


def test_a_minute_that_is_the_month(tmp_path: Path) -> None:
    start = datetime(2020, 1, 3, 5, tzinfo=UTC)
    times = [start + timedelta(hours=31 * at, seconds=7 * at) for at in range(200)]
    rows = [f"{time:%Y-%m-%d %H}:{time:%m}:{time:%S},{1 + at % 9},2,{at}" for at, time in enumerate(times)]
    found = found_in(written(tmp_path / "sales.csv", "time,price,quantity,id", *rows))
    assert (found["minute_is_month"].severity, found["minute_is_month"].rows) == ("error", 200)
    rows = [f"{time:%Y-%m-%d %H:%M:%S},{1 + at % 9},2,{at}" for at, time in enumerate(times)]
    assert "minute_is_month" not in found_in(written(tmp_path / "sales.csv", "time,price,quantity,id", *rows))


@pytest.mark.parametrize(
    ("seconds", "check", "severity"),
    [(0.02, "", ""), (-0.004, "clock_skew", "warn"), (-90, "clock_skew", "error"), (3600, "clock_shift", "error")],
)
def test_the_receivers_clock(tmp_path: Path, seconds: float, check: str, severity: str) -> None:
    start = 1_600_000_000_000_000
    rows = [f"z,A,{start + at * 10**6},{start + at * 10**6 + int(seconds * 10**6)},{at},buy,10,1" for at in range(50)]
    found = found_in(
        written(tmp_path / "t.csv", "exchange,symbol,timestamp,local_timestamp,id,side,price,amount", *rows)
    )
    assert {name: one.severity for name, one in found.items()} == ({check: severity} if check else {})


def test_ids_that_leave_some_out(tmp_path: Path) -> None:
    rows = [f"{1_600_000_000_000 + at * 1000},10,1,{at}" for at in range(100) if at not in (7, 50, 51, 52)]
    found = found_in(written(tmp_path / "t.csv", "time,price,quantity,id", *rows))["id_gap"]
    assert (found.severity, found.rows) == ("error", 4)
    assert found.evidence["ranges"] == [{"from_id": 7, "to_id": 7}, {"from_id": 50, "to_id": 52}]


def test_a_book_whose_updates_do_not_continue(tmp_path: Path) -> None:
    header = "symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu"
    rows = [f"A,{1667347199939 + at},{100 + 10 * at},{109 + 10 * at},a,set,10.{at},1,{99 + 10 * at}" for at in range(9)]
    assert found_in(written(tmp_path / "d.csv", header, *rows)) == {}
    found = found_in(written(tmp_path / "d.csv", header, *rows[:4], *rows[5:]))
    assert (found["chain_gap"].severity, found["chain_gap"].rows) == ("error", 1)


def test_a_snapshot_whose_bid_is_above_its_ask(tmp_path: Path) -> None:
    header = "exchange,symbol,timestamp,asks[0].price,asks[0].amount,bids[0].price,bids[0].amount"
    rows = [f"x,A,{1598918403696000 + at},10.2,1,10.1,1" for at in range(5)]
    assert found_in(written(tmp_path / "b.csv", header, *rows)) == {}
    found = found_in(written(tmp_path / "b.csv", header, *rows, "x,A,1598918403697000,10.1,1,10.2,1"))
    assert (found["crossed_book"].severity, found["crossed_book"].rows) == ("error", 1)


OPTIONS = "#expiry,strike,right,open,high,low,close,volume,open_interest,implied_volatility,delta,gamma,vega,theta,rho"


def options(
    *, strikes: float = 1.0, volatility: str = "0.3", underlying: str = "92.69,92.95,92.50,92.72,2467914"
) -> list[str]:
    rows = [
        f"20140613,{round(strike / strikes, 2)},C,2,3,1,2,5,10,{volatility},0.5,0.1,0.1,-0.1,0.1"
        for strike in range(400, 900, 5)
    ]
    return [OPTIONS, f",,,{underlying},,,,,,,", *rows]


def test_an_underlying_that_is_yesterdays(tmp_path: Path) -> None:
    first = written(tmp_path / "option__usa__universes__zzz__20140606.csv", *options())
    second = written(tmp_path / "option__usa__universes__zzz__20140609.csv", *options())
    assert found_in(first)["stale_underlying"].severity == "error"
    written(second, *options(underlying="93.69,93.95,93.50,93.72,2467915"))
    assert found_in(first) == {}


def test_strikes_that_are_adjusted_before_the_split(tmp_path: Path) -> None:
    path = written(tmp_path / "option__usa__universes__zzz__20140606.csv", *options(strikes=7))
    assert (found_in(path)["adjusted_strikes"].severity, found_in(path)["adjusted_strikes"].evidence["ratio"]) == (
        "warn",
        7,
    )
    written(
        tmp_path / "equity__usa__factor_files__zzz.csv",
        "19980102,1,0.1428571,1",
        "20140606,1,0.1428571,1",
        "20501231,1,1,0",
    )
    assert found_in(path)["adjusted_strikes"].severity == "error"


def test_volatilities_of_nothing_and_of_too_much(tmp_path: Path) -> None:
    path = tmp_path / "option__usa__universes__zzz__20140606.csv"
    assert found_in(written(path, *options(volatility="0")))["missing_iv"].rows == 100
    assert found_in(written(path, *options(volatility="3.4")))["absurd_iv"].rows == 100
    assert found_in(written(path, *options(volatility="-0.4")))["greeks_range"].severity == "error"


def test_quotes_of_one_side_far_away_and_marked(tmp_path: Path) -> None:
    rng = random.Random(3)
    rows = [
        f"{1_600_000_000_000 + at * 500},{100 + rng.random() / 50:.3f},{100.05 + rng.random() / 50:.3f}"
        for at in range(300)
    ]
    rows[50] = rows[50].rpartition(",")[0] + ",0"
    rows[70] = rows[70].rpartition(",")[0] + ",190.5"
    found = found_in(written(tmp_path / "q.csv", "time,bid,ask", *rows))
    assert {name: (one.severity, one.rows) for name, one in found.items() if one.severity == "warn"} == {
        "one_sided_quotes": ("warn", 1),
        "placeholder_quotes": ("warn", 1),
        "spread_outlier": ("warn", 1),
    }


def test_equal_trades_without_ids_are_no_error(tmp_path: Path) -> None:
    rows = [f"{1_600_000_000_000 + at // 3 * 500},10,1" for at in range(300)]
    found = found_in(written(tmp_path / "t.csv", "time,price,quantity", *rows))
    assert {one.severity for one in found.values()} == {"info"}


def test_the_worst_severity_counts() -> None:
    ones = [Finding("a", severity, "d", "i", None, None, 1) for severity in SEVERITIES]
    assert (worst([]), worst(ones[:1]), worst(ones[:2]), worst(ones)) == ("info", "info", "warn", "error")


@given(st.lists(st.tuples(*[st.integers(1, 6)] * 4), min_size=1, max_size=15))
def test_high_and_low_bound_the_bar(prices: list[tuple[int, int, int, int]]) -> None:
    rows = [f"{1_600_000_020 + 60 * at},{','.join(map(str, row))},{at + 1}" for at, row in enumerate(prices)]
    wrong = sum(high < max(row) or low > min(row) for row in prices for _, high, low, _ in [row])
    with TemporaryDirectory() as folder:
        found = found_in(written(Path(folder) / "b.csv", "time,open,high,low,close,volume", *rows))
    assert (found["ohlc_bounds"].rows if "ohlc_bounds" in found else 0) == wrong
