"""What the shared recordings are known to have wrong is found, and their clean files have no error."""

from functools import cache
from pathlib import Path

import pytest

from quality.history.examine import examine
from quality.history.finding import Finding
from sources.history.reading import companions, read

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LEAN_CRYPTO = "crypto_ohlcv/QuantConnect+Lean/crypto__coinbase__"
LEAN_EQUITY = "equities/QuantConnect+Lean/equity__usa__"
OPTIONS = "options/QuantConnect+Lean/"
SKENDER = "reference/DaveSkender+Stock.Indicators/tests__indicators___testdata__quotes__"
NAUTILUS = "crypto_rest/nautechsystems+nautilus_trader/"
FEEDS = "crypto_ws/bmoscon+cryptofeed/sample_data__"
HFT = "crypto_ws/nkaz001+hftbacktest/examples__"
NFT = "nft/iamyufan+cryptopunks-vis/stats401__database__tx_db_"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the shared recordings are not on this machine: {DATA}")

# File, check, severity, rows (None: any).
KNOWN: tuple[tuple[str, str, str, int | None], ...] = (
    (f"{LEAN_CRYPTO}minute__btcusd__20180404_trade.zip", "truncated_day", "error", 432),
    (f"{LEAN_CRYPTO}minute__btcusd__20180404_trade.zip", "missing_bars", "warn", 1),
    (f"{LEAN_CRYPTO}minute__btcusd__20180404_quote.zip", "missing_bars", "warn", 3),
    (f"{LEAN_CRYPTO}minute__btcusd__20180405_quote.zip", "missing_bars", "warn", 4),
    (f"{LEAN_CRYPTO}daily__btcusd_trade.zip", "missing_bars", "warn", 14),
    (f"{LEAN_CRYPTO}daily__btcusd_trade.zip", "hole", "error", 20),
    (f"{LEAN_EQUITY}daily__aapl.zip", "split", "info", 4),
    (f"{LEAN_EQUITY}daily__aapl.zip", "crash", "warn", 1),
    (f"{LEAN_EQUITY}daily__aapl.zip", "market_closed", "info", 0),
    (f"{LEAN_EQUITY}daily__bac.zip", "split", "info", 1),
    (f"{LEAN_EQUITY}map_files__goog.csv", "reused_ticker", "warn", None),
    (f"{LEAN_EQUITY}map_files__googl.csv", "reused_ticker", "warn", None),
    (f"{LEAN_EQUITY}map_files__bac.csv", "renamed_ticker", "warn", None),
    (f"{LEAN_EQUITY}tick__ibm__20131007_quote.zip", "one_sided_quotes", "warn", 109_067),
    (f"{LEAN_EQUITY}tick__ibm__20131007_quote.zip", "placeholder_quotes", "warn", None),
    (f"{LEAN_EQUITY}tick__ibm__20131007_quote.zip", "suspicious_rows", "warn", 1),
    (f"{LEAN_EQUITY}tick__ibm__20131007_trade.zip", "identical_rows", "info", None),
    ("equities/plotly+datasets/tesla-stock-price.csv", "mixed_granularity", "error", 1),
    ("equities/plotly+datasets/tesla-stock-price.csv", "descending_order", "warn", 756),
    ("equities/quantopian+zipline/tests__resources__pipeline_inputs__AAPL.csv", "split_unadjusted", "warn", 1),
    (f"{OPTIONS}option__usa__universes__aapl__20140606.csv", "stale_underlying", "error", 1),
    (f"{OPTIONS}option__usa__universes__aapl__20140606.csv", "zeros_throughout", "error", 2_180),
    (f"{OPTIONS}option__usa__universes__aapl__20140606.csv", "adjusted_strikes", "error", 1_872),
    (f"{OPTIONS}option__usa__universes__aapl__20140609.csv", "stale_underlying", "error", 1),
    (f"{OPTIONS}option__usa__universes__aapl__20140609.csv", "missing_iv", "warn", 4_360 - 924),
    (f"{OPTIONS}option__usa__universes__aapl__20140609.csv", "absurd_iv", "warn", 138),
    (f"{OPTIONS}option__usa__universes__aapl__20140609.csv", "blank_open_interest", "warn", 640),
    (f"{OPTIONS}indexoption__usa__universes__spx__20210108.csv", "uneven_smile", "warn", 1),
    (f"{OPTIONS}option__usa__minute__goog__20151223_quote_american.zip", "one_sided_quotes", "warn", 11_475),
    (f"{SKENDER}bad.csv", "blank_values", "error", 101),
    (f"{SKENDER}bad.csv", "ohlc_bounds", "error", 12),
    (f"{SKENDER}bad.csv", "non_positive_price", "error", 54),
    (f"{SKENDER}zeros.csv", "zeros_throughout", "error", 200),
    (f"{NAUTILUS}crates__adapters__kraken__test_data__http_ohlc.json", "unfinished_bar", "warn", 1),
    (f"{NAUTILUS}crates__adapters__kraken__test_data__http_ohlc.json", "vwap_zero", "warn", 216),
    (f"{NAUTILUS}tests__test_data__binance__btcusdt-depth-update.csv", "duplicate_rows", "warn", 37),
    (f"{FEEDS}BINANCE.ws.1.0", "clock_skew", "warn", 181),
    (f"{HFT}spot__btcusdt_20240808.gz", "clock_skew", "warn", 9_757),
    (f"{HFT}hyperliquid__btcusd_20250126.gz", "identical_rows", "info", 1),
    *((f"{NFT}{year}.csv", "minute_is_month", "error", rows) for year, rows in ((2017, 938), (2018, 670), (2019, 813))),
    *((f"{NFT}{year}.csv", "non_positive_price", "error", 1) for year in (2017, 2018, 2019)),
)
CLEAN = (
    f"{LEAN_CRYPTO}minute__btcusd__20180404_quote.zip",
    f"{LEAN_CRYPTO}minute__btcusd__20180405_quote.zip",
    f"{LEAN_CRYPTO}minute__btcusd__20180405_trade.zip",
    f"{LEAN_CRYPTO}minute__btcusd__20180406_trade.zip",
    f"{LEAN_CRYPTO}second__btcusd__20161007_trade.zip",
    *(f"{LEAN_EQUITY}daily__{symbol}.zip" for symbol in ("aapl", "bac", "spy")),
    *(f"{LEAN_EQUITY}{what}_files__{symbol}.csv" for what in ("factor", "map") for symbol in ("aapl", "bac", "spy")),
    f"{LEAN_EQUITY}minute__spy__20131004_trade.zip",
    f"{LEAN_EQUITY}minute__spy__20131004_quote.zip",
    f"{LEAN_EQUITY}tick__ibm__20131007_trade.zip",
    f"{LEAN_EQUITY}tick__ibm__20131007_quote.zip",
    f"{LEAN_EQUITY}tick__ibm__20131008_trade.zip",
    "equities/plotly+datasets/finance-charts-apple.csv",
    *(
        f"equities/quantopian+zipline/tests__resources__{name}"
        for name in ("csvdir_samples__csvdir__daily__AAPL.csv.gz", "csvdir_samples__csvdir__daily__IBM.csv.gz",
                     "pipeline_inputs__AAPL.csv")
    ),
    "equities/quantopian+zipline/zipline__resources__market_data__SPY_benchmark.csv",
    *(f"equities/vega+vega-datasets/data__{name}" for name in ("ohlc.json", "sp500.csv", "stocks.csv")),
    *(f"{SKENDER}{name}.csv" for name in ("default", "compare", "intraday")),
    *(f"{NAUTILUS}crates__adapters__kraken__test_data__http_{name}.json" for name in ("ohlc", "trades")),
    *(f"{NAUTILUS}tests__test_data__binance__btcusdt-depth-{name}.csv" for name in ("snap", "update")),
    *(f"{NAUTILUS}tests__test_data__tardis__binance-futures_book_snapshot_{n}_BTCUSDT.csv" for n in (5, 25)),
    *(f"{FEEDS}{name}" for name in ("BINANCE.http.0.0", "BINANCE.ws.1.0", "BINANCE_FUTURES.0",
                                   "BINANCE_FUTURES.http.0.0", "BINANCE_FUTURES.ws.1.0", "COINBASE.0",
                                   "COINBASE.jsonl.zst", "COINBASE.ws.28.0.products_A", "DERIBIT.0", "DERIBIT.ws.1.0",
                                   "KRAKEN.0", "KRAKEN.ws.48.0", "KRAKEN.ws.49.0", "KRAKEN.ws.50.0")),
    f"{HFT}spot__btcusdt_20240808.gz",
    f"{HFT}hyperliquid__btcusd_20250126.gz",
    *(f"{OPTIONS}indexoption__usa__universes__spx__{day}.csv" for day in ("20151223", "20210108")),
    *(f"{OPTIONS}option__usa__minute__goog__20151223_{what}_american.zip" for what in ("openinterest", "quote")),
)  # fmt: skip


@cache
def found_in(name: str) -> tuple[Finding, ...]:
    """Return what is found in a recording, with the files beside it as the command takes them."""
    path = DATA / name
    return tuple(examine(read(path), [one for other in companions(path) for one in read(other)]))


@pytest.mark.parametrize(("name", "check", "severity", "rows"), KNOWN, ids=lambda one: str(one).rpartition("/")[2])
def test_a_known_defect_is_found(name: str, check: str, severity: str, rows: int | None) -> None:
    mine = [one for one in found_in(name) if (one.check, one.severity) == (check, severity)]
    assert mine, [(one.check, one.severity, one.rows) for one in found_in(name)]
    assert rows is None or rows in [one.rows for one in mine]


@pytest.mark.parametrize("name", CLEAN, ids=lambda one: str(one).rpartition("/")[2])
def test_a_clean_file_has_no_error(name: str) -> None:
    assert [(one.check, one.rows, one.evidence) for one in found_in(name) if one.severity == "error"] == []


def test_the_stop_of_a_day_is_placed_where_the_trades_end() -> None:
    found = found_in(f"{LEAN_CRYPTO}minute__btcusd__20180404_trade.zip")
    cut = next(one for one in found if one.check == "truncated_day")
    assert cut.told()["from"] == "2018-04-04T16:48:00+00:00"
    assert cut.told()["to"] == "2018-04-05T00:00:00+00:00"


def test_a_crash_is_not_taken_for_a_split() -> None:
    found = {one.check: one for one in found_in(f"{LEAN_EQUITY}daily__aapl.zip")}
    splits = {jump["time"].date().isoformat() for jump in found["split"].evidence["jumps"]}
    assert splits == {"2000-06-21", "2005-02-28", "2014-06-09", "2020-08-31"}
    assert [str(jump["time"].date()) for jump in found["crash"].evidence["jumps"]] == ["2000-09-29"]
