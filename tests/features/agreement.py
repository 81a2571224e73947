"""What the indicators are held against: one case a column of a reference table, with its tolerance."""

from dataclasses import dataclass

import polars as pl

from features.indicators.benchmark import with_benchmark
from features.indicators.catalog import use
from features.indicators.declared import Use
from features.indicators.frames import compute
from tests.features.tables import lean, skender_bars, skender_values

SKENDER_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Case:
    """One column of a table against one output. `late`: rows that the table leaves out and that have a value here."""

    table: str
    column: str
    use: Use
    output: int = 0
    tolerance: float = SKENDER_TOLERANCE
    scale: float = 1.0
    late: int = 0
    why: str = ""

    @property
    def label(self) -> str:
        """The name of the output that is compared."""
        return self.use.columns[self.output]


@dataclass(frozen=True)
class Compared:
    """What came of a case: values compared, the largest difference, rows where only one side is null."""

    rows: int
    difference: float
    one_sided: int


def _skender(table: str, column: str, made: Use, output: int = 0, **more: object) -> Case:
    return Case(f"Skender {table}", column, made, output, **more)  # type: ignore[arg-type]


_MACD, _ADX, _BB = use("macd"), use("adx", rating=14), use("bollinger")
_AROON, _STOCHASTIC = use("aroon", ties="earliest"), use("stochastic")
_PRINTED = "the table's own rounding"
_LATE = "; the table begins with row {}"
_CLOSES = "made from prices of more digits than the table prints"

CASES = (
    _skender("sma", "sma", use("sma")),
    _skender("ema", "ema", use("ema")),
    _skender("wma", "wma", use("wma", period=14)),
    _skender("rsi", "rsi", use("rsi")),
    _skender("macd", "macd", _MACD),
    _skender("macd", "signal", _MACD, 1),
    _skender("macd", "histogram", _MACD, 2),
    _skender("bb", "sma", _BB),
    _skender("bb", "upperBand", _BB, 1),
    _skender("bb", "lowerBand", _BB, 2),
    _skender("bb", "percentB", _BB, 3),
    _skender("bb", "width", _BB, 4),
    _skender("bb", "zScore", use("stdev"), 1),
    _skender("tr", "tr", use("tr")),
    _skender("atr", "atr", use("atr")),
    _skender("atr", "atrp", use("atr"), 1),
    _skender("adx", "adx", _ADX),
    _skender("adx", "pdi", _ADX, 1),
    _skender("adx", "mdi", _ADX, 2),
    _skender("adx", "dx", _ADX, 3),
    _skender("adx", "adxr", _ADX, 4, why="rating=14: Skender looks one row further back than Wilder and TA-Lib"),
    _skender("stoch", "k", _STOCHASTIC),
    _skender("stoch", "d", _STOCHASTIC, 1),
    _skender("cci", "cci", use("cci")),
    _skender("mfi", "mfi", use("mfi")),
    _skender("obv", "obv", use("obv")),
    _skender("roc", "roc", use("roc", period=14)),
    _skender("roc", "momentum", use("roc", period=14), 1),
    _skender("vwap", "vwap", use("vwap", anchor="start", price="typical")),
    _skender("stdev", "stdDev", use("stdev", period=14)),
    _skender("stdev", "zScore", use("stdev", period=14), 1),
    _skender("stdev", "mean", use("sma", period=14)),
    _skender("slope", "slope", use("slope")),
    _skender("aroon", "aroonUp", _AROON),
    _skender("aroon", "aroonDown", _AROON, 1),
    _skender("aroon", "oscillator", _AROON, 2),
    _skender("beta", "beta", use("beta", period=50)),
    _skender("corr", "correlation", use("correlation", period=20, of="prices")),
    Case("Lean spy_ema.csv", "EMA14", use("ema", period=14)),
    Case("Lean spy_kama.txt", "KAMA_5", use("kama", period=5)),
    Case("Lean spy_tema.txt", "TEMA_5", use("tema", period=5)),
    Case("Lean spy_trix.txt", "TRIX_5", use("trix", period=5)),
    Case("Lean spy_ultosc.txt", "ULTOSC_7_14_28", use("ultosc")),
    Case("Lean spy_atr.txt", "Average True Range 14", use("atr", smoothing="sma"), tolerance=1e-5, why=_PRINTED),
    Case(
        "Lean spy_atr_wilder.txt",
        "Average True Range 14",
        use("atr", first="range"),
        tolerance=1e-5,
        why=_PRINTED,
    ),
    Case("Lean spy_bollinger_bands.txt", "Moving Average 20", _BB, 0, 1e-4, why=_PRINTED),
    Case("Lean spy_bollinger_bands.txt", "Bollinger Bands® 20 2 Top", _BB, 1, 1e-4, why=_PRINTED),
    Case("Lean spy_bollinger_bands.txt", "Bollinger Bands® 20 2 Bottom", _BB, 2, 1e-4, why=_PRINTED),
    Case("Lean spy_bollinger_bands.txt", "%B", _BB, 3, 1e-4, why=_PRINTED),
    Case("Lean spy_bollinger_bands.txt", "BandWidth", _BB, 4, 2e-4, scale=100, why=_PRINTED),
    Case("Lean spy_mfi.txt", "Money Flow Index 20", use("mfi", period=20), tolerance=1e-5, why=_PRINTED),
    Case(
        "Lean spy_with_cci.txt", "Commodity Channel Index (CCI) 14", use("cci", period=14), tolerance=3e-3, why=_CLOSES
    ),
    Case(
        "Lean spy_with_obv.txt",
        "OBV",
        use("obv", start="volume"),
        tolerance=2e3,
        late=1,
        why=_PRINTED + _LATE.format(2),
    ),
    Case("Lean spy_with_adx.txt", "TR", use("tr"), tolerance=5.1e-3, why=_PRINTED),
    Case("Lean spy_with_adx.txt", "+DI14", use("adx"), 1, 1e-4, why=_PRINTED),
    Case("Lean spy_with_adx.txt", "-DI14", use("adx"), 2, 1e-4, why=_PRINTED),
    Case("Lean spy_with_adx.txt", "DX", use("adx"), 3, 5.1e-3, why=_PRINTED),
    Case("Lean spy_with_adx.txt", "ADX 14", use("adx"), 0, 1e-4, why=_PRINTED),
    Case("Lean spy_with_adx.txt", "ADXR 14", use("adx"), 4, 1e-4, why=_PRINTED),
    Case("Lean spy_with_indicators.txt", "SMA14", use("sma", period=14), tolerance=6e-3, why=_PRINTED),
    Case("Lean spy_with_indicators.txt", "EMA14", use("ema", period=14), tolerance=6e-3, why=_PRINTED),
    Case("Lean spy_with_indicators.txt", "MACD 12 26", _MACD, 0, 3e-4, why=_PRINTED),
    Case(
        "Lean spy_with_indicators.txt",
        "RSI 14",
        use("rsi", smoothing="sma"),
        tolerance=4e-4,
        late=1,
        why=_CLOSES + _LATE.format(16),
    ),
    Case("Lean spy_with_indicators.txt", "RSI 14 Wilder", use("rsi"), tolerance=1e-5, why=_PRINTED),
    Case("Lean spy_with_macd.txt", "MACD", _MACD, 0, 1e-5, late=154, why=_PRINTED + _LATE.format(180)),
    Case("Lean spy_with_macd.txt", "Signal", _MACD, 1, 1e-5, late=146, why=_PRINTED + _LATE.format(180)),
    Case("Lean spy_with_macd.txt", "Histogram", _MACD, 2, 1e-5, late=146, why=_PRINTED + _LATE.format(180)),
)


def compared(case: Case) -> Compared:
    """Compute the case's output over the table's own bars and hold it against the table's values."""
    kind, name = case.table.split(" ", 1)
    if kind == "Skender":
        bars, expected = skender_bars(), skender_values(name, case.column)
        if "benchmark" in case.use.inputs:
            bars = with_benchmark(bars, skender_bars("compare"))
            if case.use.indicator.name == "beta":
                bars = bars.rename({"close": "benchmark", "benchmark": "close"})
    else:
        bars, columns = lean(name)
        expected = columns[case.column]
    made = compute(bars, [case.use]).get_column(case.label) * case.scale
    both = pl.DataFrame({"made": made, "expected": expected})
    known = both.drop_nulls()
    difference = known.select((pl.col("made") - pl.col("expected")).abs().max()).item()
    return Compared(known.height, float(difference), both.height - known.height - _empty(both))


def _empty(both: pl.DataFrame) -> int:
    return both.filter(pl.all_horizontal(pl.all().is_null())).height
